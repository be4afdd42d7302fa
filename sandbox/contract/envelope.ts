/**
 * The envelope: how an answer travels across the boundary, in both directions. An answer is a value or an error,
 * an error is a closed code and a text for a person, and nothing else ever crosses: no stack, no class, no host object.
 */

/** Every error code that may cross the boundary, with what it means. Closed: a new failure needs a line here. */
export const ERROR_CODES = {
  BAD_INPUT: 'An argument does not fit the declared shape.',
  BAD_OUTPUT: 'A module returned something that its kind does not allow.',
  NOT_GRANTED: 'The tenant has not granted what this call needs.',
  NOT_FOUND: 'What was asked for does not exist, or is not visible here.',
  CONFLICT: 'The present state does not allow this.',
  LIMIT: 'A declared limit was reached.',
  TIMEOUT: 'The time for this invocation or call ran out.',
  CPU_LIMIT: 'The invocation used more processor time than it may.',
  MEMORY_LIMIT: 'The module used more memory than it may.',
  CRASHED: 'The runner process died while this invocation was running in it.',
  INTERRUPTED: 'The runner was stopped for another invocation’s sake; this one may be tried again.',
  CANCELLED: 'The invocation was cancelled.',
  ENDED: 'The invocation had already ended.',
  MODULE_ERROR: 'The module threw an error.',
  NO_METHOD: 'The module has no such method.',
  LOAD_FAILED: 'The module could not be loaded.',
  DB_REFUSED: 'The statement is not one that a module may run.',
  DB_ERROR: 'The database refused the statement.',
  DB_UNIQUE: 'A unique value exists already.',
  DB_USE_TRX: 'A transaction is open: use it instead of this.db.',
  DB_QUOTA: 'The storage granted to this installation is full.',
  NET_FAILED: 'The server could not be reached.',
  HTTP_FAILED: 'The request could not be carried out.',
  SMTP_FAILED: 'The mail server could not be reached, or did not take the mail.',
  STEP_IN_DOUBT: 'A request was sent in this step and its answer was never recorded.',
  REDIRECT: 'The module asked for a redirect.',
  INTERNAL: 'Something went wrong on our side; the cause is in the operator’s log.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** True for a text that is one of ERROR_CODES; what another side claims is never trusted to be one. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERROR_CODES, text);
}

/** What may be said about a failure: a code and a text. `data` holds details made for the receiver, for example errors by field. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly data?: unknown;
}

export type Envelope<T = unknown> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: WireError };

/** The one error class inside the host. Its message is fit to be read by the module's author or the tenant's admin. */
export class HostError extends Error {
  readonly code: ErrorCode;
  readonly data: unknown;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; data?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HostError';
    this.code = code;
    this.data = options.data;
  }

  toWire(): WireError {
    return this.data === undefined
      ? { code: this.code, message: this.message }
      : { code: this.code, message: this.message, data: this.data };
  }
}
