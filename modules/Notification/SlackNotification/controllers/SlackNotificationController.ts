/** The admin's page of messages: what was sent lately, what could not be and why, and a button that sends a test. */
import { Controller, json, v } from 'bulkhead';
import type { IncomingRequest, Reply } from 'bulkhead';
import type { Tables } from '../models/tables.ts';
import { Messages } from '../services/messages.ts';

const SHOWN = 50;
const TEST = 'Notification-SlackNotification-send-test';

export default class SlackNotificationController extends Controller<Tables> {
  async index(): Promise<string> {
    const messages = new Messages(this.db);
    const [latest, counts, instances] = await Promise.all([
      messages.latest(SHOWN),
      messages.counts(),
      this.tasks.instances(),
    ]);
    const names = new Map(instances.map(({ uuid, name }) => [uuid, name]));
    return this.view('admin_area.messages', {
      messages: latest.map((row) => ({ ...row, instance: names.get(row.instance_uuid ?? '') ?? '' })),
      counts,
      instances,
      may_test: this.auth?.hasPermission(TEST) ?? false,
    });
  }

  /** A page has no instance's settings: a task does. */
  async test(request: IncomingRequest): Promise<Reply> {
    const checked = this.validate(v.object({ instance: v.pipe(v.string(), v.uuid()) }), request.all());
    if (checked.status === 'error') return json({ success: false, errors: checked.message }, 422);
    await this.tasks.add({
      method: 'sendTestJob',
      params: {},
      instance: checked.data.instance,
      tags: ['test_message'],
    });
    return json({ success: true, message: this.t('messages.test_queued') });
  }
}
