/** The notification pages: who may see what, what strangers' text becomes, and what templates may not be. */
import { beforeAll, describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const HOME = '/t/acme/admin/notifications';
let own = '';
let other = '';
let otherSlug = '';

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  return visitor;
}

async function addDelivery(slug: string): Promise<string> {
  const { db } = panel();
  const tenant = await db
    .selectFrom('tenants')
    .select('id')
    .where('slug', '=', slug)
    .executeTakeFirstOrThrow();
  const payload = {
    to: 'a@example.net',
    subject: '<script>alert(1)</script>',
    title: 't',
    message: '<p>Words</p><script>alert(2)</script>',
    text_mini: '<b>plain</b>',
    module: '<i>Mod</i>',
    type: 'info',
  };
  const row = await db
    .insertInto('deliveries')
    .values({
      tenant_id: tenant.id,
      sender: 'Email · Main',
      channel: 'email',
      recipient: payload.to,
      subject: payload.subject,
      payload,
      status: 'failed',
      error_code: 'X',
      error_message: '<img src=x onerror=alert(3)>',
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return row.id;
}

beforeAll(async () => {
  own = await addDelivery('acme');
  const { db } = panel();
  const others = await db
    .selectFrom('tenants')
    .select('slug')
    .where('slug', '<>', 'acme')
    .executeTakeFirstOrThrow();
  otherSlug = others.slug;
  other = await addDelivery(otherSlug);
});

describe('notification pages', () => {
  test('all answer, and strangers’ text is text', async () => {
    const visitor = await admin();
    for (const path of [
      '',
      '/deliveries',
      `/deliveries/${own}`,
      '/rules',
      '/templates',
      '/templates/layout',
      '/templates/InvoiceCreated?locale=pl',
    ]) {
      const response = await visitor.get(HOME + path);
      const html = await response.text();
      expect(response.status, path).toBe(200);
      expect(html, path).not.toMatch(/<script>alert|<img src=x|<i>Mod|<b>plain/);
    }
    expect(await (await visitor.get(`${HOME}/deliveries?to=a%40exa&status=failed`)).text()).toContain(
      '&lt;script&gt;',
    );
    expect(await (await visitor.get(`${HOME}/deliveries?to=nobody`)).text()).not.toContain('&lt;script&gt;');
  });

  test('another tenant’s delivery is not there, on the page, in the frame or to be sent again', async () => {
    const visitor = await admin();
    expect((await visitor.get(`${HOME}/deliveries/${other}`)).status).toBe(404);
    const frame = await visitor.get(`/t/acme/m/mail/deliveries/${other}`);
    expect(await frame.text()).not.toContain('Words');
    expect((await visitor.post(`${HOME}/deliveries/${other}/resend`, {})).status).toBe(404);
    expect(await (await visitor.get(`${HOME}/deliveries`)).text()).not.toContain(other);
  });

  test('a mail is shown in a frame in which nothing runs or loads', async () => {
    const response = await (await admin()).get(`/t/acme/m/mail/deliveries/${own}`);
    expect(await response.text()).toContain('<p>Words</p>');
    expect(response.headers.get('content-security-policy')?.split('; ')).toEqual([
      'sandbox',
      "default-src 'none'",
      "style-src 'unsafe-inline'",
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'self'",
    ]);
    const page = await (await (await admin()).get(`${HOME}/deliveries/${own}`)).text();
    expect(page).toContain(`sandbox="" src="/t/acme/m/mail/deliveries/${own}"`);
    const stranger = await panel().visitor().get(`/t/acme/m/mail/deliveries/${own}`);
    expect(await stranger.text()).not.toContain('Words');
  });

  test('a client sees none of it', async () => {
    const visitor = panel().visitor();
    await visitor.signIn('client', 'carl@client.test');
    for (const path of [HOME, `/t/acme/m/mail/deliveries/${own}`]) {
      const response = await visitor.get(path);
      expect(await response.text(), path).not.toContain('Words');
    }
  });

  test('a template is stored when it can be rendered, else refused with what to mend', async () => {
    const visitor = await admin();
    const path = `${HOME}/templates/InvoicePaid?locale=en`;
    const bad = await visitor.post(path, { subject: 's', html: '{% include "x" %}', plain: 'p' });
    expect(bad.status).toBe(422);
    expect(await bad.text()).toContain('tag &#34;include&#34; not found');
    expect(
      (await visitor.post(path, { subject: 'Mine', html: '<p>{{ event.number }}</p>', plain: 'p' })).status,
    ).toBe(303);
    expect(await (await visitor.get(path)).text()).toContain('value="Mine"');
    expect((await visitor.post(`${HOME}/templates/InvoicePaid/reset?locale=en`, {})).status).toBe(303);
    expect(await (await visitor.get(path)).text()).not.toContain('value="Mine"');
    const layout = await visitor.post(`${HOME}/templates/layout?locale=en`, { html: '<p>no place</p>' });
    expect(await layout.text()).toContain('The layout needs {{ content }}');
    expect(
      (await visitor.post(`${HOME}/templates/nothing?locale=en`, { subject: 's', html: 'h', plain: 'p' }))
        .status,
    ).toBe(404);
  });

  test('a draft is shown before it is stored, and only with the token of a page of ours', async () => {
    const visitor = await admin();
    const draft = {
      what: 'template',
      subject: 's',
      html: '<p>Draft {{ event.number }}</p>',
      plain: 'p',
      locale: 'en',
    };
    const shown = await visitor.post('/t/acme/m/mail/preview', draft);
    expect(await shown.text()).toContain('<p>Draft INV-2026-0042</p>');
    expect(shown.headers.get('content-security-policy')).toMatch(/^sandbox;/);
    const broken = await visitor.post('/t/acme/m/mail/preview', { ...draft, html: '{% if %}' });
    expect(await broken.text()).toContain('The template cannot be used');
    const forged = await visitor.post('/t/acme/m/mail/preview', { ...draft, _csrf: 'x' });
    expect(await forged.text()).not.toContain('Draft INV');
  });

  test('a rule needs a sender of the tenant’s own', async () => {
    const visitor = await admin();
    const rule = { category: 'staff_operational', event: '', level: 'info' };
    expect(await (await visitor.post(`${HOME}/rules`, rule)).text()).toContain('Choose at least one sender.');
    const stranger = await visitor.post(`${HOME}/rules`, {
      ...rule,
      senders: '00000000-0000-4000-8000-000000000000',
    });
    expect(stranger.status).toBe(404);
  });

  test('a rule is switched off and on, by its own tenant only', async () => {
    const visitor = await admin();
    const { db } = panel();
    const add = async (slug: string): Promise<string> => {
      const tenant = await db
        .selectFrom('tenants')
        .select('id')
        .where('slug', '=', slug)
        .executeTakeFirstOrThrow();
      const rule = await db
        .insertInto('notification_rules')
        .values({ tenant_id: tenant.id, category: 'staff_operational' })
        .returning('id')
        .executeTakeFirstOrThrow();
      return rule.id;
    };
    const isOn = async (id: string): Promise<boolean> =>
      (
        await db
          .selectFrom('notification_rules')
          .select('active')
          .where('id', '=', id)
          .executeTakeFirstOrThrow()
      ).active;
    const rule = await add('acme');
    const away = await add(otherSlug);
    const button = (name: string) => `action="${HOME}/rules/${rule}/${name}"`;
    expect(await (await visitor.get(`${HOME}/rules`)).text()).toContain(button('off'));
    expect((await visitor.post(`${HOME}/rules/${rule}/off`, {})).status).toBe(303);
    expect(await isOn(rule)).toBe(false);
    expect(await (await visitor.get(`${HOME}/rules`)).text()).toContain(button('on'));
    await visitor.post(`${HOME}/rules/${rule}/on`, {});
    expect(await isOn(rule)).toBe(true);
    await visitor.post(`${HOME}/rules/${away}/off`, {});
    expect(await isOn(away)).toBe(true);
  });

  test('a delivery in doubt says so, and is marked as sent or sent again by a person', async () => {
    const visitor = await admin();
    const { db } = panel();
    const id = await addDelivery('acme');
    await db.updateTable('deliveries').set({ status: 'in_doubt' }).where('id', '=', id).execute();
    const page = await (await visitor.get(`${HOME}/deliveries/${id}`)).text();
    expect(page).toContain('It may have arrived, or not.');
    expect(page).toContain(`action="${HOME}/deliveries/${id}/sent"`);
    expect(page).toContain(`action="${HOME}/deliveries/${id}/resend"`);
    expect((await visitor.post(`${HOME}/deliveries/${id}/sent`, {})).status).toBe(303);
    const after = await (await visitor.get(`${HOME}/deliveries/${id}`)).text();
    expect(after).not.toContain(`action="${HOME}/deliveries/${id}/sent"`);
    expect((await visitor.post(`${HOME}/deliveries/${other}/sent`, {})).status).toBe(404);
  });
});
