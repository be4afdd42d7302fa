/** What a controller, tab or webhook may return (contract A15). A returned text is HTML for the module's frame; other data is JSON. */
import type { ModuleResponse } from '../contract/invocation.ts';

/** A reply with a status; made by json(), response(), html(), redirect(). */
export class Reply {
  readonly response: ModuleResponse;

  constructor(response: ModuleResponse) {
    this.response = response;
  }
}

/** abort(403, '…') throws this: the request ends there. */
export class Abort extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'Abort';
    this.status = status;
  }
}

export function json(body: unknown, status = 200): Reply {
  return new Reply({ kind: 'json', status, body });
}

export function response(text = '', status = 200): Reply {
  return new Reply({ kind: 'text', status, text });
}

export function html(text: string, status = 200): Reply {
  return new Reply({ kind: 'html', status, html: text });
}

/** To a route by name, or to an address the module was granted for redirects. */
export function redirect(to: string): Reply {
  return new Reply({ kind: 'redirect', status: 302, to });
}

/** Bytes to download. */
export function download(base64: string, filename: string, type = 'application/octet-stream'): Reply {
  return new Reply({ kind: 'bytes', status: 200, base64, type, filename });
}

export function abort(status: number, message = ''): never {
  throw new Abort(status, message);
}

/** The wire form of whatever a method returned. */
export function toCallResult(
  value: unknown,
  forRequest: boolean,
): { value: unknown } | { response: ModuleResponse } {
  if (value instanceof Reply) return { response: value.response };
  if (!forRequest) return { value: value ?? null };
  if (typeof value === 'string') return { response: { kind: 'html', status: 200, html: value } };
  return { response: { kind: 'json', status: 200, body: value ?? null } };
}
