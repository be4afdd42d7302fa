/**
 * The host's own mail, for what belongs to accounts and not to a tenant's modules: links to a new password. The operator names the server
 * (BULKHEAD_SMTP_URL, BULKHEAD_MAIL_FROM); without it no mail is sent, and the pages say so.
 */
import { createTransport } from 'nodemailer';
import { HostError } from '../../sandbox/contract/envelope.ts';

export interface HostMail {
  /** @throws Error when the server does not take it */
  send(mail: { readonly to: string; readonly subject: string; readonly text: string }): Promise<void>;
}

const WAIT_MS = 20_000;

/** @throws BAD_INPUT for settings that cannot be right */
export function openHostMail(env: Readonly<Record<string, string | undefined>>): HostMail | undefined {
  const address = env['BULKHEAD_SMTP_URL'] ?? '';
  if (address === '') return undefined;
  const url = URL.parse(address);
  if (url === null || !/^smtps?:$/.test(url.protocol) || url.hostname === '')
    throw new HostError(
      'BAD_INPUT',
      'BULKHEAD_SMTP_URL is no mail server; write smtp://user:password@mail.example.com:587.',
    );
  const from = env['BULKHEAD_MAIL_FROM'] ?? '';
  if (!/^[^\r\n]*@[^\r\n]+$/.test(from))
    throw new HostError('BAD_INPUT', 'BULKHEAD_MAIL_FROM is no sender; write Panel <panel@example.com>.');
  const transport = createTransport({
    url: address,
    connectionTimeout: WAIT_MS,
    greetingTimeout: WAIT_MS,
    socketTimeout: WAIT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send({ to, subject, text }) {
      await transport.sendMail({ from, to: { name: '', address: to }, subject, text });
    },
  };
}
