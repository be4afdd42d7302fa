/** What the operator does with tenants. */
import ipaddr from 'ipaddr.js';
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Auth } from '../auth/auth.ts';
import type { Tables } from '../database/tables.ts';
import type { TenantCases } from '../web/deps.ts';
import type { FormErrors } from './answers.ts';
import type { Installations } from './installations.ts';

export interface TenantDeps {
  readonly db: Kysely<Tables>;
  readonly auth: Auth;
  readonly installations: Installations;
}

const SLUG = /^[a-z][a-z0-9-]{1,30}$/;
const CURRENCY = /^[A-Z]{3}$/;

export function createTenantCases(deps: TenantDeps): TenantCases {
  return { create: (input) => create(deps, input), allowEgress: (input) => allowEgress(deps, input) };
}

type NewTenant = Parameters<TenantCases['create']>[0];

function check(input: NewTenant): Record<string, string[]> {
  const errors: Record<string, string[]> = {};
  if (!SLUG.test(input.slug))
    errors['slug'] = ['2 to 31 lower-case letters, digits and "-", beginning with a letter.'];
  if (input.name.trim() === '') errors['name'] = ['A name is expected.'];
  if (!CURRENCY.test(input.currency)) errors['currency'] = ['Three capital letters, for example USD.'];
  if (!Intl.supportedValuesOf('timeZone').includes(input.timezone) && input.timezone !== 'UTC')
    errors['timezone'] = ['A time zone such as Europe/Warsaw.'];
  return errors;
}

async function create(deps: TenantDeps, input: NewTenant): ReturnType<TenantCases['create']> {
  const errors = check(input);
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  const tenant = await deps.db
    .insertInto('tenants')
    .values({ slug: input.slug, name: input.name.trim(), currency: input.currency, timezone: input.timezone })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .returning('id')
    .executeTakeFirst();
  if (tenant === undefined) return { ok: false, errors: { slug: ['Another tenant has this short name.'] } };
  try {
    const role = await deps.db
      .insertInto('roles')
      .values({ tenant_id: tenant.id, name: 'Administrator', permissions: ['*'] })
      .returning('id')
      .executeTakeFirstOrThrow();
    await deps.auth.createAccount({ kind: 'admin', tenantId: tenant.id, roleId: role.id, ...input.admin });
  } catch (error) {
    // A tenant nobody can sign in to is of no use: all or nothing.
    await deps.db.deleteFrom('tenants').where('id', '=', tenant.id).execute();
    if (error instanceof HostError && error.code === 'BAD_INPUT')
      return { ok: false, errors: error.data as FormErrors, message: error.message };
    throw error;
  }
  return { ok: true, tenantId: tenant.id };
}

async function allowEgress(
  deps: TenantDeps,
  input: Parameters<TenantCases['allowEgress']>[0],
): ReturnType<TenantCases['allowEgress']> {
  const wrong = input.allow.find(
    ({ cidr, port }) => !ipaddr.isValidCIDR(cidr) || !Number.isInteger(port) || port < 1 || port > 65_535,
  );
  if (wrong !== undefined)
    return {
      ok: false,
      errors: {
        allow: [`"${wrong.cidr} ${wrong.port}" is no network and port, for example 10.0.0.0/24 443.`],
      },
    };
  await deps.db
    .updateTable('tenants')
    .set({ egress_allow: [...input.allow] })
    .where('id', '=', input.tenantId)
    .execute();
  await deps.installations.changed('all');
  return { ok: true };
}
