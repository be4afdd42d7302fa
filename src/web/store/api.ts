/**
 * The host's own store, for other panels and for anyone: what is published, read-only, in JSON (src/stores/shape.ts), and packages by the
 * hash of their bytes. It is there only with BULKHEAD_STORE=open, knows no cookie and no tenant, and says nothing of what waits in review.
 */
import type { Context, Hono } from 'hono';
import semver from 'semver';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { senderKey } from '../../auth/addresses.ts';
import { STORE_LIMITS } from '../../stores/limits.ts';
import { ModuleName, type RemoteEntry, type RemoteModule, Sha256, STORE_API } from '../../stores/shape.ts';
import type { RootEnv } from '../env.ts';
import { statusOf } from '../errors.ts';
import { minuteLimit } from '../minute-limit.ts';
import { pageNumber } from '../paging.ts';
import type { Panel } from '../panel.ts';

const SEARCH_CHARS = 100;
const REASON_CHARS = 500;
const text = (most: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.transform((value) => value.slice(0, most)),
    ),
    '',
  );
const Told = v.object({
  title: text(200),
  description: text(2_000),
  icon: text(100),
  author: text(200),
  website: text(500),
  permissions: v.optional(v.unknown(), {}),
});

/** Versions that were published once: in force, or taken back. */
function releases({ deps }: Panel) {
  return deps.db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .innerJoin('publishers as publisher', 'publisher.name', 'module.publisher')
    .innerJoin('packages as package', 'package.sha256', 'version.package_sha256')
    .select([
      'module.publisher',
      'module.type',
      'module.name',
      'version.version',
      'version.status',
      'version.status_reason',
      'version.published_at',
      'version.package_sha256',
      'version.manifest',
      'package.size_bytes',
      'publisher.public_key',
    ])
    .where('publisher.revoked_at', 'is', null);
}
type Release = Awaited<ReturnType<ReturnType<typeof releases>['execute']>>[number];

function entryOf(row: Release, told = v.parse(Told, row.manifest)): RemoteEntry {
  return {
    publisher: row.publisher,
    type: row.type,
    name: row.name,
    version: row.version,
    sha256: row.package_sha256,
    size_bytes: row.size_bytes,
    published_at: row.published_at.toISOString(),
    title: told.title,
    description: told.description,
    icon: told.icon,
    public_key: row.public_key,
  };
}

/** The newest published version of each module. */
async function newestOf(panel: Panel, wanted: string): Promise<RemoteEntry[]> {
  const rows = await releases(panel).where('version.status', '=', 'published').execute();
  const newest = new Map<string, Release>();
  for (const row of rows) {
    const key = `${row.publisher}/${row.type}/${row.name}`;
    const found = newest.get(key);
    if (found === undefined || semver.gt(row.version, found.version)) newest.set(key, row);
  }
  return [...newest.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, row]) => entryOf(row))
    .filter((entry) =>
      [entry.publisher, entry.name, entry.title, entry.description].some((part) =>
        part.toLowerCase().includes(wanted),
      ),
    );
}

async function moduleOf(panel: Panel, { publisher, type, name }: ModuleName): Promise<RemoteModule> {
  const rows = await releases(panel)
    .where('module.publisher', '=', publisher)
    .where('module.type', '=', type)
    .where('module.name', '=', name)
    .where('version.status', '<>', 'in_review')
    .execute();
  const sorted = rows.toSorted((a, b) => semver.rcompare(a.version, b.version));
  const newest = sorted.find(({ status }) => status === 'published') ?? sorted[0];
  if (newest === undefined) throw new HostError('NOT_FOUND', 'There is no such module.');
  const told = v.parse(Told, newest.manifest);
  return {
    ...entryOf(newest, told),
    author: told.author,
    website: told.website,
    permissions: told.permissions,
    versions: sorted.slice(0, STORE_LIMITS.versions).map((row) => ({
      version: row.version,
      sha256: row.package_sha256,
      size_bytes: row.size_bytes,
      published_at: row.published_at.toISOString(),
      yanked: row.status === 'revoked',
      reason: row.status === 'revoked' ? (row.status_reason?.slice(0, REASON_CHARS) ?? null) : null,
    })),
  };
}

async function packageOf(panel: Panel, sha256: string): Promise<Uint8Array> {
  const row = await panel.deps.db
    .selectFrom('packages as package')
    .innerJoin('module_versions as version', 'version.package_sha256', 'package.sha256')
    .select(['package.bytes', 'version.status'])
    .where('package.sha256', '=', sha256)
    .where('version.status', '<>', 'in_review')
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such package.');
  if (row.status === 'revoked') throw new HostError('CONFLICT', 'This version was taken back.');
  return row.bytes;
}

const GONE = 410;

export function storeApi(app: Hono<RootEnv>, panel: Panel): void {
  if (panel.deps.openStore !== true) return;
  const asked = minuteLimit(STORE_LIMITS.questionsPerMinute);
  const taken = minuteLimit(STORE_LIMITS.packagesPerMinute);
  const answer = async (
    c: Context<RootEnv>,
    allowed: ReturnType<typeof minuteLimit>,
    work: () => Promise<Response>,
  ): Promise<Response> => {
    try {
      if (!allowed(senderKey(c.get('address')), panel.deps.now()))
        throw new HostError('LIMIT', 'Too many requests; try again in a minute.');
      return await work();
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      const status = error.code === 'CONFLICT' ? GONE : statusOf(error.code);
      return c.json({ error: { code: error.code, message: error.message } }, status);
    }
  };

  app.get(`${STORE_API}/modules`, (c) =>
    answer(c, asked, async () => {
      const page = pageNumber(c.req.query('page'));
      const found = await newestOf(
        panel,
        (c.req.query('q') ?? '').slice(0, SEARCH_CHARS).trim().toLowerCase(),
      );
      const from = (page - 1) * STORE_LIMITS.pageEntries;
      const to = from + STORE_LIMITS.pageEntries;
      return c.json({ modules: found.slice(from, to), next: found.length > to ? page + 1 : null });
    }),
  );
  app.get(`${STORE_API}/modules/:publisher/:type/:name`, (c) =>
    answer(c, asked, async () => {
      const name = v.safeParse(ModuleName, c.req.param());
      if (!name.success) throw new HostError('NOT_FOUND', 'There is no such module.');
      return c.json(await moduleOf(panel, name.output));
    }),
  );
  app.get(`${STORE_API}/publishers/:name`, (c) =>
    answer(c, asked, async () => {
      const row = await panel.deps.db
        .selectFrom('publishers')
        .select(['name', 'public_key', 'fingerprint', 'pinned_at', 'revoked_at'])
        .where('name', '=', c.req.param('name'))
        .executeTakeFirst();
      if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such publisher.');
      return c.json(row);
    }),
  );
  app.get(`${STORE_API}/packages/:sha256`, (c) =>
    answer(c, taken, async () => {
      const sha256 = c.req.param('sha256');
      if (!v.is(Sha256, sha256)) throw new HostError('NOT_FOUND', 'There is no such package.');
      return new Response(Buffer.from(await packageOf(panel, sha256)), {
        headers: {
          'content-type': 'application/gzip',
          'content-disposition': 'attachment',
          'x-content-type-options': 'nosniff',
          // A version may be taken back, so not for ever.
          'cache-control': 'public, max-age=300',
        },
      });
    }),
  );
}
