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

/** Sets what a response does not set itself; module frames, assets and static files bring their own. */
export function securityHeaders(secure: boolean): MiddlewareHandler<RootEnv> {
  return async (c, next) => {
    await next();
    const headers = c.res.headers;
    const fallback = (name: string, value: string): void => {
      if (!headers.has(name)) headers.set(name, value);
    };
    headers.set('X-Content-Type-Options', 'nosniff');
    fallback('Content-Security-Policy', panelPolicy(undefined));
    fallback('Referrer-Policy', 'same-origin');
    fallback('Permissions-Policy', PERMISSIONS_POLICY);
    fallback('Cross-Origin-Opener-Policy', 'same-origin');
    fallback('Cross-Origin-Resource-Policy', 'same-origin');
    fallback('Cache-Control', 'no-store');
    if (secure) headers.set('Strict-Transport-Security', 'max-age=31536000');
  };
}
