/** The admin's pages of a payment module's sets of settings: who may, what is handed on, and what a refused form shows. */
import { describe, expect, test } from 'vitest';
import { usePanel } from './support/panel.ts';

const panel = usePanel();
const ADMIN = '/t/acme/admin';

async function admin() {
  const visitor = panel().visitor();
  await visitor.signIn('admin', 'olga@acme.test');
  panel().deps.called.length = 0;
  return visitor;
}

const list = (): string => `${ADMIN}/installations/${panel().seeded.paymentInstallationId}/instances`;
const one = (): string => `${list()}/${panel().seeded.instanceId}`;

function lastCall(name: string): unknown {
  return panel().deps.called.findLast((call) => call.name === name)?.input;
}

describe('the accounts of a payment module', () => {
  test('are listed with their state, in place of one settings page', async () => {
    const visitor = await admin();
    const html = await (await visitor.get(list())).text();
    expect(html).toContain('Cards, EUR');
    expect(html).toContain('Cards, USD');
    expect(html).not.toMatch(/installations\/[0-9a-f-]+\/settings"/);
    const settings = await visitor.get(
      `${ADMIN}/installations/${panel().seeded.paymentInstallationId}/settings`,
    );
    expect(settings.headers.get('location')).toBe(list());
  });

  test('show the webhook address to copy, and no secret’s value', async () => {
    const html = await (await (await admin()).get(one())).text();
    expect(html).toContain('https://panel.example/hooks/0123456789abcdef0123456789abcdef');
    expect(html).toContain('value="pk_test_1"');
    expect(html).toContain('Set. Leave empty to keep it');
  });

  test('are added, renamed, saved, switched and deleted', async () => {
    const visitor = await admin();
    const { seeded } = panel();
    const added = await visitor.post(list(), { name: ' Second ' });
    expect(added.headers.get('location')).toContain(`${list()}/${seeded.instanceId}`);
    expect(lastCall('createInstance')).toMatchObject({
      installationId: seeded.paymentInstallationId,
      name: 'Second',
    });
    await visitor.post(`${one()}/rename`, { name: 'Other' });
    expect(lastCall('renameInstance')).toMatchObject({ instanceId: seeded.instanceId, name: 'Other' });
    await visitor.post(one(), { f_publishable: 'pk_live_2', f_secret_key: 'sk' });
    expect(lastCall('saveInstance')).toMatchObject({
      values: { publishable: 'pk_live_2', secret_key: 'sk' },
    });
    await visitor.post(`${one()}/switch`, { active: 'no' });
    expect(lastCall('setActive')).toMatchObject({ instanceId: seeded.instanceId, active: false });
    const wrong = await visitor.post(`${one()}/remove`, { name: 'something else' });
    expect(wrong.status).toBe(422);
    expect(lastCall('removeInstance')).toBeUndefined();
    await visitor.post(`${one()}/remove`, { name: 'Cards, EUR' });
    expect(lastCall('removeInstance')).toBe(seeded.instanceId);
  });

  test('show a refused form as it was filled in, with the reason', async () => {
    const visitor = await admin();
    const taken = await visitor.post(list(), { name: 'Taken' });
    expect(taken.status).toBe(422);
    const html = await taken.text();
    expect(html).toContain('Another one of this module has this name.');
    expect(html).toContain('value="Taken"');
    const refused = await visitor.post(one(), { f_publishable: 'bad' });
    expect(refused.status).toBe(422);
    expect(await refused.text()).toContain('This is no key.');
  });

  test('of another tenant, or of a module without any, are not found', async () => {
    const visitor = await admin();
    const { seeded } = panel();
    const foreign = `${list()}/${seeded.otherInstanceId}`;
    for (const path of [foreign, `${ADMIN}/installations/${seeded.installationId}/instances`])
      expect((await visitor.get(path)).status).toBe(404);
    for (const action of ['', '/rename', '/switch', '/remove'])
      expect((await visitor.post(foreign + action, { name: 'Cards', active: 'no' })).status).toBe(404);
    expect(panel().deps.called).toEqual([]);
    const frame = await visitor.get(
      `/t/acme/m/${seeded.paymentInstallationId}/instance/${seeded.otherInstanceId}`,
    );
    expect(await frame.text()).toContain('There is no such instance.');
  });

  test('are for who may manage modules only', async () => {
    const { deps, db, seeded } = panel();
    const role = await db
      .selectFrom('roles')
      .select('id')
      .where('tenant_id', '=', seeded.tenantId)
      .where('name', '=', 'Support')
      .executeTakeFirstOrThrow();
    await deps.auth.createAccount({
      kind: 'admin',
      tenantId: seeded.tenantId,
      roleId: role.id,
      email: 'sam@acme.test',
      name: 'Sam',
      password: 'correct horse battery',
    });
    const visitor = panel().visitor();
    await visitor.signIn('admin', 'sam@acme.test');
    deps.called.length = 0;
    for (const path of [list(), one()]) expect((await visitor.get(path)).status).toBe(403);
    for (const action of ['', '/rename', '/switch', '/remove'])
      expect((await visitor.post(one() + action, { name: 'Cards, EUR', active: 'no' })).status).toBe(403);
    const frame = `/t/acme/m/${seeded.paymentInstallationId}/instance/${seeded.instanceId}`;
    expect(await (await visitor.get(frame)).text()).toContain('could not be shown');
    expect(deps.called).toEqual([]);
  });
});
