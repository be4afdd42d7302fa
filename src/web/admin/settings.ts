/** Settings of the tenant: its name and formats, its admins, and roles with their permissions, the modules' own included. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Email, isUniqueViolation, PersonName } from '../../auth/accounts.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { hasPermission, modulePermission, PANEL_PERMISSIONS } from '../../auth/permissions.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom } from '../forms.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

function knows(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

export const Timezone = v.pipe(
  v.string(),
  v.trim(),
  v.check(
    (zone) => knows(() => new Intl.DateTimeFormat('en', { timeZone: zone })),
    'A time zone is expected, for example Europe/Warsaw.',
  ),
);
export const Currency = v.pipe(
  v.string(),
  v.trim(),
  v.toUpperCase(),
  v.regex(/^[A-Z]{3}$/, 'Three letters are expected, for example EUR.'),
);
const TenantForm = v.object({
  name: v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'A name is needed.'),
    v.maxLength(100, 'Use at most 100 characters.'),
  ),
  locale: v.pipe(
    v.string(),
    v.trim(),
    v.check(
      (tag) => knows(() => new Intl.Locale(tag)),
      'A language tag is expected, for example en or pl-PL.',
    ),
  ),
  timezone: Timezone,
  client_registration: v.pipe(
    v.optional(v.string(), ''),
    v.transform((text) => text === 'on'),
  ),
});
const RoleName = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1, 'A name is needed.'),
  v.maxLength(60, 'Use at most 60 characters.'),
);
const RoleForm = v.object({
  name: RoleName,
  permission: v.optional(
    v.union([
      v.array(v.string()),
      v.pipe(
        v.string(),
        v.transform((one) => [one]),
      ),
    ]),
    [],
  ),
});
const AdminForm = v.object({
  email: Email,
  name: PersonName,
  role: v.pipe(v.string(), v.uuid('Choose a role.')),
  password: v.pipe(
    v.string(),
    v.minLength(AUTH_LIMITS.passwordMinChars, `Use at least ${AUTH_LIMITS.passwordMinChars} characters.`),
  ),
});

const ROLE_TAKEN = 'There is a role of this name already.';

interface Grantable {
  readonly key: string;
  readonly title: string;
  /** What the module says of its permission; empty for the panel's own, whose title says it. */
  readonly help: string;
}

/** Every key a role may hold: the panel's, and those that installed modules declare. */
async function grantable(panel: Panel, tenantId: string): Promise<Grantable[]> {
  const rows = await panel.deps.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select(['modules.type', 'modules.name', 'module_versions.declaration'])
    .where('installations.tenant_id', '=', tenantId)
    .orderBy('modules.name')
    .execute();
  const ofModules = rows.flatMap((row) => {
    const declared = v.safeParse(v.pick(Declaration, ['permissions']), row.declaration);
    const list = declared.success ? declared.output.permissions : [];
    return list.map(({ key, name, description }) => ({
      key: modulePermission(row.type, row.name, key),
      title: `${row.name}: ${name}`,
      help: description,
    }));
  });
  return [
    ...Object.entries(PANEL_PERMISSIONS).map(([key, title]) => ({ key, title, help: '' })),
    ...ofModules,
  ];
}

function readRoles(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('roles')
    .select((e) => [
      'roles.id',
      'roles.name',
      'roles.permissions',
      e
        .selectFrom('accounts')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('accounts.role_id', '=', 'roles.id')
        .as('accounts'),
    ])
    .where('tenant_id', '=', tenantId)
    .orderBy('name')
    .execute();
}

function readAdmins(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('accounts')
    .leftJoin('roles', 'roles.id', 'accounts.role_id')
    .select(['accounts.id', 'accounts.name', 'accounts.email', 'accounts.disabled_at', 'roles.name as role'])
    .where('accounts.tenant_id', '=', tenantId)
    .where('accounts.kind', '=', 'admin')
    .orderBy('accounts.name')
    .execute();
}

/** Nobody hands out what they do not hold themselves. @throws NOT_GRANTED */
function mayHandOut(c: AccountContext, permissions: readonly string[]): void {
  const own = c.get('account').permissions;
  const beyond = permissions.find((key) => !hasPermission(own, key));
  if (beyond !== undefined)
    throw new HostError('NOT_GRANTED', `Your own role lacks "${beyond}", so you cannot give it to another.`);
}

export function settingsPages(app: AccountApp, panel: Panel): void {
  const { auth, db } = panel.deps;

  const page = async (c: AccountContext, errors: FormErrors = {}, values: object = {}) => {
    need(c, 'settings.manage');
    const tenantId = c.get('tenant').id;
    const [roles, admins, keys] = await Promise.all([
      readRoles(panel, tenantId),
      readAdmins(panel, tenantId),
      grantable(panel, tenantId),
    ]);
    const status = Object.keys(errors).length === 0 ? 200 : 422;
    const tenant = await db
      .selectFrom('tenants')
      .selectAll()
      .where('id', '=', tenantId)
      .executeTakeFirstOrThrow();
    return accountPage(
      panel,
      c,
      'admin/settings',
      { title: c.get('t')('menu.settings'), tenant, roles, admins, keys, errors, values },
      status,
    );
  };
  const home = (c: AccountContext) => `${c.get('tenantBase')}/admin/settings`;

  app.get('/settings', (c) => page(c));

  app.post('/settings', async (c) => {
    need(c, 'settings.manage');
    const form = await checkForm(c, TenantForm);
    if (!form.ok) return page(c, form.errors, form.values);
    await db.updateTable('tenants').set(form.value).where('id', '=', c.get('tenant').id).execute();
    return c.redirect(withNote(home(c), 'profile-saved'), 303);
  });

  app.post('/settings/admins', async (c) => {
    need(c, 'settings.manage');
    const form = await checkForm(c, AdminForm);
    if (!form.ok) return page(c, prefixed('admin', form.errors), form.values);
    const { role, ...person } = form.value;
    const row = (await readRoles(panel, c.get('tenant').id)).find(({ id }) => id === role);
    if (row === undefined) return page(c, { 'admin.role': ['Choose a role.'] });
    mayHandOut(c, row.permissions);
    try {
      await auth.createAccount({ kind: 'admin', tenantId: c.get('tenant').id, roleId: role, ...person });
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, prefixed('admin', errors), { email: person.email, name: person.name });
    }
    return c.redirect(withNote(home(c), 'admin-created'), 303);
  });

  app.post('/settings/roles/:id', async (c) => {
    need(c, 'settings.manage');
    const tenantId = c.get('tenant').id;
    const form = await checkForm(c, RoleForm);
    if (!form.ok) return page(c, prefixed('role', form.errors));
    const known = new Set(['*', ...(await grantable(panel, tenantId)).map(({ key }) => key)]);
    const permissions = form.value.permission.filter((key) => known.has(key));
    mayHandOut(c, permissions);
    try {
      if (c.req.param('id') === 'new') await newRole(panel, tenantId, form.value.name, permissions);
      else await changeRole(panel, c, idFrom(c.req.param('id')), form.value.name, permissions);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, errors);
    }
    return c.redirect(withNote(home(c), 'role-saved'), 303);
  });
}

function prefixed(prefix: string, errors: FormErrors): FormErrors {
  return Object.fromEntries(
    Object.entries(errors).map(([key, texts]) => [key === '' ? '' : `${prefix}.${key}`, texts]),
  );
}

async function newRole(panel: Panel, tenantId: string, name: string, permissions: string[]): Promise<void> {
  const result = await panel.deps.db
    .insertInto('roles')
    .values({ tenant_id: tenantId, name, permissions })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name']).doNothing())
    .executeTakeFirst();
  if (result.numInsertedOrUpdatedRows === 0n) throw new HostError('CONFLICT', ROLE_TAKEN);
}

/** @throws NOT_GRANTED when it would take more from the role than one holds, CONFLICT when nobody could manage settings any more */
async function changeRole(
  panel: Panel,
  c: AccountContext,
  id: string,
  name: string,
  permissions: string[],
): Promise<void> {
  const { db, auth } = panel.deps;
  const tenantId = c.get('tenant').id;
  const role = (await readRoles(panel, tenantId)).find((row) => row.id === id);
  if (role === undefined) throw new HostError('NOT_FOUND', 'There is no such role.');
  mayHandOut(c, role.permissions);
  const own = await db
    .selectFrom('accounts')
    .select('role_id')
    .where('id', '=', c.get('account').accountId)
    .executeTakeFirst();
  if (own?.role_id === id && !hasPermission(permissions, 'settings.manage'))
    throw new HostError('CONFLICT', 'You cannot take "settings.manage" from your own role.');
  await db
    .updateTable('roles')
    .set({ name, permissions })
    .where('id', '=', id)
    .where('tenant_id', '=', tenantId)
    .execute()
    .catch((cause: unknown) => {
      throw isUniqueViolation(cause) ? new HostError('CONFLICT', ROLE_TAKEN, { cause }) : cause;
    });
  const holders = await db.selectFrom('accounts').select('id').where('role_id', '=', id).execute();
  for (const holder of holders) auth.sessions.forget(holder.id);
}
