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

/**
 * Before every script of a module, because our kit is the first script of the frame only: a srcdoc frame inside it is a fresh world with
 * the module's scripts and a WebRTC of its own, whose packets no content policy stops. On one line, so that line numbers stay.
 */
const PROLOGUE =
  "for (const name of ['RTCPeerConnection', 'webkitRTCPeerConnection', 'RTCDataChannel', 'WebTransport']) delete globalThis[name]; ";
const SCRIPT = 'text/javascript';
const STRICT = /^(?:\s|\/\/.*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(['"])use strict\1/;
/** How far into a script its directive is looked for: behind a licence's text. */
const HEAD_BYTES = 4_000;

/** A strict script stays strict: its directive must be the very first statement. */
function withPrologue(bytes: Uint8Array): Buffer {
  const strict = STRICT.test(Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('utf8'))
    ? "'use strict'; "
    : '';
  return Buffer.concat([Buffer.from(strict + PROLOGUE), bytes]);
}

const PATH = /^(?!.*(?:^|\/)\.)[\w@.-]+(?:\/[\w@.-]+)*$/;

export function moduleAssets(app: Hono<RootEnv>, panel: Panel): void {
  app.get('/m/:version/assets/:path{.+}', async (c) => {
    const path = c.req.param('path');
    const bytes = PATH.test(path)
      ? await panel.deps.modules.asset(idFrom(c.req.param('version')), path)
      : undefined;
    if (bytes === undefined) throw new HostError('NOT_FOUND', 'The module has no such file.');
    const type = mediaType(path);
    c.header('Content-Type', type);
    c.header('Access-Control-Allow-Origin', '*');
    c.header('Cross-Origin-Resource-Policy', 'cross-origin');
    c.header('Cache-Control', 'public, max-age=31536000, immutable');
    c.header('Content-Security-Policy', "sandbox; default-src 'none'");
    c.header('X-Content-Type-Options', 'nosniff');
    return c.body(new Uint8Array(type.startsWith(SCRIPT) ? withPrologue(bytes) : bytes));
  });
}
