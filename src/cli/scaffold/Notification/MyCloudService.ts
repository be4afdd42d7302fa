/** My Cloud Service: where it carries messages to. */
import { Notification } from 'bulkhead';
import type { ActionAnswer, Data, Message } from 'bulkhead';

export default class MyCloudService extends Notification {
  /** The settings of one sender, with defaults; what is returned is this.module_data. */
  override getModuleData(data: Data = {}): Data {
    return { server: data['server'] ?? '' };
  }

  override getSettingsPage(data: Data): string {
    return this.view('admin_area.settings', data);
  }

  /** The host has checked the message; an error with a short text stands in the delivery log. */
  override async send(data: Message): Promise<ActionAnswer> {
    const { server } = this.module_data;
    if (typeof server !== 'string' || server === '')
      return { status: 'error', message: 'The address of the chat server is missing.' };
    try {
      await this.http.client({ baseURL: server, timeout: 10 }).post('/messages', {
        json: { to: data.to, title: data.title ?? data.subject, text: data.text_mini ?? data.message },
      });
      this.logInfo('send', { to: data.to, subject: data.subject });
      return { status: 'success' };
    } catch (error) {
      this.logError(
        'send',
        { subject: data.subject },
        error instanceof Error ? error.message : String(error),
      );
      return { status: 'error', message: 'The chat server did not take the message.' };
    }
  }
}
