/**
 * From inside the frame: a hostile module, installed for real, tries to reach the panel around it, other origins and the person's browser. What
 * leaves the frame would arrive at the sinkhole; it must see nothing, not even a connection.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Download, Page } from 'playwright-core';
import { launchChromium } from './support/chromium.ts';
import { HOSTILE, installHostile } from './support/hostile.ts';
import { openSinkhole, type Sinkhole } from './support/sinkhole.ts';
import { moduleFrame, type Person, useStage } from './support/stage.ts';
import { answerDialog } from './support/dialog.ts';

/** Long enough for a request to arrive, or for a navigation to begin. */
const SETTLE_MS = 250;
/** How long the attempts of a page may take on a busy machine until each has its outcome. */
const POLL = { timeout: 20_000 };

const stage = useStage();
let sinkhole: Sinkhole;
let admin: Person;
let installation: string;
let foreign: string;

beforeAll(async () => {
  sinkhole = await openSinkhole();
  const { demo, acme, globex } = stage();
  installation = await installHostile(demo.server.bulkhead, acme, sinkhole);
  foreign = await globex.installed(HOSTILE);
  admin = await stage().signIn('admin');
});
afterAll(async () => {
  await admin?.context.close();
  await sinkhole?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  sinkhole.seen.length = 0;
});

const address = (page: string): string => `${stage().origin}${admin.home}/modules/Product/${HOSTILE}/${page}`;

test('its origin is opaque twice over: by the panel’s iframe, and by the document’s own policy', async () => {
  const document = admin.page.waitForResponse((response) => response.url().endsWith('/page/forms'));
  await admin.page.goto(address('forms'));
  const sandbox = await admin.page.getAttribute('iframe[data-module-frame]', 'sandbox');
  expect(sandbox).toBe('allow-scripts allow-forms');
  expect((await document).headers()['content-security-policy']).toMatch(
    /^sandbox allow-scripts allow-forms; default-src 'none';/,
  );
});

test('what is tried at once is refused, each attempt by name', async () => {
  await admin.page.goto(address('quiet'));
  const frame = await moduleFrame(admin.page);
  await expect.poll(() => frame.evaluate('tried'), POLL).toEqual(REFUSED);
  await admin.page.waitForTimeout(SETTLE_MS);
  expect(await frame.evaluate('tried')).toEqual(REFUSED);
  expect(await frame.evaluate('self.origin')).toBe('null');
  expect(
    await frame.evaluate(
      '[globalThis.inline, globalThis.handler, document.baseURI.startsWith(location.origin)]',
    ),
  ).toEqual([null, null, true].map((value) => value ?? undefined));
  expect(await frame.evaluate('nested'), 'WebRTC of frames in the frame').toEqual([
    'ReferenceError',
    'ReferenceError',
  ]);
  expect(sinkhole.seen).toEqual([]);
});

test('where a browser knows no Connection-Allowlist, the content policy alone lets no request out', async () => {
  const older = await launchChromium(['--disable-features=ConnectionAllowlists']);
  const { page } = await stage().signIn('admin', { context: await older.newContext() });
  await page.goto(address('quiet'));
  const frame = await moduleFrame(page);
  await expect.poll(() => frame.evaluate('tried'), POLL).toEqual(REFUSED);
  await page.waitForTimeout(SETTLE_MS);
  const tried = await frame.evaluate('tried');
  const nested = await frame.evaluate('nested');
  await older.close();
  expect(tried).toEqual(REFUSED);
  expect(nested).toEqual(['ReferenceError', 'ReferenceError']);
  // A bare connection is what a browser opens for a navigation before it asks the policy.
  expect(sinkhole.seen.filter((what) => what !== 'connection')).toEqual([]);
});

test('its style reaches nothing outside, and its own style works', async () => {
  await admin.page.goto(address('quiet'));
  const frame = await moduleFrame(admin.page);
  expect(await frame.evaluate("getComputedStyle(document.querySelector('.marked')).fontFamily")).toBe('Leak');
  await admin.page.waitForTimeout(SETTLE_MS);
  expect(sinkhole.seen).toEqual([]);
});

interface Witness {
  readonly popups: Page[];
  readonly dialogs: string[];
  readonly downloads: Download[];
  readonly requests: string[];
}

const lab = (run: string, how: 'load' | 'click', data = ''): string =>
  address(`lab?${new URLSearchParams({ run, how, data }).toString()}`);

/** Opens the page of one attack, clicks, and tells what the panel and the browser did. */
async function attack(name: string, data = ''): Promise<Witness> {
  const { page, context } = admin;
  const witness: Witness = { popups: [], dialogs: [], downloads: [], requests: [] };
  await page.goto(lab(name, 'click', data));
  const frame = await moduleFrame(page);
  await frame.waitForSelector('html[data-port]', { state: 'attached' });
  const own = `${stage().origin}/t/acme/m/${installation}/`;
  const heard = {
    page: (opened: Page) => witness.popups.push(opened),
    request: (request: { url(): string; method(): string }) =>
      witness.requests.push(`${request.method()} ${request.url().replace(own, '')}`),
  };
  context.on('page', heard.page).on('request', heard.request);
  page.on('download', (download) => witness.downloads.push(download));
  page.on('dialog', (dialog) => {
    witness.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  await frame.click('#go', { noWaitAfter: true });
  await page.waitForTimeout(SETTLE_MS);
  context.off('page', heard.page).off('request', heard.request);
  page.removeAllListeners('download').removeAllListeners('dialog');
  return witness;
}

/** The panel stands where it stood, still signed in, and nothing was opened, asked or saved. */
async function expectUnmoved(witness: Witness): Promise<void> {
  const { page } = admin;
  expect(new URL(page.url()).pathname).toBe(`${admin.home}/modules/Product/${HOSTILE}/lab`);
  expect(new URL(page.url()).hash).toBe('');
  expect(await page.locator('.page-title').isVisible()).toBe(true);
  expect(witness.popups).toEqual([]);
  expect(witness.dialogs).toEqual([]);
  expect(witness.downloads).toEqual([]);
  expect(sinkhole.seen).toEqual([]);
}

describe('it cannot lead the person away, open, ask or save:', () => {
  test.each([
    'top.location',
    'top.location to the panel',
    'top.location.replace',
    'parent.location.hash',
    'window.open _top',
    'window.open _blank',
    'window.open about:blank',
    'link _top',
    'link _parent',
    'link _blank',
    'link with ping',
    'link to javascript:',
    'form _top',
    'form _blank',
    'form elsewhere',
    'form to the panel',
    'form _top to the panel',
    'meta refresh',
    'meta refresh javascript:',
    'own location elsewhere',
    'own location data:',
    'own location blob:',
    'own location to the sign-in',
    'download data:',
    'download blob:',
    'download elsewhere',
    'history.back',
    'history.go',
    'window.close',
    'window.stop',
    'print',
    'beforeunload',
  ])('%s', async (name) => {
    await expectUnmoved(await attack(name));
    const response = await admin.page.request.get(`${stage().origin}${admin.home}`);
    expect(new URL(response.url()).pathname, 'still signed in').toBe(admin.home);
  });

  test('its own location, to a page of another installation: it is nobody there', async () => {
    const path = `/t/globex/m/${foreign}/page/quiet`;
    await expectUnmoved(await attack('own location to another module', path));
    expect(admin.page.frames().map((frame) => new URL(frame.url()).pathname)).not.toContain(path);
  });

  test('its own location, to its own page: without the person’s cookie', async () => {
    const answer = admin.page.waitForResponse((candidate) => candidate.url().endsWith('/page/quiet'));
    await attack('own location to another module', `/t/acme/m/${installation}/page/quiet`);
    const response = await answer;
    expect(response.status()).toBe(502);
    expect(await response.text()).toContain('You are not signed in any more');
  });
});

describe('the bridge', () => {
  test.each([
    ['port: navigate elsewhere', []],
    ['port: calls elsewhere', []],
    ['port: submits elsewhere', []],
    ['port: downloads elsewhere', []],
    ['port: leaves by strange schemes', []],
    ['port: unknown messages', []],
    ['port: forged from the window', []],
  ])('asks the server for nothing but the module’s own: %s', async (name) => {
    const witness = await attack(name, `/t/globex/m/${foreign}/call/own/1`);
    await expectUnmoved(witness);
    const asked = witness.requests.filter((request) => !request.includes('/static/'));
    for (const request of asked) expect(request).toMatch(/^(?:GET|POST|PUT|DELETE) (?:call|page)\//);
    expect(asked.join('\n')).not.toMatch(/\.\.|leave|globex|operator|clients/);
    expect(await admin.page.locator('dialog').count()).toBe(0);
  });

  test('does ask for a declared route, with the person’s session', async () => {
    const witness = await attack('port: its own route');
    expect(witness.requests).toContain('POST call/own/7');
    const frame = await moduleFrame(admin.page);
    await expect
      .poll(() => frame.evaluate('replies.find((reply) => reply.id === 1)?.reply.body'))
      .toEqual({ id: '7', got: '{"a":1}' });
  });

  test('saves a file of the module after a click only, under a harmless name', async () => {
    const witness = await attack('port: its own file');
    expect(witness.downloads.map((download) => download.suggestedFilename())).toEqual(['_.._evil_b_.csv']);
  });

  test('bounds heights', async () => {
    await attack('port: huge heights');
    const box = await admin.page.locator('iframe[data-module-frame]').boundingBox();
    expect(box?.height).toBeLessThanOrEqual(20_000);
    expect(box?.x).toBeGreaterThan(200);
  });

  test('sends nobody away without a click, and asks before it does', async () => {
    const { page } = admin;
    await page.goto(lab('port: leave', 'load'));
    await (await moduleFrame(page)).waitForSelector('[data-outcome=ran]');
    await page.waitForTimeout(SETTLE_MS);
    expect(await page.locator('dialog').count()).toBe(0);
    await attack('port: leave');
    await page.waitForSelector('dialog >> text=wants to open https://granted.example');
    await answerDialog(page, 'no');
  });

  test('asks one question for a click, however many are wanted', async () => {
    const { page } = admin;
    await attack('port: many leaves');
    await answerDialog(page, 'no');
    await page.waitForTimeout(SETTLE_MS);
    expect(await page.locator('dialog').count()).toBe(0);
  });

  test('asks about a form’s redirect to another site, and follows none by a strange scheme', async () => {
    const { page } = admin;
    await page.goto(address('forms'));
    const frame = await moduleFrame(page);
    await frame.click('#strange');
    await page.waitForTimeout(SETTLE_MS);
    expect(new URL(page.url()).pathname).toBe(`${admin.home}/modules/Product/${HOSTILE}/forms`);
    await frame.click('#other');
    await page.waitForSelector('dialog >> text=may not send you to other.example');
    await answerDialog(page, 'yes');
  });
});

describe('a redirect the module answers with, of the frame itself,', () => {
  test.each(['javascript:alert(1)', 'data:text/html,x', '../../../../../operator', '\\\\evil.example'])(
    'to %s leads nowhere',
    async (to) => {
      await admin.page.goto(address(`elsewhere?to=${encodeURIComponent(to)}`));
      const frame = await moduleFrame(admin.page);
      expect(await frame.locator('body').textContent()).toMatch(/could not be shown|no such|not answered/i);
      expect(new URL(frame.url()).pathname).toMatch(new RegExp(`^/t/acme/m/${installation}/page/`));
    },
  );

  test('to another site waits for a click and asks', async () => {
    await admin.page.goto(address('elsewhere?to=https://granted.example/pay'));
    const frame = await moduleFrame(admin.page);
    expect(await frame.locator('body').textContent()).toContain('This page leads to another site.');
    await frame.click('a.btn');
    await admin.page.waitForSelector('dialog >> text=wants to open https://granted.example');
    await answerDialog(admin.page, 'no');
  });
});

describe('the panel stays usable under', () => {
  /** @returns the path that a menu of the panel leads to */
  const useThePanel = async (page: Page): Promise<string> => {
    await page.click('.d-lg-block [data-bs-toggle=dropdown]');
    await page.click('.d-lg-block .dropdown-item >> text=Profile and sessions');
    await page.waitForURL(/profile/);
    return new URL(page.url()).pathname;
  };

  test.each(['flood: port', 'flood: window'])('a %s, and takes the frame away', async (name) => {
    const { page } = admin;
    await page.goto(lab(name, 'load'), { waitUntil: 'commit' });
    await page.waitForSelector('text=kept the panel too busy');
    expect(await page.locator('iframe').count()).toBe(0);
    expect(await useThePanel(page)).toBe(`${admin.home}/profile`);
  });

  test('a flood of calls: few go to the server at once, the others are told so', async () => {
    const { page } = admin;
    await page.goto(lab('flood: calls', 'load'));
    const frame = await moduleFrame(page);
    await expect

      .poll(() => frame.evaluate("replies.filter((reply) => reply.type === 'reply').length"), {
        timeout: POLL.timeout,
      })
      .toBe(300);
    const refused = await frame.evaluate("replies.filter((reply) => reply.error?.code === 'LIMIT').length");
    expect(refused).toBeGreaterThan(200);
    expect(await useThePanel(page)).toBe(`${admin.home}/profile`);
  });

  test('a flood of navigations', async () => {
    await admin.page.goto(lab('flood: navigate', 'load'), { waitUntil: 'commit' });
    await admin.page.waitForTimeout(SETTLE_MS);
    expect(await useThePanel(admin.page)).toBe(`${admin.home}/profile`);
  });

  test('an endless loop in the frame', async () => {
    const { page, context } = await stage().signIn('admin');
    await page.goto(lab('endless loop', 'load'), { waitUntil: 'commit' });
    await page.waitForSelector('iframe[data-module-frame]', { state: 'attached' });
    await page.waitForTimeout(SETTLE_MS);
    expect(await useThePanel(page)).toBe(`${admin.home}/profile`);
    await context.close();
  });
});

/** What each attempt of assets/js/quiet.js must end with. */
const REFUSED: Readonly<Record<string, string>> = {
  'parent.document': 'SecurityError',
  'top.document.cookie': 'SecurityError',
  frameElement: 'TypeError',
  'parent.location.href': 'SecurityError',
  'parent.history': 'SecurityError',
  'parent.localStorage': 'SecurityError',
  'parent.bulkheadAsk': 'SecurityError',
  'parent.name': 'SecurityError',
  'cookie read': 'SecurityError',
  'cookie write': 'SecurityError',
  localStorage: 'SecurityError',
  sessionStorage: 'SecurityError',
  'document.domain': 'SecurityError',
  RTCPeerConnection: 'TypeError',
  webkitRTCPeerConnection: 'TypeError',
  WebTransport: 'TypeError',
  eval: 'EvalError',
  Function: 'EvalError',
  'window.open': 'null',
  alert: 'not shown',
  confirm: 'false',
  prompt: 'null',
  SharedWorker: 'SecurityError',
  'asset worker': 'SecurityError',
  indexedDB: 'SecurityError',
  caches: 'SecurityError',
  serviceWorker: 'SecurityError',
  'blob worker': 'refused',
  'data worker': 'refused',
  'string timer': 'silence',
  'javascript: link': 'silence',
  'fetch panel': 'TypeError',
  'fetch sinkhole': 'TypeError',
  'fetch keepalive': 'TypeError',
  XMLHttpRequest: 'refused',
  beacon: 'silence',
  image: 'refused',
  WebSocket: 'refused',
  EventSource: 'refused',
  'import sinkhole': 'TypeError',
  'import data': 'TypeError',
  'import blob': 'TypeError',
  'inline script': 'silence',
  'script sinkhole': 'refused',
  'frame of the panel': 'TypeError',
  'blank frame': 'SecurityError',
  clipboard: 'NotAllowedError',
  // Refused by policy where there is a camera; this machine has none to refuse.
  camera: expect.stringMatching(/^Not(?:Allowed|Found)Error$/) as string,
  geolocation: 'refused',
  notification: 'denied',
  fullscreen: 'TypeError',
  'pointer lock': 'SecurityError',
  'storage access': 'NotAllowedError',
};
