/**
 * Builds the message. What a module gives is content only: nothing of it may name a file or an address to read from, which nodemailer
 * would otherwise do, and no line of it may become a header.
 */
import { randomUUID } from 'node:crypto';
import MailComposer from 'nodemailer/lib/mail-composer';

import type { OpArgument } from '../../../sandbox/contract/capabilities.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';

type Input = OpArgument<'smtp', 'send'>;
type Mailbox = Input['from'];

export interface BuiltMessage {
  readonly bytes: Buffer;
  readonly messageId: string;
  readonly from: string;
  readonly recipients: readonly string[];
}

export function addressOf(mailbox: Mailbox): string {
  return typeof mailbox === 'string' ? mailbox : mailbox.address;
}

/** Always an object: a text would be parsed again, and one name could become two recipients. */
function parsed(mailbox: Mailbox): { name: string; address: string } {
  return typeof mailbox === 'string' ? { name: '', address: mailbox } : mailbox;
}

/**
 * @param key the first half of its Message-ID
 * @throws HostError LIMIT for a message that is too large
 */
export async function buildMessage(
  input: Input,
  maxBytes: number,
  key: string = randomUUID(),
): Promise<BuiltMessage> {
  const from = addressOf(input.from);
  const messageId = `<${key}@${from.slice(from.lastIndexOf('@') + 1)}>`;
  const composed = new MailComposer({
    from: parsed(input.from),
    to: input.to.map(parsed),
    cc: input.cc.map(parsed),
    ...(input.reply_to === undefined ? {} : { replyTo: parsed(input.reply_to) }),
    subject: input.subject,
    messageId,
    // A Buffer is content and nothing else; a text could be a descriptor in a later version.
    ...(input.text === undefined ? {} : { text: Buffer.from(input.text, 'utf8') }),
    ...(input.html === undefined ? {} : { html: Buffer.from(input.html, 'utf8') }),
    attachments: input.attachments.map(({ filename, type, base64 }) => ({
      filename,
      contentType: type,
      content: Buffer.from(base64, 'base64'),
    })),
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: 'win',
  });
  const bytes = await composed.compile().build();
  if (bytes.length > maxBytes)
    throw new HostError('LIMIT', `smtp: a mail has at most ${maxBytes} bytes with its attachments.`);
  const recipients = [...new Set([...input.to, ...input.cc, ...input.bcc].map(addressOf))];
  return { bytes, messageId, from, recipients };
}
