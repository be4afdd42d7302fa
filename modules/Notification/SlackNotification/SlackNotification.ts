/**
 * Slack messages, the guide's "Slack Notification Module" ported line by line. The webhook's address is a secret: what the module holds in
 * its place is a handle, which the host replaces on the way out, towards the server of the settings only.
 */
import { HttpError, Notification } from 'bulkhead';
import type { ActionAnswer, Http, Message, Permission, Route, SidebarEntry } from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { Messages } from './services/messages.ts';
import { createTables } from './services/schema.ts';

const TIMEOUT_S = 10;
const OK = 200;

/** Slack's own three: without them a client named '<!channel>' calls everybody, and a link may say another address than its own. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function textOf(message: unknown): string {
  return typeof message === 'string' ? message : JSON.stringify(message);
}

export default class SlackNotification extends Notification<Tables> {
  readonly #client: ReturnType<Http['client']>;

  constructor() {
    super();
    this.#client = this.http.client({ timeout: TIMEOUT_S });
  }

  async send(data: Message): Promise<ActionAnswer> {
    const answer = await this.#sent(data);
    await this.#note(data, answer);
    return answer;
  }

  async #sent(data: Message): Promise<ActionAnswer> {
    try {
      const webhookUrl = this.module_data['webhook_url'] ?? '';
      if (typeof webhookUrl !== 'string' || webhookUrl === '')
        return { status: 'error', message: this.t('not_configured'), code: 422 };

      const response = await this.#client.post(webhookUrl, { json: this.buildSlackMessage(data) });
      if (response.status === OK) {
        this.logInfo('send', 'Slack notification sent', data);
        return { status: 'success' };
      }
      return this.#refused(response.status, response.text());
    } catch (error) {
      if (error instanceof HttpError) return this.#refused(error.status, error.body);
      const message = error instanceof Error ? error.message : String(error);
      this.logError('send', 'Slack notification failed', message);
      return { status: 'error', message };
    }
  }

  #refused(status: number, body: unknown): ActionAnswer {
    this.logError('send', 'Slack API error', { status_code: status, body });
    return { status: 'error', message: 'Slack API error', code: status };
  }

  buildSlackMessage(data: Message): object {
    return {
      attachments: [
        {
          color: this.getColorForType(data.type ?? 'info'),
          title: plain(data.title ?? data.subject),
          text: plain(data.message),
          fields: [
            { title: 'Time', value: this.now().toDateTimeString(), short: true },
            { title: 'Module', value: data.module ?? 'System', short: true },
          ],
          footer: this.module_data['footer'] ?? 'PUQcloud',
          ts: Math.floor(Date.now() / 1_000),
        },
      ],
    };
  }

  getColorForType(type: string): string {
    switch (type) {
      case 'error':
        return 'danger';
      case 'warning':
        return 'warning';
      case 'success':
        return 'good';
      default:
        return '#36a64f';
    }
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
        title: 'Slack messages',
        link: 'messages',
        active_links: ['messages'],
        permission: 'view-messages',
        icon: 'fab fa-slack',
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
        controller: 'SlackNotificationController@index',
      },
      {
        method: 'post',
        uri: 'messages/test',
        permission: 'send-test',
        name: 'send-test',
        controller: 'SlackNotificationController@test',
      },
    ];
  }

  /** Queued by the admin's page: runs with the settings of the instance that was chosen there. */
  async sendTestJob(): Promise<ActionAnswer> {
    return this.send({
      to: '',
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
