/**
 * Files of a module version's views/assets/. The version is in the address and never changes, so they are cached for ever. They are
 * readable from any origin because a module's frame has an opaque one, and they run nothing when opened by themselves.
 */
import type { Hono } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { RootEnv } from '../env.ts';
import { idFrom } from '../forms.ts';
import type { Panel } from '../panel.ts';
import { mediaType } from '../static-files.ts';

const PATH = /^(?!.*(?:^|\/)\.)[\w@.-]+(?:\/[\w@.-]+)*$/;

export function moduleAssets(app: Hono<RootEnv>, panel: Panel): void {
  app.get('/m/:version/assets/:path{.+}', async (c) => {
    const path = c.req.param('path');
    const bytes = PATH.test(path)
      ? await panel.deps.modules.asset(idFrom(c.req.param('version')), path)
      : undefined;
    if (bytes === undefined) throw new HostError('NOT_FOUND', 'The module has no such file.');
    c.header('Content-Type', mediaType(path));
    c.header('Access-Control-Allow-Origin', '*');
    c.header('Cross-Origin-Resource-Policy', 'cross-origin');
    c.header('Cache-Control', 'public, max-age=31536000, immutable');
    c.header('Content-Security-Policy', "sandbox; default-src 'none'");
    c.header('X-Content-Type-Options', 'nosniff');
    return c.body(new Uint8Array(bytes));
  });
}
