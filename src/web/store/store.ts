/** The store inside the panel: search, a module's page with what it asks for, and Install. */
import * as v from 'valibot';
import type { AccountApp } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import type { RemoteOffer } from '../deps.ts';
import { groupLines } from '../consent-lines.ts';

const SEARCH_CHARS = 100;
const InstallForm = v.object({ version: v.pipe(v.string(), v.uuid()) });

/** Installations of a tenant by module. */
async function installedModules(panel: Panel, tenantId: string): Promise<ReadonlyMap<string, string>> {
  const rows = await panel.deps.db
    .selectFrom('installations')
    .select(['id', 'module_id'])
    .where('tenant_id', '=', tenantId)
    .execute();
  return new Map(rows.map((row) => [row.module_id, row.id]));
}

function holds(offer: RemoteOffer, text: string): boolean {
  const wanted = text.trim().toLowerCase();
  return [offer.title, offer.name, offer.publisher, offer.description, offer.type].some((part) =>
    part.toLowerCase().includes(wanted),
  );
}

export function storePages(app: AccountApp, panel: Panel): void {
  app.get('/store', async (c) => {
    need(c, 'modules.manage');
    const text = (c.req.query('q') ?? '').slice(0, SEARCH_CHARS);
    const [entries, installed, remote] = await Promise.all([
      panel.deps.catalog.search(text),
      installedModules(panel, c.get('tenant').id),
      panel.deps.stores.offers(),
    ]);
    const offers = remote.offers.filter((offer) => offer.isNewer && holds(offer, text));
    const modules = entries.map((entry) => ({ ...entry, installationId: installed.get(entry.moduleId) }));
    return accountPage(panel, c, 'store/search', {
      title: c.get('t')('menu.store'),
      q: text,
      modules,
      offers,
      away: remote.away,
    });
  });

  app.get('/store/:id', async (c) => {
    need(c, 'modules.manage');
    const moduleId = idFrom(c.req.param('id'));
    const [module, installed, { offers }] = await Promise.all([
      panel.deps.catalog.modulePage(moduleId),
      installedModules(panel, c.get('tenant').id),
      panel.deps.stores.offers(),
    ]);
    return accountPage(panel, c, 'store/module', {
      title: module.title,
      crumb: { href: `${c.get('tenantBase')}/admin/store`, title: c.get('t')('menu.store') },
      module,
      newer: offers.filter((offer) => offer.localModuleId === moduleId && offer.isNewer),
      logo: module.logo === '' ? '' : `${panel.site.base}/m/${module.versionId}/assets/${module.logo}`,
      groups: groupLines(module.lines),
      settings: module.settings.map((field) => ({ ...field, kind: c.get('t')(`field.${field.type}`) })),
      installationId: installed.get(module.moduleId),
    });
  });

  app.post('/store/install', async (c) => {
    need(c, 'modules.manage');
    const form = await checkForm(c, InstallForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such version.');
    const { installationId } = await panel.deps.catalog.install({
      tenantId: c.get('tenant').id,
      versionId: form.value.version,
      accountId: c.get('account').accountId,
    });
    return c.redirect(
      withNote(`${c.get('tenantBase')}/admin/installations/${installationId}/permissions`, 'installed'),
      303,
    );
  });
}
