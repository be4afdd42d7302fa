/**
 * smtp: one mail over one SMTP conversation, held by the host. The module says what is in the mail and which server takes it; the
 * host builds the message, connects to the address that it checked, and puts the password in. For modules that are senders.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { mailServerCovers, mailServerInWords, MailServerText } from '../mail-server.ts';
import { op } from '../op.ts';

export const SMTP_ENCRYPTIONS = ['tls', 'starttls', 'none'] as const;

/** One line of text: a control character in it could begin a header of its own. */
export const HeaderText = v.pipe(
  v.string(),
  v.maxLength(LIMITS.mailSubjectCharacters),
  v.regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'a text of one line is expected, without control characters'),
);
/** An address as SMTP without extensions knows it; an international domain is written in punycode. */
export const MailAddress = v.pipe(
  v.string('a mail address is expected'),
  v.maxLength(254),
  v.regex(
    /^(?!\.)(?!.*\.\.)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(?<!\.)@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
    'a mail address such as "name@example.com" is expected',
  ),
);
const Mailbox = v.union([
  MailAddress,
  v.strictObject({ address: MailAddress, name: v.optional(HeaderText, '') }),
]);
const Mailboxes = v.pipe(v.array(Mailbox), v.maxLength(LIMITS.mailRecipients));

export const MailAttachment = v.object({
  filename: v.pipe(
    HeaderText,
    v.minLength(1),
    v.regex(/^[^/\\]+$/, 'a file name without folders is expected'),
  ),
  type: v.optional(
    v.pipe(v.string(), v.maxLength(100), v.regex(/^[\w.+-]+\/[\w.+-]+$/, 'a media type is expected')),
    'application/octet-stream',
  ),
  base64: v.pipe(v.string(), v.base64('the content in base64 is expected')),
});

export const smtp = capability({
  title: 'Sending mail through a mail server',
  doc: 'Hand mail to the mail servers you allow.',
  icon: 'envelope',
  inherent: false,
  grant: {
    hosts: {
      sort: 'list',
      doc: 'Mail servers as host:port; {settings.field} for what is in the settings.',
      risk: 'medium',
      item: MailServerText,
      words: (server: string) => `Send mail through ${mailServerInWords(server)}.`,
      covers: mailServerCovers,
    },
    plain: {
      sort: 'switch',
      doc: 'Also without encryption. Towards this machine itself that is always allowed.',
      risk: 'high',
      words: () => 'Send mail and its password without encryption.',
    },
    per_minute: {
      sort: 'amount',
      doc: 'Mails a minute.',
      risk: 'low',
      unit: 'mails a minute',
      fallback: 60,
      max: 1_000,
      words: (n: number) => `Send at most ${n} mails a minute.`,
    },
  },
  ops: {
    send: op(
      'Sends one mail. `password` is a secret’s handle, put in by the host. Resolves when the server took the mail for at least one recipient.',
      v.object({
        host: v.pipe(v.string(), v.minLength(1), v.maxLength(253)),
        port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
        encryption: v.optional(v.picklist(SMTP_ENCRYPTIONS), 'starttls'),
        username: v.optional(v.pipe(v.string(), v.maxLength(320)), ''),
        password: v.optional(v.pipe(v.string(), v.maxLength(LIMITS.secretBytes)), ''),
        from: Mailbox,
        to: v.pipe(Mailboxes, v.minLength(1, 'at least one recipient is expected')),
        cc: v.optional(Mailboxes, []),
        bcc: v.optional(Mailboxes, []),
        reply_to: v.optional(Mailbox),
        subject: HeaderText,
        text: v.optional(v.string()),
        html: v.optional(v.string()),
        attachments: v.optional(v.pipe(v.array(MailAttachment), v.maxLength(LIMITS.mailAttachments)), []),
        timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(LIMITS.smtpTotalMs))),
      }),
      v.object({
        accepted: v.array(v.string()),
        rejected: v.array(v.string()),
        /** The server's last words, for the log. */
        response: v.string(),
        message_id: v.string(),
      }),
    ),
  },
});
