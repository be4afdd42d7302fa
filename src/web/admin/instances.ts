/** Sets of settings of a module whose type has them: two accounts with one gateway are two. Each has secrets and a webhook address. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { hasInstances } from '../../../sandbox/contract/kinds.ts';
import { testAction } from '../care/test-connection.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, frameData, idFrom, readForm, typedValues, type RawForm } from '../forms.ts';
import { installationOf, need, type InstallationRow } from '../need.ts';
import { withNote, type Note } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { installationHead } from './installation-head.ts';

interface Found {
  readonly installation: InstallationRow;
  readonly instance: { readonly id: string; readonly name: string; readonly active: boolean };
}

/** What a form of the page was refused for, and what was typed into it. */
interface Refused {
  readonly errors: FormErrors;
  readonly values: Readonly<Record<string, unknown>>;
}

const Named = v.object({ name: v.optional(v.pipe(v.string(), v.trim()), '') });
const SwitchForm = v.object({ active: v.picklist(['yes', 'no']) });

async function installationWithInstances(panel: Panel, c: AccountContext): Promise<InstallationRow> {
  need(c, 'modules.manage');
  const installation = await installationOf(panel, c.get('tenant').id, idFrom(c.req.param('id')));
  if (!hasInstances(installation.type)) throw new HostError('NOT_FOUND', 'There is no such page.');
  return installation;
}

async function find(panel: Panel, c: AccountContext): Promise<Found> {
  const installation = await installationWithInstances(panel, c);
  const instance = await panel.deps.db
    .selectFrom('instances')
    .select(['id', 'name', 'active'])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('installation_id', '=', installation.id)
    .where('id', '=', idFrom(c.req.param('instance')))
    .executeTakeFirst();
  if (instance === undefined) throw new HostError('NOT_FOUND', 'There is no such instance.');
  return { installation, instance };
}

function homeOf(c: AccountContext, installation: InstallationRow, instanceId?: string): string {
  const list = `${c.get('tenantBase')}/admin/installations/${installation.id}/instances`;
  return instanceId === undefined ? list : `${list}/${instanceId}`;
}

async function listPage(panel: Panel, c: AccountContext, refused?: Refused): Promise<Response> {
  const installation = await installationWithInstances(panel, c);
  const instances = await panel.deps.db
    .selectFrom('instances')
    .select((e) => [
      'id',
      'name',
      'active',
      'created_at',
      e
        .selectFrom('secrets')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('secrets.instance_id', '=', 'instances.id')
        .as('secrets'),
    ])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('installation_id', '=', installation.id)
    .orderBy('created_at')
    .execute();
  const head = installationHead(c, installation, 'instances');
  const data = { ...head, instances, errors: refused?.errors ?? {}, values: refused?.values ?? {} };
  return accountPage(panel, c, 'admin/instances', data, refused === undefined ? 200 : 422);
}

async function onePage(panel: Panel, c: AccountContext, found: Found, refused?: Refused): Promise<Response> {
  const { installation, instance } = found;
  const form = await panel.deps.instances.form(instance.id);
  const head = installationHead(c, installation, 'instances');
  const frames = `${c.get('tenantBase')}/m/${installation.id}`;
  const inFrame = form.html && installation.status === 'active';
  const data = {
    ...head,
    title: instance.name,
    crumb: { href: homeOf(c, installation), title: head.title },
    instance,
    home: homeOf(c, installation, instance.id),
    form: { ...form, values: { ...form.values, ...refused?.values } },
    frame: inFrame ? `${frames}/instance/${instance.id}` : undefined,
    framePages: frames,
    frameErrors: inFrame && refused !== undefined ? JSON.stringify(refused.errors) : undefined,
    frameValues: inFrame && refused !== undefined ? JSON.stringify(refused.values) : undefined,
    errors: refused?.errors ?? {},
    testAction: testAction(c, installation),
  };
  return accountPage(panel, c, 'admin/instance', data, refused === undefined ? 200 : 422);
}

function done(c: AccountContext, to: string, note: Note): Response {
  return c.redirect(withNote(to, note), 303);
}

async function save(panel: Panel, c: AccountContext): Promise<Response> {
  const found = await find(panel, c);
  const raw: RawForm = await readForm(c);
  const { fields, html } = await panel.deps.instances.form(found.instance.id);
  const values = html && found.installation.status === 'active' ? frameData(raw) : typedValues(fields, raw);
  const instanceId = found.instance.id;
  const accountId = c.get('account').accountId;
  const result = await panel.deps.instances.save({ instanceId, values, accountId });
  if (!result.ok) return onePage(panel, c, found, { errors: result.errors, values });
  return done(c, homeOf(c, found.installation, instanceId), 'settings-saved');
}

async function add(panel: Panel, c: AccountContext): Promise<Response> {
  const installation = await installationWithInstances(panel, c);
  const form = await checkForm(c, Named);
  const name = form.ok ? form.value.name : '';
  const accountId = c.get('account').accountId;
  const made = await panel.deps.instances.create({ installationId: installation.id, name, accountId });
  if (!made.ok) return listPage(panel, c, { errors: made.errors, values: { name } });
  return done(c, homeOf(c, installation, made.instanceId), 'instance-added');
}

async function rename(panel: Panel, c: AccountContext): Promise<Response> {
  const found = await find(panel, c);
  const form = await checkForm(c, Named);
  const name = form.ok ? form.value.name : '';
  const instanceId = found.instance.id;
  const result = await panel.deps.instances.rename({
    instanceId,
    name,
    accountId: c.get('account').accountId,
  });
  if (!result.ok)
    return onePage(panel, c, found, { errors: { rename: result.errors['name'] ?? [] }, values: {} });
  return done(c, homeOf(c, found.installation, instanceId), 'settings-saved');
}

async function switchIt(panel: Panel, c: AccountContext): Promise<Response> {
  const { installation, instance } = await find(panel, c);
  const form = await checkForm(c, SwitchForm);
  if (!form.ok) throw new HostError('BAD_INPUT', 'Switch it on or off.');
  const active = form.value.active === 'yes';
  await panel.deps.instances.setActive({
    instanceId: instance.id,
    active,
    accountId: c.get('account').accountId,
  });
  return done(c, homeOf(c, installation, instance.id), active ? 'instance-on' : 'instance-off');
}

async function remove(panel: Panel, c: AccountContext): Promise<Response> {
  const found = await find(panel, c);
  const form = await checkForm(c, Named);
  if (!form.ok || form.value.name !== found.instance.name)
    return onePage(panel, c, found, {
      errors: { remove: [`Type ${found.instance.name} to confirm.`] },
      values: {},
    });
  try {
    await panel.deps.instances.remove(found.instance.id, c.get('account').accountId);
  } catch (error) {
    const errors = errorsOf(error);
    if (errors === undefined) throw error;
    return onePage(panel, c, found, { errors: { remove: errors[''] ?? [] }, values: {} });
  }
  return done(c, homeOf(c, found.installation), 'instance-removed');
}

export function instancePages(app: AccountApp, panel: Panel): void {
  const one = '/installations/:id/instances/:instance';
  app.get('/installations/:id/instances', (c) => listPage(panel, c));
  app.post('/installations/:id/instances', (c) => add(panel, c));
  app.get(one, async (c) => onePage(panel, c, await find(panel, c)));
  app.post(one, (c) => save(panel, c));
  app.post(`${one}/rename`, (c) => rename(panel, c));
  app.post(`${one}/switch`, (c) => switchIt(panel, c));
  app.post(`${one}/remove`, (c) => remove(panel, c));
}
