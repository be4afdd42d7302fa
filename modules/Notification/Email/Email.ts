/**
 * Mail through the tenant's own mail server: the guide's send() of a notification module, with what it left undefined. The conversation
 * with the server is the host's (`this.smtp`); the password never comes here.
 */
import { CapabilityError, Notification, rules, v } from 'bulkhead';
import type { ActionAnswer, Data, Message, Permission, Route, SidebarEntry } from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { Messages } from './services/messages.ts';
import { buildMailerConfiguration, NotificationMail } from './services/NotificationMail.ts';
import { plainText } from './services/plain-text.ts';
import { createTables } from './services/schema.ts';

const UNPROCESSABLE = 422;

function textOf(message: unknown): string {
  return typeof message === 'string' ? message : JSON.stringify(message);
}

export default class Email extends Notification<Tables> {
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
    const answer = await this.#sent(data);
    await this.#note(data, answer);
    return answer;
  }

  async #sent(data: Message): Promise<ActionAnswer> {
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

  // Admin pages

  override async activate(): Promise<string> {
    await createTables(this.db);
    return 'success';
  }

  override async update(): Promise<string> {
    return this.activate();
  }

  override adminPermissions(): Permission[] {
    return [
      { name: 'See messages', key: 'view-messages', description: 'What was sent lately, and to whom.' },
      { name: 'Send test messages', key: 'send-test', description: 'Send a test message.' },
    ];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: 'Sent mail',
        link: 'messages',
        active_links: ['messages'],
        permission: 'view-messages',
        icon: 'fas fa-envelope',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'messages',
        permission: 'view-messages',
        name: 'messages',
        controller: 'EmailController@index',
      },
      {
        method: 'post',
        uri: 'messages/test',
        permission: 'send-test',
        name: 'send-test',
        controller: 'EmailController@test',
      },
    ];
  }

  /** Queued by the admin's page: runs with the settings of the instance that was chosen there. */
  async sendTestJob(params: Data): Promise<ActionAnswer> {
    return this.send({
      to: String(params['to']),
      subject: this.t('test.subject'),
      title: this.t('test.subject'),
      message: this.t('test.message'),
      type: 'info',
    });
  }

  /** For the page only: a message that is out stays sent, also when its line cannot be written. */
  async #note(data: Message, answer: ActionAnswer): Promise<void> {
    const isSent = answer.status === 'success';
    try {
      const messages = new Messages(this.db);
      await messages.add({
        instance_uuid: this.instance?.uuid ?? null,
        recipient: data.to,
        subject: data.subject,
        status: isSent ? 'sent' : 'failed',
        error: isSent || answer.message === undefined ? '' : textOf(answer.message),
      });
      await messages.dropOld(this.now());
    } catch (error) {
      this.logError('messages', { to: data.to }, error instanceof Error ? error.message : String(error));
    }
  }
}
