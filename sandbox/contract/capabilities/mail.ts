/**
 * mail: a mail to one person of the tenant's own, a client or staff, through the tenant's senders. Nobody else can be written to, so that
 * a module cannot become a source of unwanted mail.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { MESSAGE_TYPES } from '../kinds/notification.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';
import { HeaderText, MailAddress } from './smtp.ts';

const Subject = v.pipe(HeaderText, v.trim(), v.minLength(1, 'a subject is expected'));
const Words = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(LIMITS.noticeWords));
export const Notice = {
  subject: Subject,
  /** Plain text; an empty line begins a paragraph. */
  message: Words,
  type: v.optional(v.picklist(MESSAGE_TYPES), 'info'),
} as const;

export const mail = capability({
  title: 'Mail to your clients and staff',
  doc: 'Write to people of yours, through your own senders.',
  icon: 'envelope-open-text',
  inherent: false,
  grant: {
    per_hour: {
      sort: 'amount',
      doc: 'Mails an hour.',
      risk: 'medium',
      unit: 'mails an hour',
      fallback: 100,
      max: 10_000,
      words: (n: number) => `Write to your clients and staff, at most ${n} mails an hour.`,
    },
    html: {
      sort: 'switch',
      doc: 'Design the mail itself, as HTML within your layout.',
      risk: 'high',
      words: () => 'Design its mails itself (HTML within your layout).',
    },
  },
  ops: {
    send: op(
      'Queues one mail. `to` is the address of a client or an admin of the tenant.',
      v.object({ to: MailAddress, ...Notice, html: v.optional(Words) }),
      v.object({ uuid: v.string() }),
    ),
  },
});
