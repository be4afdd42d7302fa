/**
 * What a sender's send() gets, checked by the host before any module code runs (contract A21): the recipient by channel, the subject,
 * the message. A mistake is the guide's answer: errors by field, code 422.
 */
import * as v from 'valibot';
import { HeaderText, MailAddress } from '../../sandbox/contract/capabilities/smtp.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { LEVELS, type Channel } from './categories.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';

const Line = v.pipe(
  v.string('This field is required.'),
  HeaderText,
  v.trim(),
  v.minLength(1, 'This field is required.'),
);
const RECIPIENTS = {
  email: v.pipe(v.string('This field is required.'), v.trim(), MailAddress),
  chat: v.pipe(Line, v.maxLength(NOTIFICATION_LIMITS.recipientCharacters)),
  sms: v.pipe(
    v.string('This field is required.'),
    v.regex(/^\+[1-9]\d{5,14}$/, 'a phone number such as "+48123456789" is expected'),
  ),
} as const satisfies Readonly<Record<Channel, v.GenericSchema<string, string>>>;

const Content = v.object({
  subject: v.pipe(Line, v.maxLength(NOTIFICATION_LIMITS.subjectCharacters)),
  title: Line,
  message: v.pipe(
    v.string('This field is required.'),
    v.minLength(1, 'This field is required.'),
    v.maxLength(NOTIFICATION_LIMITS.messageCharacters),
  ),
  text_mini: v.pipe(v.string(), v.maxLength(NOTIFICATION_LIMITS.messageCharacters)),
  module: v.pipe(v.string(), v.maxLength(100)),
  type: v.picklist(LEVELS),
});

export interface SendPayload extends v.InferOutput<typeof Content> {
  readonly to: string;
}

/** @throws HostError BAD_INPUT with `data` {errors by field, code: 422} */
export function checkPayload(channel: Channel, payload: SendPayload): SendPayload {
  const parsed = v.safeParse(v.object({ ...Content.entries, to: RECIPIENTS[channel] }), payload);
  if (parsed.success) return parsed.output;
  const errors: Record<string, string[]> = {};
  for (const issue of parsed.issues) (errors[v.getDotPath(issue) ?? ''] ??= []).push(issue.message);
  const first = Object.entries(errors)[0];
  throw new HostError('BAD_INPUT', `notification: ${first?.[0] ?? ''}: ${first?.[1][0] ?? ''}`, {
    data: { errors, code: 422 },
  });
}

/** What is wrong with a recipient, in words; undefined if nothing is. */
export function channelAccepts(channel: Channel, to: string): string | undefined {
  const parsed = v.safeParse(RECIPIENTS[channel], to);
  return parsed.success ? undefined : parsed.issues[0].message;
}
