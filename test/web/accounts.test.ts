/** What an account has beside its password, walked as a person would: language, second step, forgotten password, registering. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUTH_LIMITS } from '../../src/auth/limits.ts';
import { until } from '../support/until.ts';
import { usePanel } from './support/panel.ts';
import { PASSWORD } from './support/seed.ts';
import { tidyAccounts } from '../../src/auth/tidy.ts';
import { openHostMail } from '../../src/mail/host-mail.ts';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { appCode } from '../support/totp.ts';

const panel = usePanel();
const CLIENT = '/t/acme';

function found(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? '';
}

async function fresh(name: string): Promise<string> {
  const email = `${name}@client.test`;
  const { deps, seeded } = panel();
  await deps.auth.createAccount({
    kind: 'client',
    tenantId: seeded.tenantId,
    email,
    name,
    password: PASSWORD,
  });
  return email;
}

async function signedIn(email: string) {
  const visitor = panel().visitor();
  await visitor.signIn('client', email);
  return visitor;
}

describe('the language', () => {
  test('is what the browser asks for, until somebody chooses; then it stays with the account', async () => {
    const email = await fresh('lang');
    const { db, seeded } = panel();
    const visitor = await signedIn(email);
    const polish = { 'accept-language': 'pl' };
    expect(await (await visitor.get(`${CLIENT}/services`, polish)).text()).toContain('<html lang="en">');

    const switched = await visitor.post(`${CLIENT}/profile/language`, {
      language: 'pl',
      from: `${CLIENT}/services`,
    });
    expect(switched.headers.get('location')).toBe(`${CLIENT}/services`);
    const page = await (await visitor.get(`${CLIENT}/services`)).text();
    expect(page).toContain('<html lang="pl">');
    expect(page).toContain('Moje usługi');

    const elsewhere = await signedIn(email);
    expect(await (await elsewhere.get(`${CLIENT}/services`)).text()).toContain('Moje usługi');

    await db.updateTable('tenants').set({ locale: 'pl-PL' }).where('id', '=', seeded.tenantId).execute();
    const other = await signedIn(await fresh('lang2'));
    const html = await until('the tenant’s new language', async () => {
      panel().advance(10_000);
      const text = await (await other.get(`${CLIENT}/services`)).text();
      return text.includes('Moje usługi') && text;
    });
    expect(html).toContain('<html lang="pl">');
    await db.updateTable('tenants').set({ locale: 'en' }).where('id', '=', seeded.tenantId).execute();
    panel().advance(10_000);
  });

  test('of the sign-in is chosen by a link that leads nowhere else', async () => {
    const visitor = panel().visitor();
    const to = async (from: string) =>
      (await visitor.get(`/language/pl?from=${encodeURIComponent(from)}`)).headers.get('location');
    expect(await to(`${CLIENT}/sign-in?next=/x`)).toBe(`${CLIENT}/sign-in?next=/x`);
    for (const away of ['https://evil.test/', '//evil.test/', '/\\evil.test', 'javascript:alert(1)'])
      expect([away, await to(away)]).toEqual([away, '/']);
    const page = await (await visitor.get(`${CLIENT}/sign-in`)).text();
    expect(page).toContain('Zaloguj się');
    expect((await visitor.get('/language/xx')).status).toBe(404);
  });
});

describe('the second step', () => {
  const codeOf = (key: string): string => appCode(key, panel().deps.now());

  test('asks for a code that works once, or for a recovery code that works once', async () => {
    const email = await fresh('two');
    const owner = await signedIn(email);
    const profile = async () => (await owner.get(`${CLIENT}/profile`)).text();
    expect(await profile()).toContain(`href="${CLIENT}/profile/two-factor"`);
    const setup = await (await owner.get(`${CLIENT}/profile/two-factor`)).text();
    expect(setup).toMatch(/<svg[^>]*viewBox="0 0 \d+ \d+"[^>]*>.*<path d="M\d/s);
    const key = found(setup, /<code[^>]*>([A-Z2-7 ]+)</);
    const sealed = found(setup, /name="sealed" value="([^"]+)"/);
    const confirm = (code: string, password = PASSWORD) =>
      owner.post(`${CLIENT}/profile/two-factor`, { sealed, code, password });
    expect((await confirm(codeOf(key), 'not mine')).status).toBe(422);
    expect((await confirm('000000')).status).toBe(422);
    const on = await (await confirm(codeOf(key))).text();
    const recovery = on.match(/\d{3}-\d{3}-\d{3}/g) ?? [];
    expect(recovery).toHaveLength(8);
    expect(await profile()).toContain(`action="${CLIENT}/profile/two-factor/off"`);

    panel().advance(60_000);
    const visitor = panel().visitor();
    const begin = async () => {
      const asked = await visitor.post(`${CLIENT}/sign-in`, { email, password: PASSWORD });
      expect(asked.headers.getSetCookie().filter((cookie) => cookie.startsWith('bh_client'))).toEqual([]);
      return found(await asked.text(), /name="token" value="([^"]+)"/);
    };
    const finish = async (token: string, code: string) =>
      (await visitor.post(`${CLIENT}/sign-in/code`, { token, code })).status;
    const code = codeOf(key);
    const first = await begin();
    expect(await finish(first, '123456')).toBe(401);
    expect(await finish(first, code)).toBe(303);
    expect(await finish(first, code)).toBe(401);
    expect(await finish(await begin(), code)).toBe(401);
    const spare = recovery[0] ?? '';
    expect(await finish(await begin(), spare)).toBe(303);
    expect(await finish(await begin(), spare)).toBe(401);
    expect((await visitor.get(`${CLIENT}/services`)).status).toBe(200);
  });

  test('takes a code that is given twice at once for one of the two', async () => {
    const email = await fresh('race');
    const { deps, db } = panel();
    const owner = await signedIn(email);
    const setup = await (await owner.get(`${CLIENT}/profile/two-factor`)).text();
    const key = found(setup, /<code[^>]*>([A-Z2-7 ]+)</);
    const sealed = found(setup, /name="sealed" value="([^"]+)"/);
    await owner.post(`${CLIENT}/profile/two-factor`, { sealed, code: codeOf(key), password: PASSWORD });
    const { id } = await db
      .selectFrom('accounts')
      .select('id')
      .where('email', '=', email)
      .executeTakeFirstOrThrow();
    panel().advance(60_000);
    const given = Array.from({ length: 4 }, async () => deps.auth.twoFactor?.check(id, codeOf(key)));
    expect((await Promise.all(given)).filter((right) => right)).toHaveLength(1);
  });

  test('that is half done is no session, and is over after some minutes', async () => {
    const email = await fresh('half');
    const { deps } = panel();
    const owner = await signedIn(email);
    const setup = await (await owner.get(`${CLIENT}/profile/two-factor`)).text();
    const key = found(setup, /<code[^>]*>([A-Z2-7 ]+)</);
    const sealed = found(setup, /name="sealed" value="([^"]+)"/);
    await owner.post(`${CLIENT}/profile/two-factor`, { sealed, code: codeOf(key), password: PASSWORD });
    const asked = await panel().visitor().post(`${CLIENT}/sign-in`, { email, password: PASSWORD });
    const token = found(await asked.text(), /name="token" value="([^"]+)"/);
    expect(await deps.auth.sessions.find(token)).toBeUndefined();
    panel().advance(6 * 60_000);
    const late = await panel()
      .visitor()
      .post(`${CLIENT}/sign-in/code`, { token, code: codeOf(key) });
    expect(late.status).toBe(401);
  });

  test('is not guessed: after some wrong codes it waits', async () => {
    const email = await fresh('guess');
    const { deps, db } = panel();
    const { id } = await db
      .selectFrom('accounts')
      .select('id')
      .where('email', '=', email)
      .executeTakeFirstOrThrow();
    const tries = Array.from({ length: 9 }, (_, number) => number);
    const answers: unknown[] = [];
    for (const number of tries)
      answers.push(
        await deps.auth.twoFactor?.check(id, `00000${number}`).catch((error: unknown) => String(error)),
      );
    expect(answers.slice(0, 8)).toEqual(Array(8).fill(false));
    expect(answers[8]).toContain('Too many wrong codes');
  });

  test('set up by somebody else’s form is refused', async () => {
    const one = await signedIn(await fresh('mine'));
    const two = await signedIn(await fresh('theirs'));
    const setup = await (await one.get(`${CLIENT}/profile/two-factor`)).text();
    const sealed = found(setup, /name="sealed" value="([^"]+)"/);
    const code = codeOf(found(setup, /<code[^>]*>([A-Z2-7 ]+)</));
    const answer = await two.post(`${CLIENT}/profile/two-factor`, { sealed, code, password: PASSWORD });
    expect(answer.status).toBe(422);
    expect(await answer.text()).not.toMatch(/\d{3}-\d{3}-\d{3}/);
  });
});

describe('a forgotten password', () => {
  test('cannot be mended where the host sends no mail, and the page says so', async () => {
    expect(await (await panel().visitor().get(`${CLIENT}/forgot`)).text()).toContain(
      'This host sends no mail',
    );
  });

  test('is set anew by a link that works once, for its own account, and ends the sessions', async () => {
    const email = await fresh('forgot');
    const sent: { to: string; text: string }[] = [];
    Object.assign(panel().deps, {
      mail: { send: async (mail: { to: string; text: string }) => void sent.push(mail) },
    });
    const ask = (address: string) => panel().visitor().post(`${CLIENT}/forgot`, { email: address });
    const before = await signedIn(email);
    const [known, unknown] = [await (await ask(email)).text(), await (await ask('no@client.test')).text()];
    expect(unknown).toBe(known);
    const mail = await until('the mail', async () => sent[0]);
    expect(mail.to).toBe(email);
    const link = found(mail.text, /(http:\S+)/);
    expect(link).toMatch(new RegExp(`^${panel().origin}${CLIENT}/reset/[\\w-]{43}$`));
    const path = link.slice(panel().origin.length);

    const visitor = panel().visitor();
    const elsewhere = path.replace(CLIENT, '/t/globex');
    expect((await visitor.get(elsewhere)).status).toBe(404);
    expect((await visitor.get(path.replace(CLIENT, `${CLIENT}/admin`))).status).toBe(404);
    const password = 'another long password';
    expect((await visitor.post(path, { password, again: 'x' })).status).toBe(422);
    expect((await visitor.post(path, { password: 'short', again: 'short' })).status).toBe(422);
    expect((await visitor.post(path, { password, again: password })).status).toBe(303);
    expect((await visitor.post(path, { password, again: password })).status).toBe(404);
    expect((await before.get(`${CLIENT}/services`)).status).toBe(303);
    expect((await visitor.signIn('client', email, { password })).status).toBe(303);

    for (const _try of [1, 2, 3, 4]) await ask(email);
    await until('the other mails', async () => sent.length >= 3);
    expect(sent.map(({ to }) => to)).not.toContain('no@client.test');
    expect(sent.length).toBe(3);
  });
});

describe('registering where the host sends mail', () => {
  let cloud: FakeCloud;
  beforeAll(async () => {
    cloud = await spawnFakeCloud();
    const { host, port, username, password } = cloud.smtp;
    const credentials = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
    const mail = openHostMail({
      BULKHEAD_SMTP_URL: `smtp://${credentials}@${host}:${port}`,
      BULKHEAD_MAIL_FROM: 'Panel <panel@bulkhead.test>',
    });
    Object.assign(panel().deps, { mail });
    await panel().db.updateTable('tenants').set({ client_registration: true }).execute();
  });
  afterAll(async () => {
    Object.assign(panel().deps, { mail: undefined });
    await panel().db.updateTable('tenants').set({ client_registration: false }).execute();
    await cloud.stop();
  });
  const person = (name: string) => ({
    name: 'Nora New',
    email: `${name}@client.test`,
    password: 'a long password',
  });
  const told = async (email: string) =>
    (
      await panel().db.selectFrom('events').select('payload').where('name', '=', 'ClientRegistered').execute()
    ).filter(({ payload }) => JSON.stringify(payload).includes(email)).length;
  const links = async (): Promise<string[]> =>
    (await cloud.control.mails()).map(({ raw }) =>
      found(raw.replace(/=\r\n/g, ''), /(http:\S+)/).slice(panel().origin.length),
    );

  test('the address is confirmed by the link of a mail before anybody signs in or is told of', async () => {
    const form = person('nora');
    const visitor = panel().visitor();
    const asked = await visitor.post(`${CLIENT}/register`, form);
    expect(await asked.text()).toContain('We have sent you a mail');
    expect(asked.headers.getSetCookie().filter((cookie) => cookie.startsWith('bh_client'))).toEqual([]);
    expect((await visitor.get(`${CLIENT}/order`)).status).toBe(303);
    expect(await told(form.email)).toBe(0);
    const [mail] = await cloud.control.mails();
    expect(mail).toMatchObject({ from: 'panel@bulkhead.test', to: [form.email] });

    // The right password is not enough; it brings another link, so often and no more.
    for (const _try of [1, 2, 3])
      expect(await (await visitor.post(`${CLIENT}/sign-in`, form)).text()).toContain(
        'We have sent you a mail',
      );
    const wrong = await visitor.post(`${CLIENT}/sign-in`, { ...form, password: 'not this one' });
    expect(await wrong.text()).not.toContain('We have sent you a mail');
    const all = await links();
    expect(all).toHaveLength(3);
    const path = all.at(-1) ?? '';
    expect(path).toMatch(new RegExp(`^${CLIENT}/confirm/[\\w-]{43}$`));
    expect((await visitor.get(all[0] ?? '')).status).toBe(404);
    expect((await visitor.get(path.replace(CLIENT, '/t/globex'))).status).toBe(404);
    // Opened, the link does nothing yet: mail servers open links too.
    expect((await visitor.get(path)).status).toBe(200);
    expect(await (await visitor.post(`${CLIENT}/sign-in`, form)).text()).toContain('We have sent you a mail');
    expect((await visitor.post(path, {})).headers.get('location')).toContain('note=email-confirmed');
    expect(await told(form.email)).toBe(1);
    expect((await visitor.post(path, {})).status).toBe(404);
    expect((await visitor.signIn('client', form.email, { password: form.password })).status).toBe(303);
  });

  test('the link is sent again to whoever asks by address, and the answer tells nothing', async () => {
    await cloud.control.reset();
    const form = person('again');
    await panel().visitor().post(`${CLIENT}/register`, form);
    await cloud.control.reset();
    const page = await (await panel().visitor().get(`${CLIENT}/sign-in`)).text();
    expect(page).toContain(`${CLIENT}/confirm`);
    const ask = async (email: string) => {
      const answer = await panel().visitor().post(`${CLIENT}/confirm`, { email });
      return [answer.status, (await answer.text()).replaceAll(/nonce="[^"]*"/g, '')];
    };
    const answer = await ask(form.email);
    expect(await ask('nobody@at.all')).toEqual(answer);
    // Confirmed long ago: no link that would say so.
    expect(await ask('carl@client.test')).toEqual(answer);
    const [path] = await until('the mail', async () => {
      const sent = await links();
      return sent.length > 0 ? sent : undefined;
    });
    // The first went to the registration; three in all, and no fourth.
    for (const _try of [1, 2, 3]) expect(await ask(form.email)).toEqual(answer);
    await until('the third mail', async () => (await links()).length === 2);
    expect(path).toMatch(/\/confirm\//);
    expect(
      (
        await panel()
          .visitor()
          .post((await links()).at(-1) ?? '', {})
      ).headers.get('location'),
    ).toContain('email-confirmed');
    expect(await links()).toHaveLength(2);
  });

  test('staff confirms an address itself, or has the link sent again; those of another tenant do not', async () => {
    await cloud.control.reset();
    const { db } = panel();
    const form = person('helped');
    await panel().visitor().post(`${CLIENT}/register`, form);
    const { id } = await db
      .selectFrom('accounts')
      .select('id')
      .where('email', '=', form.email)
      .executeTakeFirstOrThrow();
    const at = `${CLIENT}/admin/clients/${id}`;
    const admin = panel().visitor();
    await admin.signIn('admin', 'olga@acme.test');
    expect(await (await admin.get(at)).text()).toContain('Address not confirmed');
    expect(await (await admin.get(`${CLIENT}/admin/clients?q=helped`)).text()).toContain(
      'Address not confirmed',
    );
    await cloud.control.reset();
    expect((await admin.post(`${at}/confirmation-mail`, {})).headers.get('location')).toContain(
      'confirmation-sent',
    );
    expect(await links()).toHaveLength(1);
    const stranger = panel().visitor();
    await stranger.signIn('admin', 'hank@globex.test', { tenant: 'globex' });
    for (const what of ['confirm', 'confirmation-mail'])
      expect((await stranger.post(`/t/globex/admin/clients/${id}/${what}`, {})).status).toBe(404);
    expect((await panel().visitor().post(`${CLIENT}/sign-in`, form)).headers.get('location')).toBeNull();
    expect((await admin.post(`${at}/confirm`, {})).headers.get('location')).toContain('client-confirmed');
    expect(await told(form.email)).toBe(1);
    expect((await panel().visitor().signIn('client', form.email, { password: form.password })).status).toBe(
      303,
    );
    expect((await admin.post(`${at}/confirmation-mail`, {})).status).toBe(409);
    expect(await (await admin.get(at)).text()).not.toContain('Address not confirmed');
  });

  test('a link to a new password confirms the address as well; what nobody confirms is removed', async () => {
    const { db, deps } = panel();
    await cloud.control.reset();
    const [claimed, never] = [person('claimed'), person('never')];
    for (const form of [claimed, never]) await panel().visitor().post(`${CLIENT}/register`, form);
    await cloud.control.reset();
    await panel().visitor().post(`${CLIENT}/forgot`, { email: claimed.email });
    const [reset] = await until('the mail', async () => {
      const sent = await links();
      return sent.length > 0 ? sent : undefined;
    });
    const password = 'another long password';
    await panel()
      .visitor()
      .post(reset ?? '', { password, again: password });
    expect((await panel().visitor().signIn('client', claimed.email, { password })).status).toBe(303);

    const late = () => deps.now() + AUTH_LIMITS.unconfirmedMs + 60_000;
    await tidyAccounts({ db, sessions: deps.auth.sessions, now: deps.now });
    const emails = async () =>
      (
        await db
          .selectFrom('accounts')
          .select('email')
          .where('email', 'in', [claimed.email, never.email])
          .orderBy('email')
          .execute()
      ).map(({ email }) => email);
    expect(await emails()).toEqual([claimed.email, never.email]);
    await db
      .updateTable('accounts')
      .set({ unconfirmed_since: new Date(deps.now()) })
      .where('email', '=', never.email)
      .execute();
    await tidyAccounts({ db, sessions: { ...deps.auth.sessions, sweep: async () => 0 }, now: late });
    expect(await emails()).toEqual([claimed.email]);
  });
});

describe('registering', () => {
  const form = { name: 'Nina New', email: 'nina@client.test', password: 'a long password' };

  test('is closed unless the tenant opens it', async () => {
    const visitor = panel().visitor();
    expect((await visitor.get(`${CLIENT}/register`)).status).toBe(404);
    expect((await visitor.post(`${CLIENT}/register`, form)).status).toBe(404);
    expect(await (await visitor.get(`${CLIENT}/sign-in`)).text()).not.toContain('/register');
  });

  test('makes a client of this tenant, tells so, signs in, and is bounded', async () => {
    const { db, seeded } = panel();
    const admin = panel().visitor();
    await admin.signIn('admin', 'olga@acme.test');
    const settings = {
      name: 'Acme Hosting',
      locale: 'en',
      timezone: 'Europe/Warsaw',
      client_registration: 'on',
    };
    await admin.post(`${CLIENT}/admin/settings`, settings);
    // Where no mail is sent nobody can be asked to confirm an address.
    Object.assign(panel().deps, { mail: undefined });
    const visitor = panel().visitor();
    expect(await (await visitor.get(`${CLIENT}/sign-in`)).text()).toContain(`${CLIENT}/register`);
    const made = await visitor.post(`${CLIENT}/register`, form);
    expect(made.headers.get('location')).toBe(`${CLIENT}/order`);
    expect((await visitor.get(`${CLIENT}/order`)).status).toBe(200);
    const row = await db
      .selectFrom('accounts')
      .select(['kind', 'tenant_id'])
      .where('email', '=', form.email)
      .executeTakeFirstOrThrow();
    expect(row).toEqual({ kind: 'client', tenant_id: seeded.tenantId });
    const told = await db
      .selectFrom('events')
      .select('name')
      .where('tenant_id', '=', seeded.tenantId)
      .where('name', '=', 'ClientRegistered')
      .execute();
    expect(told.length).toBeGreaterThan(0);
    expect((await visitor.post(`${CLIENT}/register`, form)).status).toBe(422);
    const more = [];
    for (const number of [1, 2, 3, 4, 5])
      more.push(
        (await visitor.post(`${CLIENT}/register`, { ...form, email: `n${number}@client.test` })).status,
      );
    expect(more.at(-1)).toBe(429);
  });
});
