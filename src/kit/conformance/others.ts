/** What holds for every Payment and every Notification. */
import * as v from 'valibot';
import { ActionResult } from '../../../sandbox/contract/kinds/module.ts';
import type { Case } from './case.ts';
import { must } from './case.ts';

const moduleData: Case = {
  name: 'makes module_data of any settings, the same each time',
  async run({ module }) {
    const none = await module.call('getModuleData', {});
    must(
      typeof none === 'object' && none !== null && !Array.isArray(none),
      'getModuleData() must return an object',
    );
    await module.call('getModuleData', { unknown: { deep: [1, null] }, sandbox: 'on' });
    const again = await module.call('getModuleData', none);
    must(
      JSON.stringify(again) === JSON.stringify(none),
      'getModuleData() changed what it had returned itself',
    );
  },
};

const settingsPage: Case = {
  name: 'draws its settings page without settings',
  applies: ({ declaration }) => declaration.own_methods.includes('getSettingsPage'),
  async run({ module }) {
    const html = await module.call('getSettingsPage', { webhook_url: 'https://panel.example.com/hooks/x' });
    must(typeof html === 'string', 'getSettingsPage() must return HTML');
  },
};

const pay: Case = {
  name: 'shows a client how to pay an invoice',
  applies: ({ options }) => options.invoice !== undefined,
  async run({ module, options }) {
    const answer = await module.call('getClientAreaHtml', { invoice: options.invoice });
    const shown = typeof answer === 'string' ? answer : JSON.stringify(answer);
    must(shown !== '' && shown !== 'null', 'getClientAreaHtml() gave nothing');
  },
};

const badMessages: Case = {
  name: 'answers a message it cannot send with an error, not a crash',
  async run({ module }) {
    for (const message of [
      { to: '', subject: '', message: '' },
      { to: 'nobody', subject: 'x'.repeat(255), message: '<script>alert(1)</script>', type: 'error' },
      { to: 'a@example.com\r\nBcc: b@example.com', subject: 'Hi\r\nBcc: c@example.com', message: 'Hello' },
    ]) {
      const answer = await module.call('send', message).catch(() => ({ status: 'error' }));
      must(
        v.is(ActionResult, answer),
        `send(${JSON.stringify(message).slice(0, 80)}) answered in no known shape`,
      );
    }
  },
};

const send: Case = {
  name: 'sends a message',
  applies: ({ options }) => options.message !== undefined,
  async run({ module, options }) {
    const answer = v.parse(ActionResult, await module.call('send', options.message));
    must(answer.status === 'success' || answer.success === true, `send() answered ${JSON.stringify(answer)}`);
  },
};

export const paymentCases: readonly Case[] = [moduleData, settingsPage, pay];
export const notificationCases: readonly Case[] = [moduleData, settingsPage, badMessages, send];
