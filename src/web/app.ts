/**
 * The panel as one Hono app: headers and guards for everything, then one folder an area. It can stand alone or be mounted in a foreign
 * app, with `mount` (not `route`) so that it keeps its own error pages: `server.mount('/hosting', createApp(deps).fetch)`, with
 * '/hosting' at the end of deps.publicUrl.
 */
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono, type Context, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { clientAddress, parseProxies } from '../auth/addresses.ts';
import { adminArea } from './admin/area.ts';
import { mailFrames } from './admin/notifications/frames.ts';
import { clientArea } from './client/area.ts';
import { PayPages } from './client/pay-pages.ts';
import type { WebDeps } from './deps.ts';
import type { RootEnv, TenantEnv } from './env.ts';
import { errorAnswer } from './errors.ts';
import { sameOriginOnly } from './guard.ts';
import { completeHeaders, securityHeaders } from './headers.ts';
import { languageSwitch, setLanguage } from './language.ts';
import { WEB_LIMITS } from './limits.ts';
import { moduleAssets } from './module/assets.ts';
import { moduleFrames } from './module/frames.ts';
import { webhooks } from './module/webhooks.ts';
import { storeApi } from './store/api.ts';
import { packageUpload, UPLOAD_PATH } from './store/upload.ts';
import { operatorArea } from './operator/area.ts';
import type { Panel } from './panel.ts';
import { RememberingRouter } from './remembering-router.ts';
import { addressOf, siteAt } from './site.ts';
import { loadStaticFiles } from './static-files.ts';
import { loadTemplates } from './templates.ts';
import { withTenant } from './tenants.ts';

/** The whole panel. Reads its templates and static files now, so that a missing one fails the start and not a page. */
export function createApp(deps: WebDeps): Hono<RootEnv> {
  const site = siteAt(deps.publicUrl);
  const files = loadStaticFiles(site.base);
  const panel: Panel = {
    deps,
    site,
    files,
    templates: loadTemplates((name) => files.url(name)),
    payPages: new PayPages(),
    dataHeaders: completeHeaders(site.secure, { 'content-type': 'application/json' }),
  };
  const app = new Hono<RootEnv>({
    getPath: (request) => site.routePath(addressOf(request.url)),
    router: new RememberingRouter(),
  });

  app.onError((error, c) => errorAnswer(panel, c, error));
  app.notFound((c) => errorAnswer(panel, c, new HostError('NOT_FOUND', 'There is no such page.')));
  app.use((c, next) => {
    setLanguage(c);
    return next();
  });
  app.use(securityHeaders(site.secure));
  app.get('/healthz', (c) => c.text('ok'));
  app.use(knownHost(panel));
  app.use(limitBody);

  app.get('/static/:hash/:name{.+}', (c) => files.serve(c, c.req.param('hash'), c.req.param('name')));
  languageSwitch(app, panel);
  moduleAssets(app, panel);
  webhooks(app, panel);
  packageUpload(app, panel);
  storeApi(app, panel);

  // From here on cookies count.
  app.use(sameOriginOnly);
  app.get('/', (c) => c.redirect(`${site.base}/operator`));
  app.route('/operator', operatorArea(panel));

  const tenant = new Hono<TenantEnv>();
  tenant.use(withTenant(panel));
  tenant.route('/m/mail', mailFrames(panel));
  tenant.route('/m', moduleFrames(panel));
  tenant.route('/admin', adminArea(panel));
  tenant.route('/', clientArea(panel));
  app.route('/t/:tenant', tenant);
  return app;
}

/** Refuses a Host we do not answer to, and says who asks. @throws NOT_FOUND */
function knownHost(panel: Panel): MiddlewareHandler<RootEnv> {
  const proxies = parseProxies(panel.deps.trustedProxies ?? '');
  return (c, next) => {
    const origin = panel.site.originOf(addressOf(c.req.url).host);
    if (origin === undefined)
      throw new HostError('NOT_FOUND', 'This address is not served here. The operator sets the public URL.');
    // PostgreSQL stores no NUL: nothing that is asked for with one exists.
    if (c.req.url.includes('%00')) throw new HostError('NOT_FOUND', 'There is no such page.');
    c.set('origin', origin);
    c.set('address', clientOf(panel.deps, proxies, c));
    return next();
  };
}

function clientOf(deps: WebDeps, proxies: ReturnType<typeof parseProxies>, c: Context): string {
  const given = deps.clientAddress?.(c.req.raw);
  if (given !== undefined) return given;
  try {
    const { address } = getConnInfo(c).remote;
    return address === undefined
      ? 'unknown'
      : clientAddress(address, c.req.header('x-forwarded-for'), proxies);
  } catch {
    // Not behind node-server: called directly, as a test or a foreign runtime does.
    return 'unknown';
  }
}

/** The rest of the body is never read, so the connection cannot be used again. */
const tooLarge = (c: Context): Response =>
  c.json({ error: { code: 'LIMIT', message: 'What was sent is too large.' } }, 413, { connection: 'close' });
const limitForms = bodyLimit({ maxSize: WEB_LIMITS.bodyBytes, onError: tooLarge });
const SIZE = /^\d{1,15}$/;
const PACKAGE_PATHS: ReadonlySet<string> = new Set(['/operator/packages', UPLOAD_PATH]);
/** Every body is bounded; only a package upload may be large, and says so before: one without a length is collected for whoever sends it. */
const limitBody: MiddlewareHandler<RootEnv> = (c, next) => {
  const length = c.req.header('content-length');
  // Node reads no further than a body's own length. To look at the body itself makes a stream of it, which nobody else wants.
  if (length !== undefined && SIZE.test(length) && c.req.header('transfer-encoding') === undefined) {
    const most = PACKAGE_PATHS.has(c.req.path) ? WEB_LIMITS.packageBytes : WEB_LIMITS.bodyBytes;
    return Number(length) > most ? Promise.resolve(tooLarge(c)) : next();
  }
  return limitForms(c, next);
};
