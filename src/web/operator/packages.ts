/** Packages: what waits for review, what is published, and taking a version back. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { capabilities } from '../../../sandbox/contract/capabilities.ts';
import { parsePermissions, wordsOf, type Risk } from '../../../sandbox/contract/grant.ts';
import type { OperatorApp } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { withNote } from '../notes.ts';
import { pageNumber, paged, rowsFrom } from '../paging.ts';
import { operatorPage, type Panel } from '../panel.ts';

const ReviewForm = v.object({
  decision: v.picklist(['published', 'revoked']),
  reason: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(500)), ''),
});

function versions(panel: Panel) {
  return panel.deps.db
    .selectFrom('module_versions')
    .innerJoin('modules', 'modules.id', 'module_versions.module_id')
    .innerJoin('publishers', 'publishers.name', 'modules.publisher')
    .innerJoin('packages', 'packages.sha256', 'module_versions.package_sha256')
    .select((e) => [
      'module_versions.id',
      'module_versions.version',
      'module_versions.status',
      'module_versions.status_reason',
      'module_versions.published_at',
      'module_versions.manifest',
      'module_versions.declaration',
      'module_versions.package_sha256',
      'modules.publisher',
      'modules.type',
      'modules.name',
      'publishers.fingerprint',
      'packages.size_bytes',
      e
        .selectFrom('installations')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('installations.version_id', '=', 'module_versions.id')
        .as('used_by'),
    ]);
}

/** The manifest's wishes in words; it is stored as the module wrote it, or parsed. */
function wishes(manifest: unknown): { text: string; risk: Risk; reason: string }[] {
  const stored = v.safeParse(v.object({ permissions: v.unknown() }), manifest);
  const asks =
    stored.success && stored.output.permissions !== undefined
      ? parsePermissions(stored.output.permissions, capabilities)
      : [];
  return asks.map((ask) => ({ ...wordsOf(ask, capabilities), reason: ask.reason }));
}

export function packagePages(app: OperatorApp, panel: Panel): void {
  const home = `${panel.site.base}/operator/packages`;
  const { packages } = panel.deps;

  app.get('/packages', async (c) => {
    const page = pageNumber(c.req.query('page'));
    const rows = await versions(panel)
      .orderBy(sql`(module_versions.status = 'in_review') desc`)
      .orderBy('module_versions.published_at', 'desc')
      .limit(WEB_LIMITS.pageRows + 1)
      .offset(rowsFrom(page))
      .execute();
    const shown = paged(c.req.url, page, rows);
    return operatorPage(panel, c, 'operator/packages', {
      title: c.get('t')('menu.packages'),
      versions: shown.rows,
      paging: shown.paging,
    });
  });

  app.post('/packages', async (c) => {
    const file = (await c.req.formData()).get('package');
    if (!(file instanceof File)) throw new HostError('BAD_INPUT', 'Choose a package file.');
    const bytes = new Uint8Array(await file.arrayBuffer());
    const { versionId } = await packages.upload({ bytes, accountId: c.get('account').accountId });
    return c.redirect(withNote(`${home}/${versionId}`, 'uploaded'), 303);
  });

  app.get('/packages/:id', async (c) => {
    const version = await versions(panel)
      .where('module_versions.id', '=', idFrom(c.req.param('id')))
      .executeTakeFirst();
    if (version === undefined) throw new HostError('NOT_FOUND', 'There is no such version.');
    return operatorPage(panel, c, 'operator/package', {
      title: `${version.name} ${version.version}`,
      crumb: { href: home, title: c.get('t')('menu.packages') },
      version,
      wishes: wishes(version.manifest),
    });
  });

  app.post('/packages/:id/review', async (c) => {
    const versionId = idFrom(c.req.param('id'));
    const form = await checkForm(c, ReviewForm);
    if (!form.ok) throw new HostError('BAD_INPUT', 'Publish or refuse: there is no third way.');
    await packages.review({ versionId, ...form.value, accountId: c.get('account').accountId });
    return c.redirect(withNote(`${home}/${versionId}`, 'reviewed'), 303);
  });
}
