import { answerDialog } from '../browser/support/dialog.ts';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type BrowserContext, type Frame, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';
import { PASSWORD } from './support/seed.ts';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const panel = usePanel();

/** What a hostile page would try, each attempt with what came of it, in window.tried. */
const HOSTILE = `
const tried = (globalThis.tried = {});
const attempt = (name, act) => { try { tried[name] = 'OK ' + String(act()); } catch (error) { tried[name] = error.name; } };
attempt('parent.document', () => parent.document.title);
attempt('cookie', () => document.cookie);
attempt('localStorage', () => localStorage.length);
attempt('top.location', () => { top.location = '/evil'; });
attempt('window.open', () => String(window.open('/t/acme/admin')));
attempt('RTCPeerConnection', () => new RTCPeerConnection({ iceServers: [] }));
attempt('eval', () => eval('1'));
fetch('/t/acme/admin').then(() => { tried.fetch = 'OK'; }, (error) => { tried.fetch = error.name; });
fetch('EVIL/x').then(() => { tried.evil = 'OK'; }, (error) => { tried.evil = error.name; });
const image = new Image(); image.onload = () => { tried.image = 'OK'; }; image.onerror = () => { tried.image = 'refused'; }; image.src = 'EVIL/pixel';
tried.inline = globalThis.inline === 1;
`;
const PAGE = `<h1>Page of a module</h1><script>globalThis.inline = 1</script>
<a id="link" href="servers/7?x=1">inside</a> <a id="operator" href="/operator/tenants">operator</a> <a id="out" href="https://checkout.stripe.com/pay">out</a> <a id="evil" href="https://evil.test/">evil</a>
<form id="form" method="post" action="servers/7/reboot"><input name="hard" value="1"><button>Send</button></form>
<form id="native" method="post" action="/operator/tenants/new"><input name="a" value="1"><button>Native</button></form>
<div id="out-text"></div><script src="/-assets-/js/app.js"></script>`;

describe.skipIf(!existsSync(CHROMIUM))('a module’s frame in Chromium', () => {
  const evil = createServer((request, response) => {
    evilSaw.push(request.url ?? '');
    response.setHeader('access-control-allow-origin', '*').end('x');
  });
  const evilSaw: string[] = [];
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    const { port } = evil.address() as AddressInfo;
    const script = HOSTILE.replaceAll('EVIL', `http://127.0.0.1:${port}`);
    Object.assign(panel().deps.modules, { asset: async () => Buffer.from(script) });
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(`${panel().origin}/t/acme/admin/sign-in`);
    await page.fill('#email', 'olga@acme.test');
    await page.fill('#password', PASSWORD);
    await page.click('button[type=submit]');
  });
  afterAll(async () => {
    await browser?.close();
    await new Promise((resolve) => evil.close(resolve));
  });

  const frame = async (): Promise<Frame> => {
    const element = await page.waitForSelector('iframe[data-module-frame]');
    const inside = await element.contentFrame();
    if (inside === null) throw new Error('no frame');
    await inside.waitForSelector('html[data-bs-theme]', { state: 'attached' });
    return inside;
  };
  const lastCall = () => panel().deps.called.at(-1)?.input;

  beforeEach(async () => {
    panel().deps.answer = { kind: 'html', status: 200, html: PAGE };
    await page.goto(`${panel().origin}/t/acme/admin/modules/Product/VPSHosting/servers`);
    await frame();
    panel().deps.called.length = 0;
  });

  test('reaches neither the panel, nor its storage, nor the network', async () => {
    const inside = await frame();
    await expect.poll(() => inside.evaluate('Boolean(tried.fetch && tried.evil && tried.image)')).toBe(true);
    expect(await inside.evaluate('tried')).toEqual({
      'parent.document': 'SecurityError',
      cookie: 'SecurityError',
      localStorage: 'SecurityError',
      'top.location': 'SecurityError',
      'window.open': 'OK null',
      RTCPeerConnection: 'TypeError',
      eval: 'EvalError',
      fetch: 'TypeError',
      evil: 'TypeError',
      image: 'refused',
      inline: false,
    });
    expect(evilSaw).toEqual([]);
    expect(await inside.evaluate('self.origin')).toBe('null');
  });

  test('is as high as its page and follows the panel’s theme', async () => {
    const height = async (): Promise<number> => (await (await page.$('iframe'))?.boundingBox())?.height ?? 0;
    const inside = await frame();
    await inside.evaluate(
      "document.body.append(Object.assign(document.createElement('div'), { id: 'tall' })); document.getElementById('tall').style.height = '900px'",
    );
    await expect.poll(height).toBeGreaterThan(900);
    await page.evaluate(
      "document.documentElement.dataset.bsTheme = 'dark'; document.dispatchEvent(new CustomEvent('bulkhead:theme', { detail: 'dark' }))",
    );
    await expect.poll(() => inside.evaluate('document.documentElement.dataset.bsTheme')).toBe('dark');
  });

  test('follows a link inside the module, and the address says where', async () => {
    await (await frame()).click('#link');
    await expect.poll(lastCall).toMatchObject({ path: 'servers/7', request: { method: 'GET' } });
    await expect
      .poll(() => new URL(page.url()).pathname)
      .toBe('/t/acme/admin/modules/Product/VPSHosting/servers/7');
  });

  test('sends a form through the panel, with its session, and shows what comes back', async () => {
    const inside = await frame();
    panel().deps.answer = { kind: 'html', status: 200, html: '<h1 id="after">Rebooting</h1>' };
    await inside.click('#form button');
    await (await frame()).waitForSelector('#after');
    expect(lastCall()).toMatchObject({
      path: 'servers/7/reboot',
      request: { method: 'POST', body: { text: 'hard=1' } },
      account: { kind: 'admin' },
    });
    panel().deps.answer = { kind: 'json', status: 200, body: { again: true } };
    expect(
      await (
        await frame()
      ).evaluate("panel.fetch('servers/7/reboot', { method: 'POST', body: { a: 1 } }).then((r) => r.json())"),
    ).toEqual({ again: true });
    expect(lastCall()).toMatchObject({ request: { body: { text: '{"a":1}' } } });
  });

  test('cannot make the panel ask for anything but the module’s own', async () => {
    const inside = await frame();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await inside.click('#operator');
    await inside.click('#native button');
    for (const path of [
      '/operator/tenants',
      '../../admin/clients',
      '../../../../operator',
      'https://evil.test/',
      '//evil.test/',
      'x/../../../../../operator',
    ])
      await inside.evaluate(
        `panel.fetch(${JSON.stringify(path)}, { method: 'POST' }).catch((error) => { globalThis.refused = error.code; })`,
      );
    await inside.evaluate("panel.fetch('servers', { method: 'PATCH' }).catch(() => undefined)");
    const own = `/t/acme/m/${panel().seeded.installationId}/`;
    expect(asked.filter((path) => !path.startsWith(own))).toEqual([]);
    expect(new URL(page.url()).pathname).toBe('/t/acme/admin/modules/Product/VPSHosting/servers');
  });

  test('sends nobody elsewhere without a grant and a click', async () => {
    const inside = await frame();
    await inside.click('#evil');
    await page.waitForSelector('dialog >> text=may not send you to evil.test');
    await answerDialog(page, 'yes');
    const count = context.pages().length;
    await inside.click('#out');
    await page.waitForSelector('dialog >> text=wants to open https://checkout.stripe.com');
    await answerDialog(page, 'no');
    expect(context.pages()).toHaveLength(count);
  });

  test('of a product hands its inputs to the panel’s form, and shows what is wrong at them', async () => {
    const { deps, seeded } = panel();
    const { productForm, saveProduct } = deps.catalog;
    let refuse = true;
    Object.assign(deps.catalog, {
      productForm: async () => ({ kind: 'html' }),
      saveProduct: async (input: Parameters<typeof saveProduct>[0]) =>
        refuse ? { ok: false, errors: { plan: ['No such plan.'] } } : saveProduct(input),
    });
    deps.answer = {
      kind: 'html',
      status: 200,
      html: '<input name="product_data[plan]" value="s"><select name="tags[]" multiple><option selected>a</option><option selected>b</option></select><input type="checkbox" name="off" value="1">',
    };
    await page.goto(`${panel().origin}/t/acme/admin/products/${seeded.productId}`);
    await (await frame()).fill('input[name="product_data[plan]"]', 'xl');
    await page.click('main button[type=submit]');
    const note = (await frame()).locator('.invalid-feedback');
    await expect.poll(() => note.textContent()).toBe('No such plan.');
    expect(await (await frame()).inputValue('input[name="product_data[plan]"]')).toBe('xl');
    refuse = false;
    await page.click('main button[type=submit]');
    await page.waitForSelector('text=The product is saved.');
    expect(deps.called.findLast(({ name }) => name === 'saveProduct')?.input).toMatchObject({
      data: { plan: 'xl', tags: ['a', 'b'] },
    });
    Object.assign(deps.catalog, { productForm, saveProduct });
  });

  test('hears of no message but the panel’s, and the panel of none but its frame’s', async () => {
    const inside = await frame();
    panel().deps.called.length = 0;
    await page.evaluate("window.postMessage('bulkhead:ready', '*')");
    await page.evaluate("window.postMessage({ type: 'call', id: 1, path: 'servers', method: 'POST' }, '*')");
    await inside.evaluate(
      "parent.postMessage({ type: 'call', id: 1, path: 'servers', method: 'POST' }, '*')",
    );
    await page.waitForTimeout(200);
    expect(panel().deps.called).toEqual([]);
  });
});
