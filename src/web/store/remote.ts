/** A module at another store, for a tenant's admin: who signed it, what it asks for, its versions, and bringing one here. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { ModuleName } from '../../stores/shape.ts';
import type { AccountApp } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

const BringForm = v.object({ version: v.pipe(v.string(), v.maxLength(100)) });
export const REMOTE_PATH = '/store/at/:store/:publisher/:type/:name';

/** @throws HostError NOT_FOUND */
export function remoteName(params: Readonly<Record<string, string>>): v.InferOutput<typeof ModuleName> {
  const name = v.safeParse(ModuleName, params);
  if (!name.success) throw new HostError('NOT_FOUND', 'There is no such module.');
  return name.output;
}

export function remotePages(app: AccountApp, panel: Panel): void {
  const { stores } = panel.deps;

  app.get(REMOTE_PATH, async (c) => {
    need(c, 'modules.manage');
    const name = remoteName(c.req.param());
    const module = await stores.module({ storeId: idFrom(c.req.param('store')), name });
    // Only what is newer than what is here can come: versions go up.
    const newest = module.versions.find(({ yanked }) => !yanked);
    return accountPage(panel, c, 'store/remote', {
      title: module.title,
      crumb: { href: `${c.get('tenantBase')}/admin/store`, title: c.get('t')('menu.store') },
      module,
      here: module.versions.filter((version) => version.here !== null),
      bring: module.trust === 'trusted' && newest?.here === null ? newest.version : undefined,
      inReview: module.versions.some((version) => version.here === 'in_review'),
    });
  });

  app.post(REMOTE_PATH, async (c) => {
    need(c, 'modules.manage');
    const name = remoteName(c.req.param());
    const form = await checkForm(c, BringForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such version.');
    const storeId = idFrom(c.req.param('store'));
    const brought = await stores.bring({ storeId, name, version: form.value.version });
    const base = `${c.get('tenantBase')}/admin/store`;
    return c.redirect(
      brought.status === 'published'
        ? withNote(`${base}/${brought.moduleId}`, 'brought')
        : withNote(`${base}/at/${storeId}/${name.publisher}/${name.type}/${name.name}`, 'brought-review'),
      303,
    );
  });
}
