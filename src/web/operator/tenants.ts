/** Tenants: the list, creating one with its first admin, and the private addresses its modules may reach. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Email, PersonName } from '../../auth/accounts.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { Currency, Timezone } from '../admin/settings.ts';
import type { FormErrors } from '../deps.ts';
import type { OperatorApp, OperatorContext } from '../env.ts';
import { checkForm, errorsOf, idFrom, readForm, type RawForm } from '../forms.ts';
import { withNote } from '../notes.ts';
import { operatorPage, type Panel } from '../panel.ts';

const Named = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1, 'A name is needed.'),
  v.maxLength(100, 'Use at most 100 characters.'),
);
const TenantForm = v.object({
  slug: v.pipe(
    v.string(),
    v.trim(),
    v.toLowerCase(),
    v.regex(/^[a-z][a-z0-9-]{1,30}$/, 'Small letters, digits and "-", for example "acme".'),
  ),
  name: Named,
  currency: Currency,
  timezone: Timezone,
  admin_name: PersonName,
  admin_email: Email,
  admin_password: v.pipe(
    v.string(),
    v.minLength(AUTH_LIMITS.passwordMinChars, `Use at least ${AUTH_LIMITS.passwordMinChars} characters.`),
  ),
});
const Egress = v.array(v.object({ cidr: v.string(), port: v.number() }));
const EGRESS_LINE = /^(\S+)\s+(\d{1,5})$/;

function readTenants(panel: Panel) {
  return panel.deps.db
    .selectFrom('tenants')
    .select((e) => [
      'id',
      'slug',
      'name',
      'created_at',
      e
        .selectFrom('installations')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('installations.tenant_id', '=', 'tenants.id')
        .as('modules'),
      e
        .selectFrom('services')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('services.tenant_id', '=', 'tenants.id')
        .as('services'),
      e
        .selectFrom('usage_minutes')
        .innerJoin('installations', 'installations.id', 'usage_minutes.installation_id')
        .select(sql<number>`coalesce(sum(cpu_us), 0)::float8`.as('n'))
        .whereRef('installations.tenant_id', '=', 'tenants.id')
        .where('minute', '>', sql<Date>`now() - interval '24 hours'`)
        .as('cpu_us'),
    ])
    .orderBy('name')
    .limit(1_000)
    .execute();
}

/** Lines of 'cidr port'. */
function egressLines(text: string): { allow: { cidr: string; port: number }[]; errors: string[] } {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const errors: string[] = [];
  const allow = lines.flatMap((line) => {
    const match = EGRESS_LINE.exec(line);
    if (match?.[1] === undefined)
      errors.push(`"${line}": a range and a port are expected, for example "10.0.0.0/24 8443".`);
    return match?.[1] === undefined ? [] : [{ cidr: match[1], port: Number(match[2]) }];
  });
  return { allow, errors };
}

export function tenantPages(app: OperatorApp, panel: Panel): void {
  const { tenants, db } = panel.deps;
  const home = `${panel.site.base}/operator/tenants`;
  const crumb = (c: OperatorContext) => ({ href: home, title: c.get('t')('menu.tenants') });

  app.get('/tenants', async (c) => {
    const rows = await readTenants(panel);
    return operatorPage(panel, c, 'operator/tenants', {
      title: c.get('t')('menu.tenants'),
      tenants: rows,
      root: panel.site.base,
    });
  });

  const newPage = (c: OperatorContext, errors: FormErrors = {}, values: RawForm = {}) =>
    operatorPage(
      panel,
      c,
      'operator/tenant-new',
      { title: c.get('t')('operator.new_tenant'), crumb: crumb(c), errors, values },
      Object.keys(errors).length === 0 ? 200 : 422,
    );
  app.get('/tenants/new', (c) => newPage(c));
  app.post('/tenants/new', async (c) => {
    const form = await checkForm(c, TenantForm);
    if (!form.ok) return newPage(c, form.errors, form.values);
    const { admin_name, admin_email, admin_password, ...tenant } = form.value;
    const typed = { ...tenant, admin_name, admin_email };
    try {
      const result = await tenants.create({
        ...tenant,
        admin: { name: admin_name, email: admin_email, password: admin_password },
      });
      if (!result.ok) return await newPage(c, result.errors, typed);
      return c.redirect(withNote(`${home}/${result.tenantId}`, 'tenant-created'), 303);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return newPage(c, errors, typed);
    }
  });

  const page = async (c: OperatorContext, errors: FormErrors = {}, typed?: string) => {
    const tenant = await db
      .selectFrom('tenants')
      .selectAll()
      .where('id', '=', idFrom(c.req.param('id')))
      .executeTakeFirst();
    if (tenant === undefined) throw new HostError('NOT_FOUND', 'There is no such tenant.');
    const stored = v.safeParse(Egress, tenant.egress_allow);
    const egress =
      typed ?? (stored.success ? stored.output.map(({ cidr, port }) => `${cidr} ${port}`).join('\n') : '');
    const [admins, modules] = await Promise.all([
      db
        .selectFrom('accounts')
        .select(['id', 'name', 'email'])
        .where('tenant_id', '=', tenant.id)
        .where('kind', '=', 'admin')
        .orderBy('name')
        .execute(),
      db
        .selectFrom('installations')
        .innerJoin('modules', 'modules.id', 'installations.module_id')
        .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
        .select(['modules.name', 'modules.publisher', 'module_versions.version', 'installations.status'])
        .where('installations.tenant_id', '=', tenant.id)
        .orderBy('modules.name')
        .execute(),
    ]);
    const data = {
      title: tenant.name,
      crumb: crumb(c),
      tenant,
      admins,
      modules,
      egress,
      errors,
      root: panel.site.base,
    };
    return operatorPage(panel, c, 'operator/tenant', data, Object.keys(errors).length === 0 ? 200 : 422);
  };
  app.get('/tenants/:id', (c) => page(c));
  app.post('/tenants/:id/egress', async (c) => {
    const tenantId = idFrom(c.req.param('id'));
    const form = await readForm(c);
    const text = typeof form['egress'] === 'string' ? form['egress'] : '';
    const { allow, errors } = egressLines(text);
    if (errors.length > 0) return page(c, { egress: errors }, text);
    const result = await tenants.allowEgress({ tenantId, allow, accountId: c.get('account').accountId });
    if (!result.ok) return page(c, result.errors, text);
    return c.redirect(withNote(`${home}/${tenantId}`, 'egress-saved'), 303);
  });
}
