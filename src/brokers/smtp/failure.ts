/**
 * Why a mail could not be handed over, as a closed set of reasons. `isTemporary` tells a sender whether another try makes sense: a
 * server that is busy is asked again, one that refuses the recipient is not.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { reasonOfCode } from '../http/failure.ts';

export const SMTP_FAILURES = {
  dns: 'the mail server’s name has no address; check its spelling',
  unreachable: 'the mail server cannot be reached; check host and port',
  tls: 'no trusted TLS connection to the mail server; its certificate must be valid for this very host',
  timeout: 'the mail server did not answer in time',
  auth: 'the mail server refused the user name or password',
  refused: 'the mail server refused the mail',
  busy: 'the mail server does not take the mail now',
  protocol: 'the mail server does not speak SMTP, or not as agreed',
} as const;

export type SmtpReason = keyof typeof SMTP_FAILURES;

const TEMPORARY: ReadonlySet<SmtpReason> = new Set(['dns', 'unreachable', 'timeout', 'busy']);

/** SMTP_FAILED with `data.reason`, `data.temporary` and what the server said, if anything. */
export function smtpFailed(reason: SmtpReason, said = '', cause?: unknown): HostError {
  const why = SMTP_FAILURES[reason];
  const text = said === '' ? `smtp: ${why}.` : `smtp: ${why}. It said: ${said}`;
  return new HostError('SMTP_FAILED', text, {
    cause,
    data: { reason, temporary: TEMPORARY.has(reason) },
  });
}

interface SmtpError {
  readonly code: string;
  /** The system's, before nodemailer put its own there. */
  readonly originalCode: string;
  readonly responseCode: number;
  readonly response: string;
}

/** The fields nodemailer puts on its errors. */
function fieldsOf(error: unknown): SmtpError {
  const isError = error instanceof Error;
  return {
    code: isError && 'code' in error && typeof error.code === 'string' ? error.code : '',
    originalCode:
      isError && 'originalCode' in error && typeof error.originalCode === 'string' ? error.originalCode : '',
    responseCode:
      isError && 'responseCode' in error && typeof error.responseCode === 'number' ? error.responseCode : 0,
    response: isError && 'response' in error && typeof error.response === 'string' ? error.response : '',
  };
}

/** True if the server said that it does not take the mail. */
export function wasRefused(error: unknown): boolean {
  const { responseCode } = fieldsOf(error);
  return responseCode >= 400 && responseCode < 600;
}

function reasonOf({ code, originalCode, responseCode }: SmtpError): SmtpReason {
  // 4xx means: not now. An answer to AUTH counts as one about the password only if it is final.
  if (responseCode >= 400 && responseCode < 500) return 'busy';
  if (code === 'EAUTH' || code === 'ENOAUTH') return 'auth';
  if (code === 'ETLS' || code === 'EREQUIRETLS') return 'tls';
  if (code === 'ETIMEDOUT') return 'timeout';
  if (responseCode >= 500) return 'refused';
  if (code === 'ECONNECTION' || code === 'ESOCKET')
    return reasonOfCode(originalCode) === 'tls' ? 'tls' : 'unreachable';
  return 'protocol';
}

/**
 * What nodemailer reported, as ours.
 * @param clean takes secret values out of what the server said
 */
export function asSmtpFailure(error: unknown, clean: (text: string) => string): HostError {
  if (error instanceof HostError) return error;
  const fields = fieldsOf(error);
  return smtpFailed(reasonOf(fields), clean(fields.response), error);
}
