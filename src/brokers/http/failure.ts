/**
 * Why a request could not be carried out, as a closed set of reasons with a text that helps the module's author. Texts never name an
 * address: what a name resolves to inside the operator's network is none of a module's business. The cause goes to the host's log.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';

export const FAILURES = {
  dns: 'the host name has no address; check its spelling',
  refused: 'the host refused the connection; check the port',
  unreachable: 'the host cannot be reached from here',
  tls: 'no trusted TLS connection; the certificate must be valid for this very host',
  timeout: 'no complete answer in time',
  too_large: 'the answer is larger than a module may receive; ask for fewer rows or fields',
  encoding: 'the answer is compressed in a way that cannot be read',
  protocol: 'the answer is not valid HTTP',
  reset: 'the connection was closed before the answer was complete',
  redirect: 'the answer redirects, and this was not to be followed any further',
} as const;

export type FailureReason = keyof typeof FAILURES;

/** HTTP_FAILED with `data.reason`. */
export function failed(reason: FailureReason, cause?: unknown): HostError {
  return new HostError('HTTP_FAILED', `http: ${FAILURES[reason]}.`, { cause, data: { reason } });
}

const REASON_OF: Readonly<Record<string, FailureReason>> = {
  ENOTFOUND: 'dns',
  ENODATA: 'dns',
  EAI_AGAIN: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  ESERVFAIL: 'dns',
  ECONNREFUSED: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  EACCES: 'unreachable',
  EPERM: 'unreachable',
  EINVAL: 'unreachable',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_OVERFLOW: 'too_large',
  HPE_HEADER_OVERFLOW: 'too_large',
  UND_ERR_SOCKET: 'reset',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  EPROTO: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  HOSTNAME_MISMATCH: 'tls',
};

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** The closed reason for what Node or undici reported. */
export function failureReason(error: unknown): FailureReason {
  return reasonOfCode(codeOf(error));
}

/** The same for the code alone. */
export function reasonOfCode(code: string): FailureReason {
  const known = Object.hasOwn(REASON_OF, code) ? REASON_OF[code] : undefined;
  if (known !== undefined) return known;
  return /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|ERR_OSSL)/.test(code) ? 'tls' : 'protocol';
}

/** Any error of a request as a HostError; ours pass unchanged. */
export function asFailure(error: unknown): HostError {
  return error instanceof HostError ? error : failed(failureReason(error), error);
}
