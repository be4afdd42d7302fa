/** The bounds of one outbound request. The contract's where it has them; the others have their home here. */
import { LIMITS } from '../../../sandbox/contract/limits.ts';

export const HTTP_LIMITS = Object.freeze({
  redirects: LIMITS.httpRedirects,
  requestBytes: LIMITS.httpRequestBytes,
  /** After decompression. */
  responseBytes: LIMITS.httpResponseBytes,
  /** What a response may take on the wire: an endless run of empty compressed blocks decompresses to nothing. */
  wireBytes: LIMITS.httpResponseBytes + 64 * 1024,
  firstByteMs: LIMITS.httpFirstByteMs,
  totalMs: LIMITS.httpTotalMs,
  /** To one address; the next one is tried after. */
  connectMs: 10_000,
  /** Addresses of one name that are tried. */
  addressesTried: 4,
  urlCharacters: 8_192,
  requestHeaders: 100,
  requestHeaderBytes: 32 * 1024,
  responseHeaderBytes: 32 * 1024,
  /** A connection waits so long for the next request; less if the other side says so. */
  keptIdleMs: 4_000,
  /** No connection serves for longer: its certificate was looked at when it was opened. */
  keptLifeMs: 60_000,
  keptPerInstallation: 10,
  /** Of all installations. */
  kept: 200,
});

export type HttpLimits = Readonly<Record<keyof typeof HTTP_LIMITS, number>>;
