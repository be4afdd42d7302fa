/**
 * Headers of the panel's own pages. No inline script or style anywhere: what a module's text could smuggle into a page stays text.
 * Referrer-Policy is same-origin and not no-referrer, because under the latter browsers send `Origin: null` with our own forms.
 */
import type { MiddlewareHandler } from 'hono';
import type { RootEnv } from './env.ts';

/** @param frames URL prefix of the module frames a page may hold; none if undefined */
export function panelPolicy(frames: string | undefined): string {
  return [
    "default-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    `frame-src ${frames ?? "'none'"}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

export const PERMISSIONS_POLICY =
  'accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()';

const TRANSPORT = 'max-age=31536000';
const FALLBACKS = {
  'content-security-policy': panelPolicy(undefined),
  'referrer-policy': 'same-origin',
  'permissions-policy': PERMISSIONS_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** Headers of an answer that is data for our own scripts: all of them at once, which costs a tenth of setting each. */
export function dataHeaders(secure: boolean): Readonly<Record<string, string>> {
  return Object.freeze({
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    ...FALLBACKS,
    ...(secure ? { 'strict-transport-security': TRANSPORT } : {}),
  });
}

/** Sets what a response does not set itself; module frames, assets and static files bring their own. */
export function securityHeaders(secure: boolean): MiddlewareHandler<RootEnv> {
  return async (c, next) => {
    await next();
    // Made with dataHeaders().
    if (c.get('hasAllHeaders') === true) return;
    const { headers } = c.res;
    headers.set('x-content-type-options', 'nosniff');
    for (const [name, value] of Object.entries(FALLBACKS)) if (!headers.has(name)) headers.set(name, value);
    if (secure) headers.set('strict-transport-security', TRANSPORT);
  };
}
