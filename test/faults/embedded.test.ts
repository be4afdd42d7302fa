/**
 * The embedded PostgreSQL: killed under its host, killed with it, and on a full disk. A host whose PostgreSQL is gone says so and ends with
 * an error for whoever watches over it: the way back is the start, the same as after every other crash. Nothing of either is left
 * running, and what was acknowledged is there. A PostgreSQL of one's own may be stopped and started; the host waits for it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as v from 'valibot';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import { FAST, temporaryFolder, type TemporaryFolder } from '../support/embedded.ts';
import { type ModuleSource, packSource } from '../support/modules.ts';
import { until } from '../support/until.ts';
import { ServerProcess, type StartHow } from './process.ts';

/** Each test starts whole servers, on a machine that may have other things to do. */
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });

const KEEPING: ModuleSource = {
  name: 'Keeping',
  manifest: { permissions: { db: { tables: 1, storage_mb: 500 } } },
  members: `
    async activate() {
      await this.db.schema.createTable('notes').ifNotExists().addColumn('n', 'integer').addColumn('text', 'text').execute();
      return 'success';
    }
    async note(n, size) {
      let text = '';
      while (text.length < size) text += Math.random().toString(36).slice(2);
      await this.db.insertInto('notes').values({ n, text }).execute();
    }
    async notes() { return (await this.db.selectFrom('notes').select('n').execute()).map(({ n }) => n).sort((a, b) => a - b); }`,
};
const Prepared = v.object({ slug: v.string(), name: v.string(), installationId: v.string() });
type Prepared = v.InferOutput<typeof Prepared>;

let folder: TemporaryFolder;
let packed: string;
let how: StartHow;

beforeAll(async () => {
  folder = temporaryFolder();
  packed = join(folder.path, 'module.tgz');
  writeFileSync(packed, await packSource(KEEPING));
  how = { temporary: folder.path };
});
afterAll(() => folder[Symbol.dispose]());

async function prepare(server: ServerProcess): Promise<Prepared> {
  await server.ask('publish', packed);
  const made = v.parse(Prepared, await server.ask('prepare', { name: KEEPING.name }));
  return made;
}

const caller =
  (made: Prepared) =>
  (server: ServerProcess, method: string, ...params: unknown[]): Promise<unknown> =>
    server.ask('call', { ...made, method, params });

describe('a host with an embedded PostgreSQL', () => {
  it('that is killed with -9 leaves no process, and its next start goes on', async () => {
    const dataDir = join(folder.path, 'killed');
    await using first = await ServerProcess.start({ dataDir }, how);
    const made = await prepare(first);
    await first.dieIn('enable.activate:done', 'enable', made);
    await using second = await ServerProcess.start({ dataDir }, how);
    const call = caller(made);
    await until('the module to be enabled', async () =>
      call(second, 'note', 1, 10).then(
        () => true,
        () => false,
      ),
    );
    expect(await call(second, 'notes')).toEqual([1]);
    await second.stop();
  });

  it('whose PostgreSQL is killed says so, ends with an error and leaves no process; the next start has all', async () => {
    const dataDir = join(folder.path, 'orphaned');
    await using first = await ServerProcess.start({ dataDir }, how);
    const made = await prepare(first);
    await first.ask('enable', made);
    const call = caller(made);
    await call(first, 'note', 1, 10);
    const children = first.children();
    process.kill(ServerProcess.postgresPid(dataDir), 'SIGKILL');
    expect(await first.exited).toBe('1');
    expect(first.said).toContain('PostgreSQL has ended unexpectedly');
    expect(first.said).not.toMatch(/Uncaught|unhandled/i);
    await until('its processes to end', async () => !children.some(ServerProcess.isRunning));
    await using second = await ServerProcess.start({ dataDir }, how);
    expect(await call(second, 'notes')).toEqual([1]);
    await second.stop();
  });
});

describe('a host with a PostgreSQL of one’s own', () => {
  it('lives on while that is stopped, and goes on when it is started again', async () => {
    const dataDir = join(folder.path, 'own');
    const options = { dataDir: join(folder.path, 'postgres'), settings: FAST };
    const postgres = await startEmbedded(options);
    await using server = await ServerProcess.start({ dataDir, databaseUrl: postgres.url() }, how);
    const made = await prepare(server);
    await server.ask('enable', made);
    const call = caller(made);
    await call(server, 'note', 1, 10);
    await postgres.stop();
    await expect(call(server, 'note', 2, 10)).rejects.toThrow('call: ');
    await using _again = await startEmbedded(options);
    await until('the host to go on', async () =>
      call(server, 'note', 3, 10).then(
        () => true,
        () => false,
      ),
    );
    expect(await call(server, 'notes')).toEqual([1, 3]);
    await server.stop();
  });
});

/** A mount namespace in which a folder is a small disk of its own; both end with it. */
class SmallDisk implements AsyncDisposable {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async at(path: string, size: string): Promise<SmallDisk> {
    const script = 'mount -t tmpfs -o "size=$2,mode=755" tmpfs "$1" && echo mounted && read -r line';
    const holder = spawn('unshare', ['-m', 'sh', '-c', script, 'sh', path, size], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (holder.stdout !== null) await once(holder.stdout, 'data');
    return new SmallDisk(holder);
  }

  get within(): string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m', '--'];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.stdin?.end();
    await once(this.#holder, 'exit');
  }
}

const canMount =
  process.platform === 'linux' &&
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

describe.skipIf(!canMount)('a disk that is full (needs the right to mount)', () => {
  it('fails writes clearly, and loses nothing that was acknowledged', async () => {
    using place = temporaryFolder();
    await using disk = await SmallDisk.at(place.path, '256m');
    const small = { ...how, within: disk.within };
    let server = await ServerProcess.start({ dataDir: place.path }, small);
    try {
      const made = await prepare(server);
      await server.ask('enable', made);
      const call = caller(made);
      await call(server, 'note', 0, 10);
      await server.ask('fill');
      const kept = [0];
      const errors: string[] = [];
      for (let n = 1; n <= 200 && errors.length < 5; n += 1) {
        try {
          await call(server, 'note', n, 500_000);
          kept.push(n);
        } catch (error) {
          errors.push(String(error));
        }
      }
      expect(errors.length).toBeGreaterThan(0);
      if (errors.some((error) => error.includes('the server ended'))) {
        // Not even PostgreSQL's own log of changes could be written: it ends, and the host with it.
        expect(await server.exited).toBe('1');
        expect(server.said).toContain('PostgreSQL has ended unexpectedly');
        spawnSync(disk.within[0] ?? '', [...disk.within.slice(1), 'rm', join(place.path, 'filler')]);
        server = await ServerProcess.start({ dataDir: place.path }, small);
      } else {
        expect(errors).toEqual(errors.map(() => expect.stringMatching(/^\S*Error: db: /)));
        await server.ask('free');
      }
      await until('writes to go on', async () =>
        call(server, 'note', 1_000, 500_000).then(
          () => true,
          () => false,
        ),
      );
      expect(await call(server, 'notes')).toEqual([...kept, 1_000]);
      await server.stop();
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
});
