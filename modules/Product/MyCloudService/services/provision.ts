/** Errors of provisioning: what an admin finds in the log, and the short text that everybody else gets. */
import type { Failure, Result, Success } from './CloudAPIClient.ts';

/** The module is not set up to do this. */
export class InvalidConfiguration extends Error {}

/** The other side refused or did not answer. */
export class ExternalServiceError extends Error {
  readonly httpCode: number;

  constructor({ error, http_code }: Failure) {
    super(error);
    this.httpCode = http_code;
  }
}

/** @throws ExternalServiceError, so that a step which failed is not taken for finished */
export function orThrow(result: Result): Success {
  if (result.status === 'error') throw new ExternalServiceError(result);
  return result;
}

export function shortText(error: unknown): string {
  if (error instanceof InvalidConfiguration) return 'Invalid configuration';
  if (error instanceof ExternalServiceError) return 'External service unavailable';
  return 'Internal error occurred';
}

export function detail(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
