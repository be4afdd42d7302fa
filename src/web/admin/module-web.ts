/**
 * A module's own admin pages: the panel's page around the module's frame. Only declared GET routes have an address; the check of the route's
 * permission is made here for the page around and again where the frame is filled.
 */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { hasPermission, modulePermission } from '../../auth/permissions.ts';
import type { AccountApp } from '../env.ts';
import { installationNamed } from '../need.ts';
import { accountPage, type Panel } from '../panel.ts';
import { matchRoute } from '../module/route.ts';

const Shown = v.object({ title: v.fallback(v.string(), ''), description: v.fallback(v.string(), '') });

export function moduleWebPages(app: AccountApp, panel: Panel): void {
  app.get('/modules/:type/:name/:path{.+}', async (c) => {
    const { type, name, path } = c.req.param();
    const installation = await installationNamed(panel, c.get('tenant').id, type, name);
    if (installation.status !== 'active') throw new HostError('NOT_FOUND', 'This module is not enabled.');
    const declared = v.parse(v.pick(Declaration, ['web_routes', 'sidebar']), installation.declaration);
    const route = matchRoute(declared.web_routes, 'get', path);
    if (route === undefined) throw new HostError('NOT_FOUND', 'The module has no such page.');
    const key = modulePermission(type, name, route.permission);
    if (!hasPermission(c.get('account').permissions, key))
      throw new HostError(
        'NOT_GRANTED',
        `Your role lacks "${key}". An admin can add it under Settings, Roles.`,
      );
    const entry = declared.sidebar.find(
      ({ link, active_links }) => link === route.name || active_links.includes(route.name),
    );
    const shown = v.parse(Shown, installation.manifest);
    const tenantBase = c.get('tenantBase');
    const prefix = `${tenantBase}/m/${installation.id}/page`;
    const query = new URL(c.req.url).search;
    return accountPage(panel, c, 'admin/module-web', {
      title: entry?.title ?? shown.title,
      crumb: { href: `${tenantBase}/admin/installations/${installation.id}`, title: shown.title },
      frame: `${prefix}/${path}${query}`,
      prefix,
      show: `${tenantBase}/admin/modules/${type}/${name}/`,
    });
  });
}
