/** The client's way through paying: the choice, the gateway's page in its frame or the way to its site, and coming back. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { ModuleResponse } from '../../sandbox/contract/invocation.ts';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
let invoiceId = '';
let otherInvoiceId = '';

beforeAll(async () => {
  const { db, seeded } = panel();
  const make = async (clientId: string, number: number): Promise<string> =>
    (
      await db
        .insertInto('invoices')
        .values({
          tenant_id: seeded.tenantId,
          client_id: clientId,
          number,
          label: `INV-0000${number}`,
          currency: 'EUR',
          total_minor: 1_250,
          due_at: new Date(),
        })
        .returning('id')
        .executeTakeFirstOrThrow()
    ).id;
  invoiceId = await make(seeded.clientId, 901);
  otherInvoiceId = await make(seeded.otherClientId, 902);
});

async function client() {
  const visitor = panel().visitor();
  await visitor.signIn('client', 'carl@client.test');
  panel().deps.called.length = 0;
  return visitor;
}

const home = (): string => `/t/acme/invoices/${invoiceId}`;

function calls(name: string) {
  return panel().deps.called.filter((call) => call.name === name);
}

describe('paying an invoice', () => {
  test('offers what the tenant has switched on, with what is due', async () => {
    const html = await (await (await client()).get(`${home()}/pay`)).text();
    expect(html).toContain('Cards, EUR');
    expect(html).toContain('€12.50');
    expect(html).toContain('INV-0000901');
  });

  test('sends the client on by a page that names the site, so that no form leads away', async () => {
    const visitor = await client();
    panel().deps.answer = { kind: 'redirect', status: 302, to: 'https://checkout.stripe.com/c/pay/1?a=%22' };
    const answer = await visitor.post(`${home()}/pay`, { instance: panel().seeded.instanceId });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('refresh')).toBe('1;url=https://checkout.stripe.com/c/pay/1?a=%22');
    expect(await answer.text()).toContain('checkout.stripe.com');
    expect(calls('pay')[0]?.input).toMatchObject({
      tenantId: panel().seeded.tenantId,
      invoiceId,
      account: { id: panel().seeded.clientId, kind: 'client' },
      returnUrl: expect.stringMatching(new RegExp(`^http.*${home()}/return/${panel().seeded.instanceId}$`)),
    });
  });

  test('shows a gateway’s own page in its frame, entering the module once', async () => {
    const visitor = await client();
    panel().deps.answer = { kind: 'html', status: 200, html: '<h1>Transfer the money</h1>' };
    const chosen = await visitor.post(`${home()}/pay`, { instance: panel().seeded.instanceId });
    const page = await (await visitor.get(chosen.headers.get('location') ?? '')).text();
    const src = /<iframe[^>]* src="([^"]+)"/.exec(page)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect(page).not.toContain('Transfer the money');
    const frame = await visitor.get(src);
    expect(frame.headers.get('content-security-policy')).toContain('sandbox allow-scripts allow-forms');
    expect(await frame.text()).toContain('Transfer the money');
    expect(calls('pay')).toHaveLength(1);
    // A reload asks anew; somebody else's key is of no use.
    await visitor.get(src);
    expect(calls('pay')).toHaveLength(2);
  });

  test('hands a form of the gateway’s page to its module; the panel goes where the answer leads', async () => {
    const visitor = await client();
    const { instanceId } = panel().seeded;
    const call = `/t/acme/m/pay/${invoiceId}/${instanceId}/call/page?page=1`;
    const answered = async (answer: ModuleResponse) => {
      panel().deps.answer = answer;
      return (await visitor.post(call, { card: 'tok_1' }, { 'x-csrf-token': visitor.csrf })).json();
    };
    expect(await answered({ kind: 'html', status: 200, html: '<p>Declined</p>' })).toMatchObject({
      kind: 'html',
      html: expect.stringContaining('Declined'),
    });
    expect(calls('submit')[0]?.input).toMatchObject({
      tenantId: panel().seeded.tenantId,
      invoiceId,
      instanceId,
      account: { id: panel().seeded.clientId, kind: 'client' },
      request: { method: 'POST', body: { text: expect.stringContaining('card=tok_1') } },
    });
    const returnUrl = `${panel().origin}${home()}/return/${instanceId}`;
    expect(await answered({ kind: 'redirect', status: 302, to: returnUrl })).toEqual({
      kind: 'panel',
      status: 303,
      to: `${home()}/return/${instanceId}`,
    });
    const away = await answered({ kind: 'redirect', status: 302, to: 'https://acs.bank.example/3ds' });
    expect(away).toMatchObject({
      kind: 'panel',
      to: expect.stringContaining(`/pay/${instanceId}/leave?to=`),
    });
    const { to } = away as { to: string };
    const other = await client();
    expect((await other.get(`${home()}/pay/${instanceId}/leave?to=1`)).headers.get('location')).toBe(
      `${home()}/pay`,
    );
    expect((await visitor.get(to)).headers.get('refresh')).toBe('1;url=https://acs.bank.example/3ds');
    expect((await visitor.get(to)).status).toBe(303);
  });

  test('a page that was kept is no address to leave for', async () => {
    const visitor = await client();
    const { instanceId } = panel().seeded;
    panel().deps.answer = { kind: 'html', status: 200, html: 'https://evil.example/' };
    const chosen = await visitor.post(`${home()}/pay`, { instance: instanceId });
    const key = new URL(chosen.headers.get('location') ?? '', 'http://x').searchParams.get('page') ?? '';
    expect((await visitor.get(`${home()}/pay/${instanceId}/leave?to=${key}`)).status).toBe(303);
  });

  test('takes no form without the panel’s token', async () => {
    const visitor = await client();
    visitor.csrf = 'another';
    const call = `/t/acme/m/pay/${invoiceId}/${panel().seeded.instanceId}/call/page`;
    expect((await visitor.post(call, { card: 'tok_1' }, { 'x-csrf-token': visitor.csrf })).status).toBe(403);
    expect(calls('submit')).toEqual([]);
  });

  test('needs a choice, and a form of ours', async () => {
    const visitor = await client();
    expect((await visitor.post(`${home()}/pay`, {})).status).toBe(422);
    visitor.csrf = 'another';
    expect((await visitor.post(`${home()}/pay`, { instance: panel().seeded.instanceId })).status).toBe(403);
    expect(calls('pay')).toEqual([]);
  });

  test('coming back asks the gateway and shows how it stands; giving up leads back to the choice', async () => {
    const visitor = await client();
    const { instanceId } = panel().seeded;
    const back = await visitor.get(`${home()}/return/${instanceId}?session_id=cs_1`);
    expect(back.headers.get('location')).toBe(`${home()}/payment`);
    expect(calls('returned')[0]?.input).toMatchObject({ invoiceId, query: { session_id: 'cs_1' } });
    expect(await (await visitor.get(`${home()}/payment`)).text()).toContain('waiting for your payment');
    const gaveUp = await visitor.get(`${home()}/cancelled/${instanceId}`);
    expect(gaveUp.headers.get('location')).toBe(`${home()}/pay?note=payment-given-up`);
    await panel()
      .db.updateTable('invoices')
      .set({ paid_minor: 1_250, status: 'paid' })
      .where('id', '=', invoiceId)
      .execute();
    expect(await (await visitor.get(`${home()}/payment`)).text()).toContain('is paid');
    expect((await visitor.get(`${home()}/pay`)).headers.get('location')).toBe(home());
  });

  test('another client’s invoice is not found, whatever the address', async () => {
    const visitor = await client();
    const { instanceId } = panel().seeded;
    const foreign = `/t/acme/invoices/${otherInvoiceId}`;
    for (const path of [
      '/pay',
      `/pay/${instanceId}`,
      `/return/${instanceId}`,
      `/cancelled/${instanceId}`,
      '/payment',
      '/payment/state',
    ])
      expect([path, (await visitor.get(foreign + path)).status]).toEqual([path, 404]);
    expect((await visitor.post(`${foreign}/pay`, { instance: instanceId })).status).toBe(404);
    expect(panel().deps.called).toEqual([]);
  });
});
