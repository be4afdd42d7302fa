/** A received mail, read just far enough to be shown and searched: envelope, headers, subject and the rest as it came. */
import { FAKECLOUD_LIMITS } from './limits.ts';
import { integer, list, nullable, object, record, text } from './shape.ts';
import type { Of } from './shape.ts';

export const mailShape = object({
  seq: integer(),
  at: text(),
  /** The envelope: what MAIL FROM and RCPT TO said, whatever the headers claim. */
  from: text(),
  to: list(text()),
  /** The user name it was sent with; null when the server asked for none. */
  authenticatedAs: nullable(text()),
  /** By lower-case name; the first of each. */
  headers: record(text()),
  /** With encoded words (RFC 2047) decoded. */
  subject: text(),
  /** Everything after the headers, undecoded. */
  body: text(),
  /** The message as received, without the dots SMTP stuffs. */
  raw: text(),
});
export type Mail = Of<typeof mailShape>;
export type Envelope = Pick<Mail, 'from' | 'to' | 'authenticatedAs'>;

export class Mailbox {
  readonly mails: Mail[] = [];
  #seq = 0;

  add(envelope: Envelope, raw: Buffer): Mail {
    this.#seq += 1;
    const mail = {
      seq: this.#seq,
      at: new Date().toISOString(),
      ...envelope,
      ...readMessage(raw.toString('utf8')),
    };
    this.mails.push(mail);
    if (this.mails.length > FAKECLOUD_LIMITS.mails) this.mails.shift();
    return mail;
  }

  reset(): void {
    this.mails.length = 0;
  }
}

export function readMessage(raw: string): Pick<Mail, 'headers' | 'subject' | 'body' | 'raw'> {
  const end = raw.indexOf('\r\n\r\n');
  const head = end < 0 ? raw : raw.slice(0, end);
  const headers: Record<string, string> = {};
  for (const line of head.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim().toLowerCase();
    if (colon > 0 && !Object.hasOwn(headers, name)) headers[name] = line.slice(colon + 1).trim();
  }
  return {
    headers,
    subject: decodeWords(headers['subject'] ?? ''),
    body: end < 0 ? '' : raw.slice(end + 4),
    raw,
  };
}

/** `=?utf-8?B?…?=` and `?Q?`; other character sets are left as they came. */
function decodeWords(value: string): string {
  const joined = value.replaceAll(/\?=\s+=\?/g, '?==?');
  return joined.replaceAll(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_whole, encoding: string, data: string) => {
    if (encoding.toLowerCase() === 'b') return Buffer.from(data, 'base64').toString('utf8');
    const bytes = data.replaceAll('_', ' ').replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => `%${hex}`);
    return Buffer.from(percentBytes(bytes)).toString('utf8');
  });
}

function percentBytes(value: string): number[] {
  const parts = value.split(/(%[0-9a-f]{2})/i);
  return parts.flatMap((part) =>
    /^%[0-9a-f]{2}$/i.test(part) ? [Number.parseInt(part.slice(1), 16)] : [...Buffer.from(part)],
  );
}
