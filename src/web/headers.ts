/**
 * Headers of the panel's own pages. No inline script or style anywhere: what a module's text could smuggle into a page stays text.
 * Referrer-Policy is same-origin and not no-referrer, because under the latter browsers send `Origin: null` with our own forms.
 */
import type { Context, MiddlewareHandler } from 'hono';
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

export type AnswerHeaders = Readonly<Record<string, string>>;

/** All headers of an answer, for sendComplete(). @param own what it sets itself, by names in small letters */
export function completeHeaders(secure: boolean, own: AnswerHeaders): AnswerHeaders {
  return Object.freeze({
    ...FALLBACKS,
    ...own,
    'x-content-type-options': 'nosniff',
    ...(secure ? { 'strict-transport-security': TRANSPORT } : {}),
  });
}

/** Answers with headers that are complete: given at once they cost a tenth of setting each. */
export function sendComplete(
  c: Context,
  body: string | Uint8Array<ArrayBuffer> | null,
  headers: AnswerHeaders,
  status = 200,
): Response {
  const response = new Response(body, { status, headers });
  // Last: an answer to what failed on the way here still gets its headers.
  c.set('hasAllHeaders', true);
  return response;
}

/** Sets what a response does not set itself; module frames, assets and static files bring their own. */
export function securityHeaders(secure: boolean): MiddlewareHandler<RootEnv> {
  return async (c, next) => {
    await next();
    // Made by sendComplete().
    if (c.get('hasAllHeaders') === true) return;
    const { headers } = c.res;
    headers.set('x-content-type-options', 'nosniff');
    for (const [name, value] of Object.entries(FALLBACKS)) if (!headers.has(name)) headers.set(name, value);
    if (secure) headers.set('strict-transport-security', TRANSPORT);
  };
}
