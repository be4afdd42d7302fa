/** The bounds of one SMTP conversation. The contract's where it has them; the others have their home here. */
import { LIMITS } from '../../../sandbox/contract/limits.ts';

export const SMTP_LIMITS = Object.freeze({
  /** The whole conversation, name look-up included. */
  totalMs: LIMITS.smtpTotalMs,
  /** To one address; the next one is tried after. */
  connectMs: 10_000,
  /** Until the server's greeting, and again for each pause. */
  silenceMs: 20_000,
  /** The message as it goes over the wire. */
  messageBytes: LIMITS.mailMessageBytes,
  /** One answer of the server. */
  responseBytes: 64 * 1024,
  /** What is told of an answer. */
  responseCharacters: 300,
});

export type SmtpLimits = Readonly<Record<keyof typeof SMTP_LIMITS, number>>;
