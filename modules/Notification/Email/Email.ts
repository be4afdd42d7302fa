/**
 * Mail through the tenant's own mail server: the guide's send() of a notification module, with what it left undefined. The conversation
 * with the server is the host's (`this.smtp`); the password never comes here.
 */
import { CapabilityError, Notification, rules, v } from 'bulkhead';
import type { ActionAnswer, Data, Message } from 'bulkhead';
import { buildMailerConfiguration, NotificationMail } from './services/NotificationMail.ts';
import { plainText } from './services/plain-text.ts';

const UNPROCESSABLE = 422;

export default class Email extends Notification {
  /** The guide's: server, port, encryption, credentials, sender. */
  override getModuleData(data: Data): Data {
    return {
      ...data,
      server: data['server'] ?? '',
      port: Number(data['port'] ?? 587),
      encryption: data['encryption'] ?? 'starttls',
      username: data['username'] ?? '',
      password: data['password'] ?? '',
      from_email: data['from_email'] ?? '',
      from_name: data['from_name'] ?? '',
    };
  }

  async send(data: Message): Promise<ActionAnswer> {
    const validator = this.validate(
      v.object({
        to: rules.email(),
        subject: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
        message: v.pipe(v.string(), v.minLength(1)),
      }),
      data,
    );
    if (validator.status === 'error') return { ...validator, retry: false };

    const mailer = buildMailerConfiguration(this.module_data);
    if (mailer === undefined)
      return { status: 'error', message: this.t('not_configured'), code: UNPROCESSABLE };
    const { to, subject, message } = validator.data;
    const mail = new NotificationMail(
      to,
      subject,
      message,
      data.attachments ?? [],
      data.text_mini ?? plainText(message),
    );
    try {
      const sent = await this.smtp.send({ ...mailer, ...mail.content() });
      this.logInfo('send', { to, subject }, { response: sent.response, message_id: sent.message_id });
      return { status: 'success', data: { message_id: sent.message_id, response: sent.response } };
    } catch (error) {
      return this.#failed(error, { to, subject });
    }
  }

  #failed(error: unknown, request: Data): ActionAnswer {
    if (!(error instanceof CapabilityError)) throw error;
    const told = v.safeParse(v.object({ temporary: v.boolean() }), error.data);
    this.logError('send', request, { code: error.code, message: error.message });
    // What a mail server refuses for good is refused the next time too.
    return { status: 'error', message: error.message, retry: told.success && told.output.temporary };
  }
}
