/**
 * What a runner process may do at all. A probe is started in a runner's place, by the very code that starts runners: once as Node (what
 * is left if the isolate breaks), once without Node's permission model (what is left if native code runs). Without root or without
 * namespaces some walls are missing; then it is checked that this is said.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLauncher } from '../../sandbox/supervisor/launch.ts';
import { createStage, type Stage } from '../../sandbox/supervisor/stage.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, IS_ROOT, TENANT_UID } from './sandbox-support.ts';

const OTHER_UID = TENANT_UID + 1;
const IS_LINUX = process.platform === 'linux';
const sandbox = useSandbox();
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-canary-'));
const canary = join(folder, 'canary');
const launcher = createLauncher(IS_ROOT);
const { isolation } = launcher;
let stage: Stage;
let server: Server;
let connections = 0;

beforeAll(async () => {
  writeFileSync(canary, 'canary-5f0e', { mode: 0o600 });
  stage = await createStage(IS_ROOT);
  server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  stage.remove();
  rmSync(folder, { recursive: true });
});

/** Puts a script into the staging folder, as nobody but this process could. */
function put(name: string, text: string, mode: number): void {
  chmodSync(stage.folder, 0o755);
  rmSync(join(stage.folder, name), { force: true });
  writeFileSync(join(stage.folder, name), text);
  chmodSync(join(stage.folder, name), mode);
  chmodSync(stage.folder, 0o555);
}

interface Started {
  readonly child: ChildProcess;
  readonly said: Promise<Record<string, unknown>>;
  readonly markFd: number;
}

/** Starts a probe; `body` is the body of an async function that returns what it found. */
function start(kind: 'node' | 'native', body: string, uid = TENANT_UID): Started {
  put(
    'probe.mjs',
    `import { Socket } from 'node:net';
     const socket = new Socket({ fd: 3, readable: true, writable: true });
     const attempt = async (work) => { try { return { ok: await work() ?? 'done' }; } catch (error) { return { refused: String(error.code ?? error.message) }; } };
     const run = async () => { ${body} };
     socket.end(JSON.stringify(await run().catch((error) => ({ failed: String(error.stack) }))));`,
    0o444,
  );
  put('native', `#!/bin/sh\nexec '${stage.node}' '${join(stage.folder, 'probe.mjs')}'\n`, 0o555);
  const markFd = openSync(join(folder, 'mark'), 'w+', 0o600);
  const node = kind === 'node' ? stage.node : join(stage.folder, 'native');
  const child = launcher.start(
    { stage: { folder: stage.folder, node }, script: 'probe.mjs', ...(IS_ROOT ? { uid } : {}) },
    markFd,
  );
  const said = (async () => {
    let text = '';
    for await (const chunk of child.stdio[3] as Socket) text += String(chunk);
    if (text === '') throw new Error(`the probe said nothing: ${String(child.stderr?.read())}`);
    return JSON.parse(text) as Record<string, unknown>;
  })();
  said.catch(() => undefined);
  return { child, said, markFd };
}

async function probe(kind: 'node' | 'native', body: string, uid?: number): Promise<Record<string, unknown>> {
  const { child, said, markFd } = start(kind, body, uid);
  try {
    return await said;
  } finally {
    child.kill('SIGKILL');
    closeSync(markFd);
  }
}

const READS = (): string =>
  JSON.stringify([
    canary,
    '/etc/passwd',
    '/etc/shadow',
    '/root',
    '/proc/self/environ',
    `/proc/${process.pid}/environ`,
    fileURLToPath(import.meta.url),
    process.execPath,
  ]);

describe('a runner, as Node', () => {
  it('has no environment, no arguments of the host’s and its staging folder for a place', async () => {
    const found = await probe(
      'node',
      'return { env: process.env, cwd: process.cwd(), argv: process.argv.slice(2), execArgv: process.execArgv };',
    );
    expect(found).toMatchObject({ cwd: stage.folder, argv: [] });
    expect(found['env']).toEqual({});
    expect(found['execArgv']).toEqual(expect.arrayContaining(['--permission', '--disable-sigusr1']));
  });

  it('reads nothing outside its staging folder, and writes nothing anywhere', async () => {
    const found = await probe(
      'node',
      `const fs = await import('node:fs'); const out = {};
       for (const path of ${READS()}) out[path] = await attempt(() => String(fs.readFileSync(path)).slice(0, 5));
       for (const path of [${JSON.stringify(stage.folder)} + '/x', '/tmp/bulkhead-x', ${JSON.stringify(canary)}]) out['write ' + path] = await attempt(() => fs.writeFileSync(path, 'x'));
       out.readdir = await attempt(() => fs.readdirSync('/'));
       out.link = await attempt(() => fs.symlinkSync('/etc/passwd', ${JSON.stringify(stage.folder)} + '/l'));
       out.up = await attempt(() => String(fs.readFileSync(${JSON.stringify(stage.folder)} + '/../../etc/passwd')).slice(0, 5));
       out.url = await attempt(() => String(fs.readFileSync(new URL('file:///etc/passwd'))).slice(0, 5));
       out.buffer = await attempt(() => String(fs.readFileSync(Buffer.from('/etc/passwd'))).slice(0, 5));
       out.open = await attempt(() => fs.openSync('/dev/mem'));
       out.promise = await attempt(async () => String(await fs.promises.readFile('/etc/passwd')).slice(0, 5));
       return out;`,
    );
    expect(Object.entries(found).filter(([, outcome]) => !('refused' in (outcome as object)))).toEqual([]);
  });

  it('starts no process, no worker, no inspector, and loads no other native code', async () => {
    const found = await probe(
      'node',
      `const out = {};
       out.spawn = await attempt(async () => (await import('node:child_process')).execFileSync('/bin/true'));
       out.fork = await attempt(async () => (await import('node:child_process')).fork('/x.mjs'));
       out.worker = await attempt(async () => new (await import('node:worker_threads')).Worker('1', { eval: true }));
       out.inspector = await attempt(async () => (await import('node:inspector')).open(0));
       out.addon = await attempt(() => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'));
       out.wasi = await attempt(async () => new (await import('node:wasi')).WASI({ version: 'preview1', preopens: { '/': '/' } }));
       out.binding = await attempt(() => process.binding('fs').internalModuleStat('/etc/passwd'));
       out.cluster = await attempt(async () => (await import('node:cluster')).default.fork());
       out.kill = await attempt(() => process.kill(${process.pid}, 0));
       return out;`,
    );
    const { kill, binding, wasi, ...rest } = found;
    expect(Object.entries(rest).filter(([, outcome]) => !('refused' in (outcome as object)))).toEqual([]);
    // A number that tells the kind of a file, or nothing: whichever, no content.
    expect(JSON.stringify([binding, wasi])).not.toContain('root:');
    expect(IS_ROOT && 'ok' in (kill as object)).toBe(false);
  });
});

describe('a runner that runs native code', () => {
  const ids =
    "import('node:fs').then((fs) => Object.fromEntries(String(fs.readFileSync('/proc/self/status')).split('\\n').map((line) => line.split(':\\t')).filter((pair) => pair.length === 2)))";

  it.runIf(IS_ROOT && IS_LINUX)(
    'has a uid of its own, no group, no capability and no way to gain one',
    async () => {
      const found = await probe('native', `return await ${ids};`);
      expect(found).toMatchObject({
        Uid: Array(4).fill(TENANT_UID).join('\t'),
        Gid: Array(4).fill(TENANT_UID).join('\t'),
        CapEff: '0000000000000000',
        CapPrm: '0000000000000000',
        CapBnd: '0000000000000000',
        NoNewPrivs: '1',
      });
      expect(String(found['Groups']).trim()).toBe('');
    },
  );

  it.runIf(IS_LINUX)('holds no descriptor beyond its five', async () => {
    const found = await probe(
      'native',
      `const fs = await import('node:fs'); const names = fs.readdirSync('/proc/self/fd');
       return Object.fromEntries(names.map((fd) => { try { return [fd, fs.readlinkSync('/proc/self/fd/' + fd)]; } catch { return [fd, 'gone']; } }));`,
    );
    const own = /^(?:anon_inode:|gone|\/proc\/\d+\/fd)|^pipe:/;
    const inherited = Object.entries(found).filter(
      ([fd, to]) => Number(fd) > 4 && !own.test(String(to)) && String(to) !== '/dev/null',
    );
    expect(inherited).toEqual([]);
    expect(found).toMatchObject({ 0: '/dev/null', 1: '/dev/null' });
    expect(String(found['3'])).toMatch(/^socket:/);
  });

  it.runIf(IS_ROOT && IS_LINUX)(
    'reads neither this process’s files, nor another tenant’s runner, nor what belongs to the host',
    async () => {
      await bystanderIsWell(sandbox);
      const other = sandbox.sandbox().stats()[0]?.pid ?? 0;
      const paths = [
        canary,
        '/etc/shadow',
        '/root/.bashrc',
        `/proc/${process.pid}/environ`,
        `/proc/${process.pid}/mem`,
        `/proc/${other}/mem`,
        `/proc/${other}/environ`,
        `/proc/${other}/maps`,
        `/proc/${other}/fd/3`,
        `/proc/${other}/root/etc/passwd`,
      ];
      const found = await probe(
        'native',
        `const fs = await import('node:fs'); const out = {};
       for (const path of ${JSON.stringify(paths)}) out[path] = await attempt(() => { const fd = fs.openSync(path); const b = Buffer.alloc(5); fs.readSync(fd, b, 0, 5, null); return String(b); });
       for (const pid of [${other}, ${process.pid}]) out['kill ' + pid] = await attempt(() => process.kill(pid, 'SIGKILL'));
       out.write = await attempt(() => fs.writeFileSync(${JSON.stringify(stage.folder)} + '/x', 'x'));
       out.chmod = await attempt(() => fs.chmodSync(${JSON.stringify(stage.folder)}, 0o777));
       out.setuid = await attempt(() => process.setuid(0));
       out.su = await attempt(async () => (await import('node:child_process')).execFileSync('/bin/su', ['-c', 'id'], { stdio: 'pipe' }));
       return out;`,
        OTHER_UID,
      );
      expect(Object.entries(found).filter(([, outcome]) => !('refused' in (outcome as object)))).toEqual([]);
      await bystanderIsWell(sandbox);
    },
  );

  it.runIf(isolation.noNetwork)('reaches no network', async () => {
    const { port } = server.address() as AddressInfo;
    const found = await probe(
      'native',
      `const net = await import('node:net'); const dgram = await import('node:dgram'); const os = await import('node:os');
       const connect = (to) => new Promise((yes, no) => { const s = net.connect(to, () => { s.destroy(); yes('connected'); }); s.on('error', no); s.setTimeout(1500, () => no(new Error('timeout'))); });
       const send = () => new Promise((yes, no) => { const s = dgram.createSocket('udp4'); s.on('error', no); s.send('x', ${port}, '127.0.0.1', (e) => { s.close(); e ? no(e) : yes('sent'); }); });
       return { tcp: await attempt(() => connect({ host: '127.0.0.1', port: ${port} })), udp: await attempt(send), interfaces: Object.keys(os.networkInterfaces()) };`,
    );
    expect(found['tcp']).toHaveProperty('refused');
    expect(found['udp']).toHaveProperty('refused');
    expect(found['interfaces']).toEqual([]);
    expect(connections).toBe(0);
  });

  it('is told to the operator where a wall is missing', () => {
    const walls = [isolation.ownUids, isolation.noNetwork, isolation.diesWithParent];
    expect(isolation.missing).toHaveLength(walls.filter((stands) => !stands).length);
  });

  it.runIf(IS_LINUX)('cannot fill the disk through the one file it holds', async () => {
    const { child, markFd } = start(
      'native',
      "const fs = await import('node:fs'); for (let i = 0; i < 1000; i++) fs.writeSync(4, Buffer.alloc(65_536, 1)); return {};",
    );
    await once(child, 'exit');
    expect(fstatSync(markFd).size).toBeLessThanOrEqual(4_096);
    closeSync(markFd);
  });
});

describe('a runner in use', () => {
  it.runIf(IS_ROOT && isolation.diesWithParent && isolation.noNetwork)(
    'has the rights that the probe had',
    async () => {
      await bystanderIsWell(sandbox);
      const pid = sandbox.sandbox().stats()[0]?.pid ?? 0;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(status).toContain(`Uid:\t${TENANT_UID}\t`);
      expect(status).toContain('NoNewPrivs:\t1');
      expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('');
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/Max core file size\s+0\s+0/);
    },
  );

  it.runIf(isolation.noNetwork)('opens no inspector for SIGUSR1', async () => {
    await bystanderIsWell(sandbox);
    const { pid } = sandbox.sandbox().stats()[0] ?? { pid: 0 };
    process.kill(pid, 'SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const listening = spawnedSockets(pid).filter((line) => / 0A /.test(line));
    expect(listening).toEqual([]);
    await bystanderIsWell(sandbox);
  });

  it('two groups share no process', async () => {
    const script = moduleScript('run() { return 1; }');
    await Promise.all(['one', 'two'].map(async (group) => sandbox.value(script, 'run', [], { group })));
    const runners = sandbox
      .sandbox()
      .stats()
      .filter(({ group }) => group === 'one' || group === 'two');
    expect(new Set(runners.map(({ pid }) => pid)).size).toBe(2);
  });
});

describe('a host that is killed', () => {
  it.runIf(IS_LINUX)(
    'takes its runners with it, also one that is stuck in a native',
    { timeout: 30_000 },
    async () => {
      const host = fileURLToPath(new URL('sandbox-orphan.ts', import.meta.url));
      const child = spawn(process.execPath, [host], { stdio: ['ignore', 'pipe', 'inherit'] });
      const pids = await new Promise<number[]>((resolve) =>
        child.stdout.once('data', (chunk) => resolve(JSON.parse(String(chunk)) as number[])),
      );
      expect(pids).toHaveLength(2);
      expect(pids.every(isAlive)).toBe(true);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const stuck = isolation.diesWithParent ? pids : pids.slice(0, 1);
      try {
        await expect.poll(() => stuck.filter(isAlive), { timeout: 5_000 }).toEqual([]);
      } finally {
        for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL');
      }
    },
  );
});

/** Lines of the TCP table of the process's own namespace; none if it is gone. */
function spawnedSockets(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
