/** Publishing: what a store takes, what it tells the author to mend, and that a refused package leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { useTestHost } from '../support/host.ts';
import { type ModuleSource, newPublisher, packSource } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';

const host = useTestHost();

function named(more: Partial<ModuleSource> = {}): ModuleSource {
  return { name: `Pub${randomBytes(4).toString('hex')}`, ...more };
}

async function counts(): Promise<Record<string, number>> {
  const { db } = host().bulkhead.panel;
  const found: Record<string, number> = {};
  for (const table of ['publishers', 'packages', 'modules', 'module_versions'] as const)
    found[table] = (
      await db
        .selectFrom(table)
        .select((eb) => eb.lit(1).as('one'))
        .execute()
    ).length;
  return found;
}

describe('a version', () => {
  it('that was published with the same bytes is there already', async () => {
    const source = named();
    const first = await host().publish(source);
    expect(first.added).toBe(true);
    expect(await host().publish(source)).toEqual({ ...first, added: false });
  });

  it.each([
    ['1.2.0', '1.2.0'],
    ['1.2.0', '1.1.9'],
    ['1.2.0', '1.2.0-rc.1'],
    ['10.0.0', '9.9.9'],
  ])('after %s cannot be %s', async (before, after) => {
    const source = named();
    await host().publish({ ...source, version: before });
    const changed = { ...source, version: after, members: 'changed() {}' };
    expect(await refusal(() => host().publish(changed))).toBe(
      `CONFLICT: Version ${before} is published already; ${after} is not newer. Raise "version" in module.json.`,
    );
  });

  it('goes up, and the store offers the newest by number', async () => {
    const source = named();
    for (const version of ['1.9.0', '1.10.0']) await host().publish({ ...source, version });
    const found = await host().bulkhead.panel.catalog.search(source.name);
    expect(found).toMatchObject([{ name: source.name, version: '1.10.0' }]);
  });

  it('that waits in review is not in the store until it is published', async () => {
    const source = named();
    const { catalog, packages } = host().bulkhead.panel;
    const { versionId } = await packages.upload({
      bytes: await packSource(source),
      accountId: host().a.adminId,
    });
    expect(await catalog.search(source.name)).toEqual([]);
    await packages.review({ versionId, decision: 'published', reason: '', accountId: host().a.adminId });
    expect(await catalog.search(source.name)).toHaveLength(1);
    await expect(
      packages.review({ versionId, decision: 'published', reason: '', accountId: host().a.adminId }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a publisher', () => {
  it('with another key than before is refused with both fingerprints', async () => {
    const before = newPublisher('key-changes');
    await host().publish(named(), before);
    expect(await refusal(() => host().publish(named(), newPublisher('key-changes')))).toMatch(
      /^CONFLICT: key-changes signed with the key .+, but .+ is known/,
    );
    await host().publish(named(), before);
  });

  it('cannot publish under the name of another’s module: it is a module of their own', async () => {
    const source = named();
    const first = await host().publish(source);
    const second = await host().publish(source, newPublisher('somebody-else'));
    expect(second.moduleId).not.toBe(first.moduleId);
    const { a } = host();
    const install = { tenantId: a.id, accountId: a.adminId };
    await a.panel.catalog.install({ ...install, versionId: first.versionId });
    await expect(a.panel.catalog.install({ ...install, versionId: second.versionId })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('who was revoked publishes nothing any more', async () => {
    const publisher = newPublisher('revoked-one');
    await host().publish(named(), publisher);
    await host()
      .bulkhead.panel.db.updateTable('publishers')
      .set({ revoked_at: new Date() })
      .where('name', '=', 'revoked-one')
      .execute();
    expect(await refusal(() => host().publish(named(), publisher))).toBe(
      'CONFLICT: The publisher revoked-one was revoked.',
    );
  });
});

describe('a module', () => {
  const PERMISSION = `adminPermissions() { return [{ name: 'See', key: 'see' }]; }`;
  const ROUTE = {
    method: 'get',
    uri: 'list',
    permission: 'see',
    name: 'list',
    controller: 'PageController@list',
  };
  const PAGES = {
    'controllers/PageController.ts': `import { Controller } from 'bulkhead'; export default class PageController extends Controller { list() { return 'x'; } }`,
  };
  const routes = (route: object): string =>
    `adminWebRoutes() { return [${JSON.stringify({ ...ROUTE, ...route })}]; }`;
  const tab = (template: string): string =>
    `getClientAreaMenuConfig() { return { general: { name: 'General', template: '${template}' } }; }`;

  it.each<[string, Partial<ModuleSource>, RegExp]>([
    [
      'whose menu links to no route',
      { members: `adminSidebar() { return [{ title: 'List', link: 'nowhere' }]; }` },
      /Menu entry "List": there is no route named "nowhere" in adminWebRoutes\(\)/,
    ],
    // The original drops such a module without a word.
    [
      'whose menu entry lacks its title',
      { members: `adminSidebar() { return [{ link: 'list' }]; }` },
      /adminSidebar\(\): 0\.title: .*"title"/,
    ],
    [
      'whose menu entry lacks its link',
      { members: `adminSidebar() { return [{ title: 'List' }]; }` },
      /adminSidebar\(\): 0\.link: .*"link"/,
    ],
    [
      'whose menu entry wants an unknown permission',
      {
        members: `${PERMISSION} ${routes({})} adminSidebar() { return [{ title: 'List', link: 'list', permission: 'sea' }]; }`,
        files: PAGES,
      },
      /Menu entry "List": the permission "sea" is not in adminPermissions\(\)/,
    ],
    [
      'whose services would each have a secret',
      { members: `serviceFields() { return [{ key: 'token', type: 'secret', title: 'Token' }]; }` },
      /Field "token": a secret belongs to the settings of module\.json\..*"password".*secrets\.put/,
    ],
    [
      'whose route wants an undeclared permission',
      { members: routes({}), files: PAGES },
      /Route "list": the permission "see" is not in adminPermissions\(\)/,
    ],
    [
      'whose route names no controller',
      { members: `${PERMISSION} ${routes({ controller: 'GoneController@list' })}`, files: PAGES },
      /Route "list": there is no controllers\/GoneController\.ts/,
    ],
    [
      'whose route names no method',
      { members: `${PERMISSION} ${routes({ controller: 'PageController@gone' })}`, files: PAGES },
      /Route "list": PageController has no method gone\(\)/,
    ],
    [
      'whose route names a method of every object',
      { members: `${PERMISSION} ${routes({ controller: 'PageController@toString' })}`, files: PAGES },
      /PageController has no method toString\(\)/,
    ],
    [
      'whose route has no known verb',
      { members: `${PERMISSION} ${routes({ method: 'patch' })}`, files: PAGES },
      /adminWebRoutes\(\): 0\.method: get, post, put or delete is expected/,
    ],
    [
      'whose tab has no template',
      { members: tab('client_area.gone') },
      /Tab "general": views\/client_area\/gone\.liquid is not in the package/,
    ],
    [
      'whose constructor calls a capability',
      {
        members: `constructor() { super(); void this.tasks.add({ method: 'createJob' }); }`,
        manifest: { permissions: { tasks: true } },
      },
      /tasks\.add: nothing is granted while a module is being read; move this out of the constructor/,
    ],
    [
      'whose constructor calls a capability and hides the answer',
      {
        members: `constructor() { super(); this.service.get().catch(() => undefined); }`,
      },
      /service\.get: nothing is granted while a module is being read/,
    ],
    [
      'whose constructor throws',
      { members: `constructor() { super(); throw new Error('no config'); }` },
      /no config/,
    ],
    [
      'whose constructor never ends',
      { members: `constructor() { super(); for (;;); }` },
      /could not be read/,
    ],
    [
      'whose class has another name',
      { files: { 'Other.ts': '' }, prelude: 'class Real extends Product {}\nexport { Real as default };' },
      /./,
    ],
    ['for another host', { manifest: { host: '^2' } }, /wants a host "\^2"; this one is 1\.0\.0/],
    [
      'with an unknown permission',
      { manifest: { permissions: { htpp: true } } },
      /unknown key "htpp"\. Did you mean "http"\?/,
    ],
    ['with an unknown type', { manifest: { type: 'Produkt' } }, /./],
  ])('%s is told what to mend, and nothing of it is kept', async (_what, more, told) => {
    const before = await counts();
    const refused = await refusal(() => host().publish(named(more)));
    expect(refused).toMatch(/^(BAD_INPUT|CPU_LIMIT|TIMEOUT): /);
    expect(refused).toMatch(told);
    expect(await counts()).toEqual(before);
    const runners = host().bulkhead.sandbox.stats();
    expect(runners.filter(({ group }) => group.startsWith('declare:'))).toEqual([]);
  });
});

describe('what works but is probably not meant', () => {
  it('is said with the module: a tab without data, an action without its job', async () => {
    const source = named({
      members: `
        createJob() {}
        getClientAreaMenuConfig() { return { general: { name: 'General', template: 'client_area.general' } }; }`,
      files: { 'views/client_area/general.liquid': '<p>Hello</p>' },
    });
    const { moduleId } = await host().publish(source);
    const { warnings } = await host().bulkhead.panel.catalog.modulePage(moduleId);
    expect(warnings).toEqual([
      'Tab "general" has no variables_general(); its template gets no data.',
      ...['suspend', 'unsuspend', 'termination', 'change_package'].map(
        (action) => `There is no ${action}Job(); “${action}” is not offered for this module’s services.`,
      ),
    ]);
    const { a } = host();
    await a.installed(source.name);
  });
});

describe('an asset', () => {
  it('is served of published versions only', async () => {
    const { bulkhead } = host();
    const { db, modules, packages } = bulkhead.panel;
    const source = named({ files: { 'views/assets/js/app.js': 'document.title = 1;' } });
    const { versionId } = await bulkhead.publish(await packSource(source), { status: 'in_review' });
    const asset = () => modules.asset(versionId, 'js/app.js');
    expect(await asset()).toBeUndefined();
    const { id: accountId } = await db.selectFrom('accounts').select('id').executeTakeFirstOrThrow();
    await packages.review({ versionId, decision: 'published', reason: '', accountId });
    expect(Buffer.from((await asset()) ?? []).toString()).toBe('document.title = 1;');
    await packages.review({ versionId, decision: 'revoked', reason: '', accountId });
    expect(await asset()).toBeUndefined();
  });
});
