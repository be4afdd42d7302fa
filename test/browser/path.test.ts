/**
 * The main job with a mouse, on the real host: from the store to a running service and back, as admin, client, another tenant and operator. The
 * tests of this file build on each other, as a day with the panel does.
 */
import { beforeAll, expect, test } from 'vitest';
import type { Page } from 'playwright-core';
import { moduleFrame, type Person, useStage } from './support/stage.ts';
import { answerDialog } from './support/dialog.ts';

const stage = useStage();
let admin: Person;
let client: Person;
let servicePath = '';

beforeAll(async () => {
  admin = await stage().signIn('admin');
  client = await stage().signIn('client');
});
const title = (page: Page) => page.locator('.page-title');
const menu = (page: Page, entry: string) =>
  page.click(`#sidebar .nav-link:has(.nav-link-title:text-is("${entry}"))`);
const note = (page: Page, text: string) => page.waitForSelector(`.alert-success >> text=${text}`);
const badge = (page: Page, text: string) => page.waitForSelector(`.badge:text-is("${text}")`);
const confirm = (page: Page) => answerDialog(page, 'yes');
/** Set once a page is open; gone when it was loaded anew. */
const mark = (page: Page) => page.evaluate('globalThis.stillTheSamePage = true');
const isMarked = (page: Page) => page.evaluate('globalThis.stillTheSamePage === true');

test('the admin finds the module in the store and installs it', async () => {
  const { page } = admin;
  await menu(page, 'Store');
  await page.fill('input[name=q]', 'vps');
  await page.press('input[name=q]', 'Enter');
  await page.click('.card-link >> text=VPS Hosting');
  await page.waitForSelector('text=Installing grants nothing.');
  await page.click('button >> text=Install 1.0.0');
  await note(page, 'The module is installed.');
  expect(await title(page).textContent()).toBe('VPS Hosting');
  expect(await page.locator('#sidebar >> text=VPS servers').count()).toBe(0);
});

test('decides line by line: all that is needed, less of it, and one host not at all', async () => {
  const { page } = admin;
  const enable = page.locator('button[data-enable]');
  expect(await enable.isDisabled()).toBe(true);
  const missing = Number(await page.locator('[data-missing-count]').textContent());
  await page.check('[id="grant:http.hosts:{settings.api_url}"]');
  expect(await page.locator('[data-missing-count]').textContent()).toBe(String(missing - 1));
  await page.click('[data-grant-all]');
  expect(await enable.isDisabled()).toBe(false);
  await page.fill('[name="amount:http.per_minute"]', '120');
  expect(await page.isChecked('[id="grant:http.hosts:api.digitalocean.com"]')).toBe(false);
  await enable.click();
  await note(page, 'The module is enabled.');
  await page.click('a.nav-link >> text=Permissions');
  expect(await page.inputValue('[name="amount:http.per_minute"]')).toBe('120');
  expect(await page.isChecked('[id="grant:http.hosts:api.digitalocean.com"]')).toBe(false);
  expect(await page.isChecked('[id="grant:http.hosts:{settings.api_url}"]')).toBe(true);
});

test('enters the settings; the key is never shown again', async () => {
  const { page } = admin;
  const { cloud, state } = stage().demo;
  await page.click('a.nav-link >> text=Settings >> nth=-1');
  await page.fill('#f_api_url', cloud.cloud);
  await page.fill('#f_api_key', state.cloud.token);
  await page.fill('#f_status_check_delay', '0.2');
  await page.fill('#f_retry_delay', '1');
  await page.click('main button[type=submit]');
  await note(page, 'The settings are saved.');
  expect(await page.inputValue('#f_api_key')).toBe('');
  expect(await page.getAttribute('#f_api_key', 'placeholder')).toContain('Set.');
  expect(await page.content()).not.toContain(state.cloud.token);
});

async function openNewProduct(page: Page, name: string): Promise<void> {
  await menu(page, 'Products');
  await page.click('text=New product');
  await page.click('button >> text=Go on');
  await page.fill('#name', name);
  await page.fill('[name="price:monthly"]', '5.00');
}

test('makes a product; what the module refuses stands at its field, and what was typed stays', async () => {
  const { page } = admin;
  await openNewProduct(page, 'VPS S');
  expect(await page.isVisible('[name="price:weekly"]')).toBe(false);
  await page.fill('#f_cpu_cores', '99');
  await page.click('main button >> text=Save');
  expect(await page.locator('#f_cpu_cores:invalid').count()).toBe(1);
  // The browser checks by the same declaration; what comes past it is checked by the host.
  await page.$$eval('main form', (forms) => forms.forEach((form) => form.setAttribute('novalidate', '')));
  const answer = page.waitForResponse((response) => response.request().method() === 'POST');
  await page.click('main button >> text=Save');
  expect((await answer).status()).toBe(422);
  expect(await page.locator('#f_cpu_cores ~ .invalid-feedback').textContent()).toMatch(/32/);
  expect(await page.inputValue('#f_cpu_cores')).toBe('99');
  expect(await page.inputValue('#name')).toBe('VPS S');
  expect(await page.inputValue('[name="price:monthly"]')).toBe('5.00');
  await page.fill('#f_cpu_cores', '1');
  await page.click('main button >> text=Save');
  await note(page, 'The product is saved.');
});

test('makes another, with a price of a rare period', async () => {
  const { page } = admin;
  await openNewProduct(page, 'VPS M');
  await page.fill('#f_cpu_cores', '2');
  await page.fill('#f_ram_mb', '2048');
  await page.click('summary >> text=More periods');
  await page.fill('[name="price:weekly"]', '2.00');
  await page.click('main button >> text=Save');
  await note(page, 'The product is saved.');
  expect(await page.isVisible('[name="price:weekly"]')).toBe(true);
});

test('the client orders, and the page becomes active while it is looked at', async () => {
  const { page } = client;
  await menu(page, 'Order');
  await page.click('.card-link:has-text("VPS S")');
  await page.fill('#f_hostname', 'not a host');
  await page.click('main button >> text=Order');
  await page.waitForSelector('#f_hostname ~ .invalid-feedback');
  await page.fill('#f_hostname', 'first.example.com');
  await page.click('main button >> text=Order');
  await page.waitForSelector('text=Your service is being prepared.');
  servicePath = new URL(page.url()).pathname;
  await mark(page);
  await badge(page, 'Active');
  expect(await (await moduleFrame(page)).locator('h2').textContent()).toContain('first.example.com');
  expect(await page.locator('text=being prepared').count()).toBe(0);
  expect(await isMarked(page)).toBe(true);
});

test('uses the module’s tabs: overview, console, snapshots, monitoring', async () => {
  const { page } = client;
  const frame = await moduleFrame(page);
  await frame.click('text=Show');
  await expect.poll(() => frame.locator('[data-vps-password]').textContent()).toMatch(/^\S{12,}$/);

  await page.click('.nav-tabs >> text=Console');
  await (await moduleFrame(page)).click('text=Open the console');
  await page.waitForSelector(`dialog >> text=wants to open ${stage().demo.cloud.cloud}`);
  const popup = client.context.waitForEvent('page');
  await answerDialog(page, 'yes');
  const consolePage = await popup;
  expect(consolePage.url()).toContain(stage().demo.cloud.cloud);
  expect(await consolePage.evaluate('window.opener')).toBe(null);
  await consolePage.close();

  await page.click('.nav-tabs >> text=Snapshots');
  await (await moduleFrame(page)).fill('#snapshot-name', 'before-update');
  await (await moduleFrame(page)).click('text=Take a snapshot');
  await page.waitForSelector('dialog >> text=The snapshot is being taken.');
  await answerDialog(page, 'yes');
  const row = async () => {
    await page.reload();
    return (await moduleFrame(page)).locator('td:text-is("before-update")').count();
  };
  await expect.poll(row, { timeout: 15_000 }).toBe(1);
  await (await moduleFrame(page)).click('tr:has-text("before-update") button');
  await page.waitForSelector('dialog >> text=The snapshot was deleted.');
  await answerDialog(page, 'yes');
  await expect.poll(row, { timeout: 15_000 }).toBe(0);

  await page.click('.nav-tabs >> text=Monitoring');
  expect(await (await moduleFrame(page)).locator('[data-vps-chart] polyline').count()).toBe(4);
});

test('the admin suspends, resumes and changes the package; status, buttons and timeline follow live', async () => {
  const { page } = admin;
  await menu(page, 'Services');
  await page.click('td a >> text=VPS S');
  expect(await page.locator('pre:has-text("root_password")').textContent()).toContain(
    '"root_password": "•••"',
  );
  await page.click('text=Suspend');
  await confirm(page);
  await note(page, 'Queued.');
  await mark(page);
  await badge(page, 'Suspended');
  await page.click('button:has-text("Unsuspend")');
  await note(page, 'Queued.');
  await mark(page);
  await page.waitForSelector('[data-live-part=actions] >> text=/^Suspend$/');
  await page.waitForSelector('.bh-what >> text=unsuspendJob: attempt 1 completed');
  expect(await isMarked(page)).toBe(true);
  await page.selectOption('select[name=product]', { label: 'VPS M' });
  await page.click('button:text-is("Change")');
  await note(page, 'Queued.');
  await page.waitForSelector('.bh-what >> text=change_packageJob: attempt 1 completed');
  await page.waitForSelector('.bh-what >> text=/Product: .*VPS M/');
});

test('a fault of the cloud fails the job with its reason; Retry mends it', async () => {
  const { control } = stage().demo.cloud;
  await control.addFault({
    match: { method: 'POST', path: '/v2/droplets' },
    kind: 'status',
    status: 500,
    forever: true,
  });
  await menu(client.page, 'Order');
  await client.page.click('.card-link:has-text("VPS S")');
  await client.page.fill('#f_hostname', 'second.example.com');
  await client.page.click('main button >> text=Order');
  await client.page.waitForSelector('text=Your service is being prepared.');

  const { page } = admin;
  await menu(page, 'Tasks');
  await page.click('tbody tr:first-child td:first-child a');
  expect(await title(page).textContent()).toBe('createJob');
  await mark(page);
  await page.waitForSelector('[data-live] .card:first-child .badge:text-is("Failed")');
  expect(await page.locator('text=attempt 3 of 3').count()).toBe(1);
  await page.waitForSelector('strong >> text=MODULE_ERROR');
  // Calls are written down a moment after they were made.
  await expect
    .poll(() => page.locator('.bh-what:has-text("POST") .badge:text-is("500")').count(), { timeout: 10_000 })
    .toBe(3);
  expect(await page.locator('.bh-what:has-text("attempt 2 failed")').count()).toBe(1);
  expect(await page.locator('.bh-what .badge:text-is("error")').count()).toBeGreaterThan(0);
  await control.clearFaults();
  await page.click('button >> text=Retry');
  await note(page, 'The task is queued again.');
  await page.waitForSelector('.bh-what >> text=/createJob: attempt \\d completed/');
  await badge(client.page, 'Active');
});

test('logs are found by level and text, with their details', async () => {
  const { page } = admin;
  await menu(page, 'Logs');
  await page.selectOption('select[name=level]', 'error');
  await page.waitForURL(/level=error/);
  const levels = await page.locator('.bh-level').allTextContents();
  expect(new Set(levels)).toEqual(new Set(['Error']));
  await page.selectOption('select[name=level]', '');
  await page.waitForURL(/level=(?:&|$)/);
  await page.fill('input[name=q]', 'suspendJob');
  await page.waitForURL(/q=suspendJob/);
  expect(await page.locator('tbody tr').count()).toBeGreaterThan(0);
  for (const text of await page.locator('tbody tr').allTextContents()) expect(text).toContain('uspendJob');
});

test('the module’s own pages in the sidebar work', async () => {
  const { page } = admin;
  await menu(page, 'VPS servers');
  let frame = await moduleFrame(page);
  expect(await frame.locator('tbody tr').count()).toBe(2);
  await frame.selectOption('#status', 'terminated');
  await frame.click('text=Show');
  await expect.poll(async () => (await moduleFrame(page)).locator('tbody tr').count()).toBe(0);
  expect(new URL(page.url()).search).toBe('?status=terminated');

  await menu(page, 'VPS images');
  frame = await moduleFrame(page);
  const debian = 'tr:has-text("debian-12")';
  await frame.click(`${debian} button`);
  await page.waitForSelector('dialog >> text=Clients cannot order this image any more.');
  await answerDialog(page, 'yes');
  await expect
    .poll(async () => (await moduleFrame(page)).locator(`${debian} button`).textContent())
    .toBe('Switch on');
});

test('another tenant sees none of it', async () => {
  const other = await stage().signIn('admin', { tenant: 'globex' });
  const { page } = other;
  for (const entry of ['Services', 'Products', 'Modules', 'Tasks', 'Logs']) {
    await menu(page, entry);
    expect(await page.locator('main').textContent()).not.toMatch(/VPS|example\.com|createJob/);
  }
  expect(await page.locator('#sidebar >> text=VPS').count()).toBe(0);
  const serviceId = servicePath.split('/').at(-1) ?? '';
  for (const path of [`/t/globex/admin/services/${serviceId}`, `/t/globex/m/service/${serviceId}/page`]) {
    const response = await page.goto(stage().origin + path);
    expect(response?.status()).toBeGreaterThanOrEqual(400);
    expect(await page.locator('body').textContent()).not.toContain('first.example.com');
  }
  await page.goto(`${stage().origin}/t/acme/admin`);
  expect(new URL(page.url()).pathname).toBe('/t/acme/admin/sign-in');
  await other.context.close();

  const guest = await stage().signIn('client', { tenant: 'globex' });
  await menu(guest.page, 'Order');
  await guest.page.waitForSelector('text=Nothing on sale yet');
  await guest.context.close();
});

test('the operator sees tenants, packages and runners', async () => {
  const operator = await stage().signIn('operator');
  const { page } = operator;
  await menu(page, 'Tenants');
  expect(await page.locator('tbody tr').allTextContents()).toHaveLength(2);
  await page.click('td a >> text=Acme Hosting');
  await page.waitForSelector('.list-group-item:has-text("VPSHosting") .badge:text-is("Enabled")');
  await menu(page, 'Packages');
  await page.click('td a >> text=VPSHosting');
  await page.waitForSelector('text=Send requests to api.digitalocean.com.');
  await menu(page, 'Runners');
  expect(await page.locator('tbody tr:has-text("Acme Hosting")').count()).toBe(1);
  expect(operator.complaints).toEqual([]);
  await operator.context.close();
});

test('the admin switches the module off: its pages and its tabs are gone, the services are kept', async () => {
  const { page } = admin;
  await menu(page, 'Modules');
  await page.click('td >> text=VPS Hosting');
  await page.click('button >> text=Disable');
  await confirm(page);
  await note(page, 'The module is disabled.');
  expect(await page.locator('#sidebar >> text=VPS').count()).toBe(0);
  await client.page.waitForSelector('text=Your service’s pages are not available at the moment.');
  expect(await client.page.locator('iframe').count()).toBe(0);
  await menu(page, 'Services');
  expect(await page.locator('tbody tr').count()).toBe(2);
});

test('nothing of it was worth a complaint, in the browsers’ consoles or to the operator', () => {
  // Chromium says each refused form (422) to the console.
  const told = [...admin.complaints, ...client.complaints].filter((line) => !line.includes('status of 422'));
  expect(told).toEqual([]);
  expect(stage().faults).toEqual([]);
});
