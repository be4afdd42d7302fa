/**
 * `bulkhead module dev`: a panel on this machine with one tenant in which the module is installed, granted what it asks and enabled, and
 * loaded again whenever one of its files is saved. Each save is a new version with an update, so that data, settings and services stay.
 */
import { watch } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { linkForEditor } from '../editor.ts';
import { type FakeCloud, spawnFakeCloud } from '../../fakecloud/spawn.ts';
import type { LogLevel } from '../../host.ts';
import { moduleNamed } from '../../kit/folder.ts';
import { type Server, startServer } from '../../main.ts';
import { generateKeyPair } from '../../store/package/keys.ts';
import { packModule } from '../../store/package/pack.ts';
import { signPackage } from '../../store/package/sign.ts';

export interface DevOptions {
  readonly folder: string;
  readonly dataDir: string;
  /** 0: any free port. */
  readonly port: number;
  /** Also starts the fake cloud, and lets the module reach it. */
  readonly cloud?: boolean;
  readonly databaseUrl?: string;
  readonly modulesDatabaseUrl?: string;
  readonly say: (line: string) => void;
  readonly log?: (level: LogLevel, message: string, detail?: unknown) => void;
}

export interface Dev {
  readonly server: Server;
  readonly state: DevState;
  /** Where the module's own pages are, below the tenant's panel. */
  readonly admin: string;
  /** Packs the folder as it is now and puts it in force. @returns the version; undefined if the module must be mended first */
  reload(): Promise<string | undefined>;
  close(): Promise<void>;
}

const SETTLE_MS = 150;
const LOG_MS = 400;
const PUBLISHER = 'module-dev';
const TENANT = 'dev';

const State = v.object({
  password: v.string(),
  privateKey: v.string(),
});
type DevState = v.InferOutput<typeof State>;

/** Logins and the publisher's key stay the same from start to start, as the data does. */
async function readState(dataDir: string): Promise<DevState> {
  const file = path.join(dataDir, 'dev.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text !== undefined) return v.parse(State, JSON.parse(text));
  const made = {
    password: randomBytes(12).toString('base64url'),
    privateKey: generateKeyPair().privateKeyPem,
  };
  await mkdir(dataDir, { recursive: true });
  await writeFile(file, JSON.stringify(made), { mode: 0o600 });
  return made;
}

interface Place {
  readonly tenantId: string;
  readonly adminId: string;
}

async function tenantOf({ bulkhead }: Server, state: DevState, ports: readonly number[]): Promise<Place> {
  const { auth, db, tenants } = bulkhead.panel;
  const known = await db.selectFrom('tenants').select('id').where('slug', '=', TENANT).executeTakeFirst();
  const tenantId = known?.id ?? (await makeTenant());
  const { id: adminId } = await db
    .selectFrom('accounts')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'admin')
    .executeTakeFirstOrThrow();
  const allow = ports.map((port) => ({ cidr: '127.0.0.1/32', port }));
  await tenants.allowEgress({ tenantId, allow, accountId: adminId });
  return { tenantId, adminId };

  async function makeTenant(): Promise<string> {
    const { password } = state;
    const admin = { name: 'Developer', email: 'admin@dev.example', password };
    const created = await tenants.create({
      slug: TENANT,
      name: 'Dev',
      currency: 'USD',
      timezone: 'UTC',
      admin,
    });
    if (!created.ok) throw new HostError('INTERNAL', JSON.stringify(created.errors));
    const client = { kind: 'client', name: 'Client', email: 'client@dev.example', password } as const;
    await auth.createAccount({ ...client, tenantId: created.tenantId });
    return created.tenantId;
  }
}

/** Installs the module, or moves it to the version, with all grants. @returns the installation's id */
async function putInForce({ bulkhead }: Server, place: Place, versionId: string): Promise<string> {
  const { catalog, db } = bulkhead.panel;
  const { tenantId, adminId: accountId } = place;
  const found = await db
    .selectFrom('installations as installation')
    .innerJoin('module_versions as version', 'version.module_id', 'installation.module_id')
    .select(['installation.id', 'installation.version_id'])
    .where('version.id', '=', versionId)
    .where('installation.tenant_id', '=', tenantId)
    .executeTakeFirst();
  const installationId =
    found?.id ?? (await catalog.install({ tenantId, versionId, accountId })).installationId;
  if (found !== undefined && found.version_id !== versionId)
    await catalog.update({ installationId, versionId, accountId });
  const { lines } = await catalog.consent(installationId);
  const answers = Object.fromEntries(lines.map(({ id }) => [id, { granted: true as const }]));
  await catalog.grant({ installationId, answers, accountId });
  await catalog.enable(installationId, accountId);
  return installationId;
}

function shown(part: unknown): string {
  return part === null || part === undefined
    ? ''
    : ` ${typeof part === 'string' ? part : JSON.stringify(part)}`;
}

/** Says each line of the tenant's log as it is written. @returns what ends it */
function followLog({ bulkhead }: Server, place: Place, say: DevOptions['say']): () => void {
  let last = 0;
  let reading = false;
  const read = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    try {
      const rows = await bulkhead.panel.db
        .selectFrom('logs')
        .select(['id', 'level', 'action', 'request', 'response'])
        .where('tenant_id', '=', place.tenantId)
        .where('id', '>', last)
        .orderBy('id')
        .limit(200)
        .execute();
      for (const row of rows) {
        last = row.id;
        say(`  ${row.level.padEnd(7)} ${row.action}${shown(row.request)}${shown(row.response)}`);
      }
    } catch {
      // The host is being closed; what is left of the log stands on the module's page.
    } finally {
      reading = false;
    }
  };
  const timer = setInterval(() => void read(), LOG_MS);
  return () => clearInterval(timer);
}

/** Calls `changed` once things have settled after a save. */
function watchFolder(folder: string, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(folder, { recursive: true }, (_event, name) => {
    if (name === null || /(?:^|[/\\])(?:node_modules|test|\.[^/\\]*)(?:[/\\]|$)/.test(name)) return;
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE_MS);
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}

function cloudPorts(cloud: FakeCloud | undefined): number[] {
  return cloud === undefined ? [] : [Number(new URL(cloud.cloud).port), cloud.smtp.port];
}

/** @throws HostError for a folder that is no module, or a host that cannot run here; a module that must be mended is only told */
export async function startDev(options: DevOptions): Promise<Dev> {
  const { folder, dataDir, say, log = () => undefined } = options;
  const name = moduleNamed(folder);
  if (name === undefined)
    throw new HostError('NOT_FOUND', `${folder} is no module: it has no module.json with a type and a name.`);
  await linkForEditor(folder);
  const state = await readState(dataDir);
  await using undo = new AsyncDisposableStack();
  const cloud = options.cloud === true ? undo.use(await spawnFakeCloud()) : undefined;
  const { port, databaseUrl, modulesDatabaseUrl } = options;
  const roles = { serve: true, work: true };
  const server = await startServer({
    dataDir,
    host: '127.0.0.1',
    port,
    databaseUrl,
    modulesDatabaseUrl,
    roles,
    log,
  });
  undo.defer(() => server.close());
  const place = await tenantOf(server, state, cloudPorts(cloud));

  let turn: Promise<unknown> = Promise.resolve();
  const once = async (): Promise<string | undefined> => {
    try {
      const { version = '' } = v.parse(
        v.looseObject({ version: v.optional(v.string()) }),
        JSON.parse(await readFile(path.join(folder, 'module.json'), 'utf8')),
      );
      // Versions only go up: the instant makes this one newer than every one before.
      const next = `${version}-dev.${Date.now()}`;
      const bytes = await packModule(folder, {
        version: next,
        onWarning: (text) => say(`  warning ${text}`),
      });
      const signed = await signPackage(bytes, { publisher: PUBLISHER, privateKey: state.privateKey });
      const { versionId } = await server.bulkhead.publish(signed, { status: 'published' });
      await putInForce(server, place, versionId);
      say(`${name} ${next} is in force.`);
      return next;
    } catch (error) {
      if (!(error instanceof HostError) && !(error instanceof SyntaxError)) throw error;
      say(`Not loaded, the version before it goes on: ${error.message}`);
      return undefined;
    }
  };
  const reload = (): Promise<string | undefined> => {
    const next = turn.then(once);
    turn = next.catch(() => undefined);
    return next;
  };
  undo.defer(followLog(server, place, say));
  await reload();
  undo.defer(watchFolder(folder, () => void reload()));
  const admin = `${server.url ?? ''}/t/${TENANT}/admin`;
  announce(options, { admin, url: server.url ?? '', state, cloud });
  const kept = undo.move();
  return { server, state, admin, reload, close: () => kept.disposeAsync() };
}

function announce(
  { say, folder }: DevOptions,
  at: { admin: string; url: string; state: DevState; cloud: FakeCloud | undefined },
): void {
  say('');
  say(`  Admin    ${at.admin}    admin@dev.example   ${at.state.password}`);
  say(`  Client   ${at.url}/t/${TENANT}    client@dev.example   ${at.state.password}`);
  if (at.cloud !== undefined) say(`  Fake cloud   ${at.cloud.cloud}   API key ${at.cloud.cloudToken}`);
  say(`  Watching ${folder}. Ctrl-C stops; data and settings are kept for the next time.`);
  say('');
}
