/**
 * Slack messages, the guide's "Slack Notification Module" ported line by line. The webhook's address is a secret: what the module holds in
 * its place is a handle, which the host replaces on the way out, towards the server of the settings only.
 */
import { HttpError, Notification } from 'bulkhead';
import type { ActionAnswer, Http, Message } from 'bulkhead';

const TIMEOUT_S = 10;
const OK = 200;

/** Slack's own three: without them a client named '<!channel>' calls everybody, and a link may say another address than its own. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export default class SlackNotification extends Notification {
  readonly #client: ReturnType<Http['client']>;

  constructor() {
    super();
    this.#client = this.http.client({ timeout: TIMEOUT_S });
  }

  async send(data: Message): Promise<ActionAnswer> {
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
}
