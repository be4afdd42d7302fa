/**
 * Every page of a panel that has been used, with a module whose every text is markup: the headers are there, nothing runs or is styled inline, the
 * console stays silent, and a stranger's text is text wherever the panel shows it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOSTILE, installHostile } from './support/hostile.ts';
import { type Places, placesOf } from './support/places.ts';
import { faultsOf, hrefsOf, markupOf, shownText } from './support/safety.ts';
import { openSinkhole, type Sinkhole } from './support/sinkhole.ts';
import { type Area, moduleFrame, type Person, useStage } from './support/stage.ts';
import { tellStory } from './support/story.ts';

const AREAS = ['admin', 'client', 'operator'] satisfies Area[];
const MARKUP = (mark: string): string =>
  `${mark} <b data-injected=${mark}>x</b><script>globalThis.pwned=1</script>"><img src=x onerror=globalThis.pwned=1>`;

/** Short enough for a name. */
const TYPED = '"><b data-injected=typed>x</b>';

const stage = useStage();
const people = new Map<Area | 'stranger', Person>();
let sinkhole: Sinkhole;
let places: Places;

beforeAll(async () => {
  sinkhole = await openSinkhole();
  const { demo, acme } = stage();
  const story = await tellStory(demo, acme);
  places = placesOf(story, acme);
  people.set('stranger', await stage().stranger());
  for (const area of AREAS) people.set(area, await stage().signIn(area));
});
afterAll(async () => sinkhole?.[Symbol.asyncDispose]());

function person(area: Area | 'stranger'): Person {
  const found = people.get(area);
  if (found === undefined) throw new Error(`nobody is ${area}`);
  return found;
}

describe.each(['stranger', ...AREAS] as const)('every page for %s', (area) => {
  const links = new Set<string>();

  test('has its headers, nothing inline, and a silent console', async () => {
    const { page, complaints } = person(area);
    const faults: string[] = [];
    for (const { path, status = 200 } of places[area]) {
      complaints.length = 0;
      const response = await page.goto(stage().origin + path);
      if (response?.status() !== status) faults.push(`${path} answers ${response?.status()}`);
      faults.push(...(await faultsOf(page, response)).map((fault) => `${path}: ${fault}`));
      if ((await page.$('iframe[data-module-frame]')) !== null) await moduleFrame(page);
      for (const href of await hrefsOf(page)) links.add(href);
      // Chromium itself tells an error page's status.
      faults.push(...complaints.filter((line) => status === 200 || !line.includes(`status of ${status}`)));
    }
    expect(faults).toEqual([]);
  });

  test('leads to pages only', async () => {
    const { page } = person(area);
    const broken: string[] = [];
    // The language switch leads back to where it stands, error pages too, and the pages after it are read in English here.
    const own = [...links].filter(
      (address) => address.startsWith(stage().origin) && !new URL(address).pathname.startsWith('/language/'),
    );
    for (const href of own) {
      const response = await page.request.get(href);
      if (!response.ok()) broken.push(`${href} answers ${response.status()}`);
    }
    expect(broken).toEqual([]);
  });
});

describe('a stranger’s text is text', () => {
  let admin: string;
  let serviceId: string;
  let installationId: string;

  beforeAll(async () => {
    const { demo, acme } = stage();
    installationId = await installHostile(demo.server.bulkhead, acme, sinkhole);
    admin = `${stage().origin}/t/acme/admin`;
    const ok = await acme.product(HOSTILE, MARKUP('product'), { plan: MARKUP('data'), pick: '' });
    const fails = await acme.product(HOSTILE, 'Fails', { plan: 'fail' });
    serviceId = await acme.order(ok);
    await acme.reached(serviceId, 'completed', 'active');
    await acme.ended(await acme.order(fails), 'createJob');
    await demo.server.bulkhead.recorder.flush();
    await acme.panel.db
      .updateTable('accounts')
      .set({ name: MARKUP('client') })
      .where('id', '=', acme.clientId)
      .execute();
  });

  /** What is wrong with a page: markup that came alive, or a text that does not stand there as it was written. */
  async function wrongWith(area: Area | 'stranger', url: string, ...marks: string[]): Promise<string[]> {
    const { page } = person(area);
    const faults = await faultsOf(page, await page.goto(url));
    const text = await shownText(page);
    const missing = marks.filter((mark) => !text.includes(`data-injected=${mark}`));
    return [...faults, ...missing.map((mark) => `no text of ${mark}`)].map((fault) => `${url}: ${fault}`);
  }

  test('in the store and on the consent page', async () => {
    const { module_id: moduleId } = await stage().acme.installation(HOSTILE);
    expect(await wrongWith('admin', `${admin}/store`, 'title', 'description')).toEqual([]);
    expect(
      await wrongWith(
        'admin',
        `${admin}/store/${moduleId}`,
        'title',
        'description',
        'author',
        'website',
        'reason',
      ),
    ).toEqual([]);
    expect(
      await wrongWith('admin', `${admin}/installations/${installationId}/permissions`, 'reason', 'sidebar'),
    ).toEqual([]);
  });

  test('in names, menus, tabs, permissions and settings', async () => {
    expect(await wrongWith('admin', `${admin}/modules`, 'title', 'sidebar')).toEqual([]);
    expect(
      await wrongWith(
        'admin',
        `${admin}/installations/${installationId}`,
        'permission',
        'permission-description',
        'tab',
      ),
    ).toEqual([]);
    expect(
      await wrongWith(
        'admin',
        `${admin}/installations/${installationId}/settings`,
        'setting',
        'setting-help',
        'placeholder',
        'option-title',
      ),
    ).toEqual([]);
    expect(await wrongWith('admin', `${admin}/settings`, 'permission')).toEqual([]);
    const { page } = person('admin');
    expect(await page.locator('#sidebar i.fa-puzzle-piece').count()).toBeGreaterThan(1);
    expect(
      await wrongWith('client', `${stage().origin}/t/acme/services/${serviceId}`, 'tab', 'product'),
    ).toEqual([]);
  });

  test('in product names, orders and clients', async () => {
    expect(await wrongWith('admin', `${admin}/products`, 'product')).toEqual([]);
    expect(
      await wrongWith(
        'admin',
        `${admin}/products/new?module=${installationId}`,
        'field',
        'field-help',
        'pick-title',
      ),
    ).toEqual([]);
    expect(await wrongWith('admin', `${admin}/services`, 'product', 'client')).toEqual([]);
    expect(await wrongWith('admin', `${admin}/clients`, 'client')).toEqual([]);
    expect(
      await wrongWith('admin', `${admin}/clients/${stage().acme.clientId}`, 'client', 'product'),
    ).toEqual([]);
    expect(await wrongWith('client', `${stage().origin}/t/acme/services`, 'product')).toEqual([]);
    expect(await wrongWith('client', `${stage().origin}/t/acme/order`, 'product')).toEqual([]);
    expect(await wrongWith('client', `${stage().origin}/t/acme/profile`, 'client')).toEqual([]);
  });

  test('in what a module refuses', async () => {
    const { page } = person('admin');
    await page.goto(`${admin}/products/new?module=${installationId}`);
    await page.fill('#name', TYPED);
    await page.fill('#f_plan', 'refuse');
    await page.click('main button >> text=Save');
    await page.waitForSelector('text=data-injected=save-plan');
    expect(await page.inputValue('#name')).toBe(TYPED);
    expect(await markupOf(page)).toEqual([]);
  });

  test('in services, tasks, logs and errors', async () => {
    expect(
      await wrongWith(
        'admin',
        `${admin}/services/${serviceId}`,
        'provision-key',
        'provision-value',
        'product',
        'client',
        'log-action',
        'log-key',
        'log-answer',
      ),
    ).toEqual([]);
    expect(await wrongWith('admin', `${admin}/logs`, 'log-action', 'log-value', 'job-error')).toEqual([]);
    expect(await wrongWith('admin', `${admin}/tasks`, 'product')).toEqual([]);
    const [task] = await stage().acme.tasks(serviceId);
    expect(
      await wrongWith('admin', `${admin}/tasks/${task?.id ?? ''}`, 'progress', 'job-message', 'log-action'),
    ).toEqual([]);
    expect(await wrongWith('admin', admin, 'product')).toEqual([]);
  });

  test('in a live part, put in place by script', async () => {
    const { page } = person('admin');
    await page.goto(`${admin}/services/${serviceId}`);
    await page.evaluate(
      'globalThis.fragments = 0; document.addEventListener("bulkhead:replaced", () => { fragments++; })',
    );
    await stage()
      .acme.panel.db.updateTable('services')
      .set({ status: 'suspended' })
      .where('id', '=', serviceId)
      .execute();
    await expect.poll(() => page.evaluate('globalThis.fragments'), { timeout: 10_000 }).toBeGreaterThan(0);
    expect(await page.textContent('[data-live]')).toContain('data-injected=log-action');
    expect(await markupOf(page)).toEqual([]);
    await stage()
      .acme.panel.db.updateTable('services')
      .set({ status: 'active' })
      .where('id', '=', serviceId)
      .execute();
  });

  test('on the operator’s pages', async () => {
    const { version_id: versionId } = await stage().acme.installation(HOSTILE);
    expect(await wrongWith('operator', `${stage().origin}/operator/packages`)).toEqual([]);
    expect(
      await wrongWith(
        'operator',
        `${stage().origin}/operator/packages/${versionId}`,
        'reason',
        'sidebar',
        'tab',
        'title',
      ),
    ).toEqual([]);
  });

  test('in addresses, on the sign-in and on error pages', async () => {
    const { page } = person('stranger');
    const evil = encodeURIComponent(MARKUP('url'));
    for (const path of [
      `/t/acme/admin/sign-in?next=${evil}`,
      `/t/acme/sign-in?note=${evil}`,
      `/t/${evil}/admin`,
      `/${evil}`,
    ]) {
      expect(await faultsOf(page, await page.goto(stage().origin + path))).toEqual([]);
    }
    await page.goto(`${stage().origin}/t/acme/admin/sign-in?next=javascript:alert(1)`);
    await page.evaluate('document.querySelector("#email").type = "text"');
    await page.fill('#email', MARKUP('email'));
    await page.fill('#password', 'wrong');
    await page.click('button[type=submit]');
    await page.waitForSelector('text=do not belong together');
    expect(await page.inputValue('#email')).toContain('data-injected=email');
    expect(await markupOf(page)).toEqual([]);
    expect(await wrongWith('admin', `${admin}/logs?q=${evil}`, 'url')).toEqual([]);
    expect(await wrongWith('admin', `${admin}/tasks?tag=${evil}`, 'url')).toEqual([]);
    expect(await wrongWith('admin', `${admin}/store?q=${evil}`, 'url')).toEqual([]);
  });

  test('in a module’s error, shown in its frame by the panel', async () => {
    const { page } = person('admin');
    await page.goto(`${admin}/modules/Product/${HOSTILE}/broken`);
    const frame = await moduleFrame(page);
    expect(await frame.evaluate('document.querySelectorAll("[data-injected]").length')).toBe(0);
    expect(await frame.locator('.notice').count()).toBe(1);
  });
});

test('the panel is read in Polish by who asks for it in the menu, and in English again', async () => {
  const { page, complaints, context } = await stage().signIn('client');
  complaints.length = 0;
  const choose = async (language: string) => {
    await page.click('header .bh-account');
    await page.click(`header button.dropdown-item[lang=${language}]`);
    await page.waitForSelector(`html[lang=${language}]`, { state: 'attached' });
  };
  await page.goto(`${stage().origin}/t/acme/services`);
  await choose('pl');
  expect(new URL(page.url()).pathname).toBe('/t/acme/services');
  expect(await page.textContent('h1')).toBe('Moje usługi');
  await page.goto(`${stage().origin}/t/acme/profile`);
  expect(await page.textContent('h1')).toBe('Profil');
  await choose('en');
  expect(await page.textContent('h1')).toBe('Profile');
  expect(complaints).toEqual([]);
  await context.close();
});
