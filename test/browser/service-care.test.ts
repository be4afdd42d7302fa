/** What a module offers beside the lifecycle, with a mouse: buttons, a new password, signing on in another tab, usage, the comparison. */
import { beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { answerDialog } from './support/dialog.ts';
import { type Person, useStage } from './support/stage.ts';
import { VPS, VPS_SMALL, vpsSettings } from './support/story.ts';

const stage = useStage();
let admin: Person;
let client: Person;
let serviceId = '';

beforeAll(async () => {
  const { acme, demo } = stage();
  await acme.installed(VPS, vpsSettings(demo));
  const product = await acme.product(VPS, 'VPS', VPS_SMALL);
  serviceId = await acme.order(product, { hostname: 'one.example.com', image_id: 'debian-12' });
  await acme.reached(serviceId, 'completed', 'active');
  while ((await demo.server.bulkhead.careRound()) > 0);
  admin = await stage().signIn('admin');
  client = await stage().signIn('client');
});

const open = (person: Person) => person.page.goto(`${stage().origin}${person.home}/services/${serviceId}`);
const success = (page: Page, text: string) => page.waitForSelector(`.alert-success >> text=${text}`);

test('the client restarts the server after a question, and reads how it went', async () => {
  const { page } = client;
  await open(client);
  await page.click('main button:has-text("Restart")');
  await answerDialog(page, 'no');
  expect(await page.locator('.alert-success').count()).toBe(0);
  await page.click('main button:has-text("Restart")');
  await answerDialog(page, 'yes');
  await success(page, 'Restart: done.');
  expect(await page.locator('main button:has-text("Compare")').count()).toBe(0);
});

test('gets a new password, sees it once, and cannot find it again', async () => {
  const { page } = client;
  await open(client);
  await page.click('main a:has-text("New password")');
  await page.fill('#password', 'short');
  await page.click('main button[type=submit]');
  await page.waitForSelector('.invalid-feedback >> text=8 to 128 characters');
  await page.click('main button[type=submit]');
  const shown = await page.inputValue('#new-password');
  expect(shown).toMatch(/^.{20}$/);
  expect(page.url()).not.toContain(shown);
  await page.click('main a:has-text("Back to the service")');
  expect(await page.content()).not.toContain(shown);
  await page.goto(`${stage().origin}${client.home}/services/${serviceId}/-/password`);
  expect(await page.content()).not.toContain(shown);
});

test('signs on at the provider in another tab, which knows nothing of this one', async () => {
  const { page, context } = client;
  await open(client);
  const tab = context.waitForEvent('page');
  await page.click('main button:has-text("Sign on")');
  const opened = await tab;
  await opened.waitForURL(`${stage().demo.cloud.cloud}/console/*`);
  expect(await opened.evaluate('[globalThis.opener, document.referrer]')).toEqual([null, '']);
  await opened.close();
});

test('the admin compares, sees what the server uses, and finds all of it in the timeline', async () => {
  const { page } = admin;
  await open(admin);
  expect(await page.locator('progress').count()).toBe(2);
  await page.waitForSelector('text=/ 25 GB');
  await page.click('main button:has-text("Compare with the server")');
  await success(page, 'The comparison is done.');
  await page.waitForSelector('text=Everything is as it is kept here.');
  for (const text of ['Button “Restart”', 'New password', 'Signed on', 'Compared with the server'])
    await page.waitForSelector(`.bh-timeline >> text=${text}`);
});

test('tests the connection on the settings page and on the product’s', async () => {
  const { page } = admin;
  const installationId = await stage().acme.installationId(VPS);
  await page.goto(`${stage().origin}${admin.home}/installations/${installationId}/settings`);
  await page.click('main button:has-text("Test the connection")');
  await success(page, 'The connection works.');
  await page.goto(`${stage().origin}${admin.home}/products/${await stage().acme.productNamed('VPS')}`);
  await page.click('main button:has-text("Test the connection")');
  await success(page, 'The connection works.');
  expect([...admin.complaints, ...client.complaints].filter((text) => !text.includes('422'))).toEqual([]);
});
