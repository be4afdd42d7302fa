/** Finds the tenant of a request by its slug, with a short cache: every page and every module call needs it. */
import type { MiddlewareHandler } from 'hono';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { WebDeps } from './deps.ts';
import type { Tenant, TenantEnv } from './env.ts';
import { setLanguage } from './language.ts';
import { WEB_LIMITS } from './limits.ts';
import type { Panel } from './panel.ts';
import { addressOf } from './site.ts';

export function tenantFinder(deps: WebDeps): (slug: string) => Promise<Tenant | undefined> {
  const cache = new Map<string, { tenant: Tenant; until: number }>();
  return async (slug) => {
    const cached = cache.get(slug);
    if (cached !== undefined && cached.until > deps.now()) return cached.tenant;
    const tenant = await deps.db
      .selectFrom('tenants')
      .select(['id', 'slug', 'name', 'locale', 'currency', 'timezone'])
      .where('slug', '=', slug)
      .executeTakeFirst();
    cache.delete(slug);
    if (tenant === undefined) return undefined;
    if (cache.size >= WEB_LIMITS.tenantCacheEntries) cache.clear();
    cache.set(slug, { tenant, until: deps.now() + WEB_LIMITS.tenantCacheMs });
    return tenant;
  };
}

/** Sets the tenant of `/t/:tenant/…`. @throws NOT_FOUND */
export function withTenant(panel: Panel): MiddlewareHandler<TenantEnv> {
  const find = tenantFinder(panel.deps);
  return async (c, next) => {
    const tenant = await find(c.req.param('tenant') ?? '');
    if (tenant === undefined) throw new HostError('NOT_FOUND', 'There is no such tenant here.');
    const ownHost = panel.site.tenantOf(addressOf(c.req.url).host) !== undefined;
    c.set('tenant', tenant);
    setLanguage(c, { tenantLocale: tenant.locale });
    c.set('tenantBase', ownHost ? panel.site.base : `${panel.site.base}/t/${tenant.slug}`);
    await next();
  };
}
