/** Errors a module can catch and tell apart (contract A38). Messages shown to clients never carry their detail. */
import type { WireError } from '../contract/envelope.ts';

/** A capability call failed; `code` is one of the host's closed codes. */
export class CapabilityError extends Error {
  readonly code: string;
  readonly data: unknown;

  constructor(error: WireError) {
    super(error.message);
    this.name = 'CapabilityError';
    this.code = error.code;
    this.data = error.data;
  }
}

/** What the module asked for was not granted; the message names what to add to the manifest. */
export class NotGranted extends CapabilityError {
  override readonly name: string = 'NotGranted';
}

export class TimeoutError extends CapabilityError {
  override readonly name: string = 'TimeoutError';
}

/** An answer of 400 or more to a request of http.client. */
export class HttpError extends Error {
  override readonly name: string = 'HttpError';
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: unknown, message: string) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** What validated(…) throws: errors by field, as the guide's 422 shape has them. */
export class ValidationError extends Error {
  override readonly name: string = 'ValidationError';
  readonly errors: Readonly<Record<string, readonly string[]>>;

  constructor(errors: Readonly<Record<string, readonly string[]>>) {
    super(Object.values(errors).flat().join(' '));
    this.errors = errors;
  }
}

/** The right class for what the host answered. */
export function capabilityError(error: WireError): CapabilityError {
  if (error.code === 'NOT_GRANTED') return new NotGranted(error);
  if (error.code === 'TIMEOUT') return new TimeoutError(error);
  return new CapabilityError(error);
}
