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
  name: 'shows a client how to pay an invoice, or sends them where it may',
  async run({ module }) {
    const answer = await module.pay(await module.newInvoice());
    must(
      answer.kind === 'redirect' || (answer.kind === 'html' && answer.html.trim() !== ''),
      `getClientAreaHtml() answered ${answer.kind} ${answer.status}`,
    );
  },
};

const AMOUNT = 4_321;
const COPIES = 10;

const once: Case = {
  name: 'books what a delivery says once, however often and at once it comes',
  applies: ({ options }) => options.delivery !== undefined,
  async run({ module, options }) {
    const invoice = await module.newInvoice(AMOUNT);
    const paid = { uuid: invoice, amount: AMOUNT, currency: 'USD' };
    const { body, headers } = options.delivery?.(paid) ?? { body: '', headers: {} };
    const deliver = async (): Promise<void> => {
      const { status } = await module.webhook('POST', body, headers);
      must(status < 300, `a genuine delivery was answered with ${status}`);
    };
    await Promise.all(Array.from({ length: COPIES }, deliver));
    await deliver();
    const booked = await module.payments(invoice);
    must(
      booked.length === 1 && booked[0]?.amount === AMOUNT,
      `one payment of ${AMOUNT} is expected; booked: ${JSON.stringify(booked)}`,
    );
    const forged = await module.webhook('POST', `${body} `, headers).catch(() => ({ status: 400 }));
    must(forged.status >= 400, `a delivery whose bytes were changed was answered with ${forged.status}`);
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

export const paymentCases: readonly Case[] = [moduleData, settingsPage, pay, once];
export const notificationCases: readonly Case[] = [moduleData, settingsPage, badMessages, send];
