/** A module of one host's store in another host's panel, over real HTTP: what comes, what does not, and what goes on when the store is away. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Bulkhead } from '../../src/host.ts';
import { fingerprint, readPrivateKey } from '../../src/store/package/keys.ts';
import type { RemoteName } from '../../src/web/deps.ts';
import { type ModuleSource, newPublisher, packSource, type Publisher } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { newTenant, openSite, openStranger, openPages, type Site } from './support.ts';

const AUTHOR = newPublisher('north-works');
const IMPOSTOR = newPublisher('north-works');

function source(name: string, version = '1.0.0'): ModuleSource {
  return {
    name,
    type: 'Plugin',
    version,
    manifest: { title: `The ${name}`, permissions: {} },
    members: `greet() { return 'hello from ' + this.module_version; }`,
  };
}
const keyOf = ({ privateKey }: Publisher): string => readPrivateKey(privateKey).publicKey;
const named = (name: string): RemoteName => ({ publisher: 'north-works', type: 'Plugin', name });

const sites = new AsyncDisposableStack();
let store: Site;
let panel: Bulkhead;
let panelUrl = '';
let storeId = '';

async function publishAtStore(name: string, version?: string, author = AUTHOR): Promise<Uint8Array> {
  const bytes = await packSource(source(name, version), author);
  await store.bulkhead.publish(bytes, { status: 'published' });
  return bytes;
}

async function addStore(
  name: string,
  url: string,
  policy: 'review' | 'publish' = 'publish',
): Promise<string> {
  const added = await panel.panel.stores.add({ name, url, policy, accountId: operatorId });
  if (!added.ok) throw new Error(JSON.stringify(added.errors));
  return added.storeId;
}
let operatorId = '';

beforeAll(async () => {
  store = sites.use(await openSite({ env: { BULKHEAD_STORE: 'open' } }));
  const there = await openSite({
    storeLimits: { packageMs: 1_500 },
    resolve: async (host) => (host === 'localhost' ? ['127.0.0.1'] : ['10.1.2.3']),
  });
  panel = sites.use(there).bulkhead;
  panelUrl = there.url;
  operatorId = (await newTenant(panel)).adminId;
  await publishAtStore('Uptime');
  storeId = await addStore('Market', store.url, 'review');
});
afterAll(() => sites.disposeAsync());

/** What is kept here of a module. */
function versionsHere(name: string) {
  return panel.panel.db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select(['version.version', 'version.status'])
    .where('module.name', '=', name)
    .execute();
}

it('a publisher that nobody trusted is refused, and a key is pinned only as the operator compared it', async () => {
  const { stores } = panel.panel;
  const { offers } = await stores.offers();
  expect(offers).toMatchObject([
    { storeName: 'Market', name: 'Uptime', version: '1.0.0', trust: 'unknown', isNewer: true },
  ]);
  const bring = () => stores.bring({ storeId, name: named('Uptime'), version: '1.0.0' });
  expect(await refusal(bring)).toContain('is not trusted here yet');
  expect(await versionsHere('Uptime')).toEqual([]);
  const other = fingerprint(keyOf(IMPOSTOR));
  expect(await refusal(() => stores.trust({ storeId, name: named('Uptime'), fingerprint: other }))).toContain(
    'another key',
  );
  const seen = fingerprint(keyOf(AUTHOR));
  expect(offers[0]?.fingerprint).toBe(seen);
  await stores.trust({ storeId, name: named('Uptime'), fingerprint: seen });
  expect((await stores.module({ storeId, name: named('Uptime') })).trust).toBe('trusted');
});

it('what is brought waits in review where the operator said so, then is installed and runs as any module', async () => {
  const { stores, packages, catalog } = panel.panel;
  const { tenantId, adminId } = await newTenant(panel);
  const brought = await stores.bring({ storeId, name: named('Uptime'), version: '1.0.0' });
  expect(brought.status).toBe('in_review');
  const { versionId } = brought;
  const install = () => catalog.install({ tenantId, versionId, accountId: adminId });
  await refusal(install);
  await packages.review({ versionId, decision: 'published', reason: '', accountId: adminId });
  const { installationId } = await install();
  await catalog.enable(installationId, adminId);
  const { offers } = await stores.offers();
  expect(offers.find(({ name }) => name === 'Uptime')).toMatchObject({
    isNewer: false,
    localVersion: '1.0.0',
  });
});

it('a newer version is offered, and comes at once where the operator said so; one that was taken back does not', async () => {
  const { stores } = panel.panel;
  const at = await addStore('Same shelf', `${store.url}/`.replace('127.0.0.1', 'localhost'));
  await stores.remove(at);
  await stores.setPolicy({ storeId, policy: 'publish' });
  await publishAtStore('Backup');
  await stores.bring({ storeId, name: named('Backup'), version: '1.0.0' });
  await publishAtStore('Backup', '1.1.0');
  const page = await stores.module({ storeId, name: named('Backup') });
  expect(page.versions).toMatchObject([
    { version: '1.1.0', here: null, yanked: false },
    { version: '1.0.0', here: 'published', yanked: false },
  ]);
  const { versionId } = await store.bulkhead.databases.host.db
    .selectFrom('module_versions')
    .select('id as versionId')
    .where('version', '=', '1.1.0')
    .executeTakeFirstOrThrow();
  await store.bulkhead.panel.packages.review({
    versionId,
    decision: 'revoked',
    reason: 'asked too much',
    accountId: operatorId,
  });
  expect(await refusal(() => stores.bring({ storeId, name: named('Backup'), version: '1.1.0' }))).toContain(
    'taken version 1.1.0 back: asked too much',
  );
  expect((await stores.module({ storeId, name: named('Backup') })).versions[0]).toMatchObject({
    yanked: true,
    reason: 'asked too much',
  });
  expect(await versionsHere('Backup')).toEqual([{ version: '1.0.0', status: 'published' }]);
});

interface Hostile {
  readonly what: string;
  readonly told: string;
  /** What the stranger sends for the package; null: nothing but this status and address. */
  readonly body: (good: Uint8Array) => Promise<Uint8Array> | Uint8Array;
  readonly redirect?: boolean;
  readonly drip?: boolean;
  /** Of the listing: as if the hash of what is sent had been listed. */
  readonly lists?: boolean;
}

const HOSTILE: readonly Hostile[] = [
  {
    what: 'bytes that were changed on the way',
    told: 'its hash is another',
    body: (good) => good.map((byte, index) => (index === 100 ? byte ^ 1 : byte)),
  },
  {
    what: 'another key, listed by a store that lies',
    told: 'is known here with another key',
    body: () => packSource(source('Evil'), IMPOSTOR),
    lists: true,
  },
  {
    what: 'another module under this name',
    told: 'and not north-works/Plugin/Evil 1.0.0',
    body: () => packSource(source('Other'), AUTHOR),
    lists: true,
  },
  {
    what: 'an unsigned pile of bytes',
    told: 'BAD_INPUT',
    body: () => new Uint8Array(2_000).fill(7),
    lists: true,
  },
  {
    what: 'more than it said',
    told: 'larger than',
    body: (good) => Buffer.concat([good, Buffer.alloc(100_000)]),
  },
  { what: 'a body that drips', told: 'no complete answer within', body: (good) => good, drip: true },
  {
    what: 'a redirect into this machine',
    told: 'it redirects, which is not followed',
    body: (good) => good,
    redirect: true,
  },
];

it.each(HOSTILE)('a store that sends $what is refused and nothing is kept', async (hostile) => {
  const good = await packSource(source('Evil'), AUTHOR);
  const sent = await hostile.body(good);
  const listed = hostile.lists === true ? sent : good;
  const sha256 = await crypto.subtle.digest('SHA-256', Buffer.from(listed));
  const release = {
    version: '1.0.0',
    sha256: Buffer.from(sha256).toString('hex'),
    size_bytes: listed.length,
    published_at: new Date().toISOString(),
  };
  const module = {
    ...named('Evil'),
    ...release,
    title: 'Evil',
    description: '',
    icon: '',
    public_key: keyOf(AUTHOR),
    author: '',
    website: '',
    permissions: {},
    versions: [{ ...release, yanked: false, reason: null }],
  };
  let reached = 0;
  await using inside = await openStranger((_request, response) => {
    reached += 1;
    response.end(Buffer.from(good));
  });
  await using stranger = await openStranger((request, response) => {
    if (request.url?.includes('/modules/') === true) return void response.end(JSON.stringify(module));
    if (hostile.redirect === true) return void response.writeHead(302, { location: inside.url }).end();
    if (hostile.drip !== true) return void response.end(sent);
    response.writeHead(200, { 'content-length': sent.length });
    const timer = setInterval(() => response.write(sent.subarray(0, 1)), 100);
    response.on('close', () => clearInterval(timer));
  });
  const id = await addStore(`Stranger ${hostile.what}`, stranger.url);
  const { stores } = panel.panel;
  const told = await refusal(() => stores.bring({ storeId: id, name: named('Evil'), version: '1.0.0' }));
  await stores.remove(id);
  expect(told).toContain(hostile.told);
  expect(reached).toBe(0);
  expect(await versionsHere('Evil')).toEqual([]);
  expect(await versionsHere('Other')).toEqual([]);
});

it('a publisher known here with another key is marked, and neither trusted nor brought', async () => {
  const local = newPublisher('far-works');
  const remote = newPublisher('far-works');
  await panel.publish(await packSource(source('Shared'), local), { status: 'published' });
  await publishAtStore('Shared', '2.0.0', remote);
  const { stores } = panel.panel;
  const name = { ...named('Shared'), publisher: 'far-works' };
  const page = await stores.module({ storeId, name });
  expect(page).toMatchObject({ trust: 'other-key', knownFingerprint: fingerprint(keyOf(local)) });
  const shown = fingerprint(keyOf(remote));
  expect(await refusal(() => stores.trust({ storeId, name, fingerprint: shown }))).toContain('another key');
  expect(await refusal(() => stores.bring({ storeId, name, version: '2.0.0' }))).toContain('another key');
  expect(await versionsHere('Shared')).toEqual([{ version: '1.0.0', status: 'published' }]);
});

it.each([
  ['an address without encryption', 'http://store.example.com', 'Use https'],
  ['no address', 'store.example.com', 'absolute URL'],
  ['a file', 'file:///etc/passwd', 'only https'],
  ['an address with a password', 'https://me:secret@store.example.com', 'must not hold'],
])('%s is no store', async (_what, url, told) => {
  const added = await panel.panel.stores.add({ name: 'x', url, policy: 'review', accountId: operatorId });
  expect(added.ok ? '' : JSON.stringify(added.errors)).toContain(told);
});

it('a name that leads into the operator’s network is not asked', async () => {
  const { stores } = panel.panel;
  const id = await addStore('Inside', 'https://store.example.com');
  const { offers, away } = await stores.offers(id);
  await stores.remove(id);
  expect(offers).toEqual([]);
  expect(away[0]?.reason).toContain('leads to a private address');
});

it('the store says nothing of what waits in review, keeps to what is asked, and is not there unless it is opened', async () => {
  const bytes = await packSource(source('Secret'), AUTHOR);
  const { versionId } = await store.bulkhead.publish(bytes, { status: 'in_review' });
  const { package_sha256: sha256 } = await store.bulkhead.panel.db
    .selectFrom('module_versions')
    .select('package_sha256')
    .where('id', '=', versionId)
    .executeTakeFirstOrThrow();
  const status = async (path: string) => (await fetch(`${store.url}/store/v1${path}`)).status;
  expect(await (await fetch(`${store.url}/store/v1/modules?q=uptime`)).json()).toMatchObject({
    modules: [{ name: 'Uptime' }],
    next: null,
  });
  expect(await (await fetch(`${store.url}/store/v1/modules`)).text()).not.toContain('Secret');
  expect(await status('/modules/north-works/Plugin/Secret')).toBe(404);
  expect(await status(`/packages/${sha256}`)).toBe(404);
  expect(await status("/modules/'/Plugin/x")).toBe(404);
  expect((await fetch(`${panelUrl}/store/v1/modules`)).status).toBe(404);
});

it('an installed version that its store took back is marked for the admin with the reason, runs on, and is unmarked again', async () => {
  const { panel: deps } = panel;
  const { tenantId, adminId } = await newTenant(panel);
  await deps.stores.setPolicy({ storeId, policy: 'publish' });
  await publishAtStore('Watcher');
  const { versionId } = await deps.stores.bring({ storeId, name: named('Watcher'), version: '1.0.0' });
  const { installationId } = await deps.catalog.install({ tenantId, versionId, accountId: adminId });
  await deps.catalog.enable(installationId, adminId);
  await panel.storeRound();
  const at = () =>
    deps.db
      .selectFrom('module_versions')
      .select(['taken_back_at', 'taken_back_reason', 'status'])
      .where('id', '=', versionId)
      .executeTakeFirstOrThrow();
  expect(await at()).toMatchObject({ taken_back_at: null });
  const { id } = await store.bulkhead.databases.host.db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select('version.id')
    .where('module.name', '=', 'Watcher')
    .executeTakeFirstOrThrow();
  const review = (decision: 'revoked' | 'published', reason = '') =>
    store.bulkhead.panel.packages.review({ versionId: id, decision, reason, accountId: operatorId });
  await review('revoked', 'it told on <you>');
  expect(await panel.storeRound()).toBe(1);
  expect(await panel.storeRound()).toBe(0);
  expect(await at()).toMatchObject({ taken_back_reason: 'it told on <you>', status: 'published' });
  expect(
    (
      await deps.db
        .selectFrom('installations')
        .select('status')
        .where('id', '=', installationId)
        .executeTakeFirstOrThrow()
    ).status,
  ).toBe('active');

  const { slug } = await deps.db
    .selectFrom('tenants')
    .select('slug')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  const { get } = await openPages(panel, `/t/${slug}/admin`, `admin@${slug}.test`);
  for (const page of ['', `/installations/${installationId}`, '/modules']) {
    const html = await get(page);
    expect(html, page).toMatch(/taken (?:version 1\.0\.0 )?back/i);
    if (page !== '/modules') expect(html, page).toContain('it told on &lt;you&gt;');
  }
  await review('published');
  expect(await panel.storeRound()).toBe(1);
  expect(await at()).toMatchObject({ taken_back_at: null, taken_back_reason: null });
  expect(await get('')).not.toContain('it told on');
});

it('the store’s packages are limited by sender', async () => {
  const answers = new Set<number>();
  for (let asked = 0; asked < 70; asked++)
    answers.add((await fetch(`${store.url}/store/v1/packages/${'0'.repeat(64)}`)).status);
  expect(answers).toContain(429);
});

it('a store that is away is named with the reason, and what came from it runs on', async () => {
  const { stores, catalog, db } = panel.panel;
  const id = await addStore('Gone', 'http://127.0.0.1:9');
  const { offers, away } = await stores.offers();
  expect(offers.some(({ storeName }) => storeName === 'Market')).toBe(true);
  expect(away).toMatchObject([{ name: 'Gone' }]);
  await stores.remove(id);
  store.stopListening();
  expect(await refusal(() => stores.module({ storeId, name: named('Uptime') }))).toContain('127.0.0.1');
  const { id: installationId } = await db.selectFrom('installations').select('id').executeTakeFirstOrThrow();
  await catalog.disable(installationId, operatorId);
  await catalog.enable(installationId, operatorId);
  const { status } = await db
    .selectFrom('installations')
    .select('status')
    .where('id', '=', installationId)
    .executeTakeFirstOrThrow();
  expect(status).toBe('active');
});
