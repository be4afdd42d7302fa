/**
 * What every browser test stands on: the demo as `npm start` starts it (real host, workers, fake cloud, two tenants), with short delays at the
 * cloud, and a Chromium. People sign in with a mouse, each in a browser context of their own.
 */
import type { Browser, BrowserContext, Frame, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { type Demo, startDemo } from '../../../src/cli/demo/start.ts';
import type { DemoState } from '../../../src/cli/demo/state.ts';
import { temporaryFolder } from '../../support/embedded.ts';
import { Tenant } from '../../support/tenant.ts';
import { launchChromium } from './chromium.ts';

export const CLOUD_DELAYS = { provisioningMs: 700, actionMs: 300 };
const ACTION_MS = 15_000;

export type Area = 'admin' | 'client' | 'operator';

/** Somebody who is signed in, with a window of their own. */
export interface Person {
  readonly context: BrowserContext;
  readonly page: Page;
  /** URL path of their area: '/t/acme/admin'. */
  readonly home: string;
  /** What the browser complained about: refused content, script errors, failed requests. */
  readonly complaints: string[];
}

export interface Stage extends AsyncDisposable {
  readonly demo: Demo;
  readonly browser: Browser;
  readonly origin: string;
  /** What the host told its operator: warnings and errors. */
  readonly faults: readonly string[];
  readonly acme: Tenant;
  readonly globex: Tenant;
  /** A window in which nobody is signed in. */
  stranger(options?: Parameters<Browser['newContext']>[0]): Promise<Person>;
  signIn(area: Area, options?: { tenant?: string; context?: BrowserContext }): Promise<Person>;
}

export async function openStage(): Promise<Stage> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(temporaryFolder());
  const faults: string[] = [];
  const demo = await startDemo(
    {
      dataDir: folder.path,
      host: '127.0.0.1',
      port: 0,
      roles: { serve: true, work: true },
      log: (level, message, detail) => {
        if (level === 'warning' || level === 'error') faults.push(`${level}: ${message} ${String(detail)}`);
      },
    },
    CLOUD_DELAYS,
  );
  undo.defer(() => demo.close());
  const browser = await launchChromium();
  undo.defer(() => browser.close());
  const origin = demo.server.url ?? '';
  const kept = undo.move();
  const stranger: Stage['stranger'] = async (options) =>
    windowOf(await browser.newContext({ viewport: { width: 1_400, height: 900 }, ...options }), '');
  return {
    demo,
    browser,
    origin,
    faults,
    acme: await Tenant.find(demo.server.bulkhead, 'acme'),
    globex: await Tenant.find(demo.server.bulkhead, 'globex'),
    stranger,
    async signIn(area, { tenant = 'acme', context } = {}) {
      const person = context === undefined ? await stranger() : await windowOf(context, '');
      return signIn(person, origin, area, tenant, demo.state);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function windowOf(context: BrowserContext, home: string): Promise<Person> {
  const page = await context.newPage();
  page.setDefaultTimeout(ACTION_MS);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`));
  return { context, page, home, complaints };
}

async function signIn(
  person: Person,
  origin: string,
  area: Area,
  slug: string,
  state: DemoState,
): Promise<Person> {
  const tenant = state.tenants.find((candidate) => candidate.slug === slug);
  if (tenant === undefined) throw new Error(`there is no tenant ${slug}`);
  const home = { admin: `/t/${slug}/admin`, client: `/t/${slug}`, operator: '/operator' }[area];
  const login = { admin: tenant.admin, client: tenant.client, operator: state.operator }[area];
  await person.page.goto(`${origin}${home}/sign-in`);
  await person.page.fill('#email', login.email);
  await person.page.fill('#password', login.password);
  await person.page.click('button[type=submit]');
  await person.page.waitForURL((url) => !url.pathname.endsWith('/sign-in'));
  return { ...person, home };
}

/** One stage for all tests of a file. */
export function useStage(): () => Stage {
  let current: Stage | undefined;
  beforeAll(async () => {
    current = await openStage();
  });
  afterAll(async () => current?.[Symbol.asyncDispose]());
  return () => {
    if (current === undefined) throw new Error('the stage is there inside tests and hooks only');
    return current;
  };
}

/** The module's page in its frame, connected with the panel. */
export async function moduleFrame(page: Page): Promise<Frame> {
  const element = await page.waitForSelector('iframe[data-module-frame]');
  const frame = await element.contentFrame();
  if (frame === null) throw new Error('the iframe has no document');
  // The panel's theme arrives with the connection.
  await frame.waitForSelector('html[data-bs-theme]', { state: 'attached' });
  return frame;
}
