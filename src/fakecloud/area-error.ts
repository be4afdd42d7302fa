/**
 * Each area speaks the error language of the service it stands for, also when it is the fake cloud itself that fails, so
 * that a module's error handling meets what it would meet outside.
 */
const DIGITALOCEAN_IDS: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'Unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  413: 'request_entity_too_large',
  422: 'unprocessable_entity',
  429: 'too_many_requests',
  500: 'server_error',
  503: 'service_unavailable',
};

/** `{id, message}` as DigitalOcean has it. */
export function cloudError(status: number, message: string, headers: Record<string, string> = {}): Response {
  const id = DIGITALOCEAN_IDS[status] ?? (status >= 500 ? 'server_error' : 'bad_request');
  return Response.json({ id, message }, { status, headers });
}

export interface StripeProblem {
  readonly message: string;
  readonly param?: string;
  readonly code?: string;
}

/** `{error: {type, message, param?, code?}}` as Stripe has it. */
export function stripeError(
  status: number,
  problem: StripeProblem,
  headers: Record<string, string> = {},
): Response {
  const type = status === 429 || status >= 500 ? 'api_error' : 'invalid_request_error';
  return Response.json({ error: { type, ...problem } }, { status, headers });
}

/** The error of whichever area `path` is in; plain text outside of all. */
export function areaError(path: string, status: number, message: string): Response {
  const headers: Record<string, string> = status === 429 || status === 503 ? { 'retry-after': '1' } : {};
  if (path === '/v2' || path.startsWith('/v2/')) return cloudError(status, message, headers);
  if (path === '/v1' || path.startsWith('/v1/')) return stripeError(status, { message }, headers);
  return new Response(message, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
  });
}
