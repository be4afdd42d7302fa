/**
 * workerd and Deno: another program that runs the guest behind HTTP, asked directly and through a Hono proxy, which is how one would put
 * them behind a panel. What the host does for a guest is HTTP too, back to us. Argument: 'workerd' or 'deno'.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Hono } from 'hono';
import { proxy } from 'hono/proxy';
import { announce, GUEST, hostWork, listen, ORDER, targets } from './work.ts';

const TRIES = 200;
const PAUSE_MS = 50;
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
const handler = (host: string): string => `
const host = async (name, input) => (await ${host}(name, { method: 'POST', body: JSON.stringify(input) })).json();
${GUEST}
const answer = async (request) => {
  const work = new URL(request.url).pathname === '/hello' ? hello : call;
  return Response.json(await work(await request.json()));
};`;

async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** `env` is per request in workerd: the host is reached through it. */
function startWorkerd(port: number, hostPort: number): ChildProcess {
  const script = `let fetcher;
  ${handler("((name, init) => fetcher.fetch('http://host/' + name, init))")}
  export default { fetch(request, env) { fetcher = env.HOST; return answer(request); } };`;
  writeFileSync(join(folder, 'worker.mjs'), script);
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker", esModule = embed "worker.mjs")], compatibilityDate = "2025-01-01", bindings = [(name = "HOST", service = "host")])),
    (name = "host", external = (address = "127.0.0.1:${hostPort}", http = ()))
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);`,
  );
  const binary = join(dirname(require.resolve(`@cloudflare/workerd-linux-64/package.json`)), 'bin/workerd');
  return spawn(binary, ['serve', join(folder, 'config.capnp')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function startDeno(port: number, hostPort: number): ChildProcess {
  const script = `${handler(`((name, init) => fetch('http://127.0.0.1:${hostPort}/' + name, init))`)}
  Deno.serve({ port: ${port}, hostname: '127.0.0.1', onListen() {} }, answer);`;
  writeFileSync(join(folder, 'server.js'), script);
  const binary = join(dirname(require.resolve('@deno/linux-x64-glibc/package.json')), 'deno');
  return spawn(binary, ['run', '--allow-net', join(folder, 'server.js')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DENO_DIR: folder, DENO_NO_UPDATE_CHECK: '1' },
  });
}

async function answers(port: number): Promise<void> {
  for (let tried = 0; tried < TRIES; tried++) {
    const response = await fetch(`http://127.0.0.1:${port}/hello`, {
      method: 'POST',
      body: JSON.stringify(ORDER),
    }).catch(() => undefined);
    if (response?.ok === true) return;
    await sleep(PAUSE_MS);
  }
  throw new Error('the peer does not answer');
}

const name = process.argv[2] === 'deno' ? 'Deno' : 'workerd';
const host = new Hono();
host.post('/encrypt', async (c) => c.json(await hostWork('encrypt', await c.req.json<{ text: string }>())));
const hostPort = await listen(host.fetch);
const port = await freePort();
const child = name === 'Deno' ? startDeno(port, hostPort) : startWorkerd(port, hostPort);
await answers(port);
const front = new Hono();
front.post('/:work', (c) =>
  proxy(`http://127.0.0.1:${port}/${c.req.param('work')}`, { method: 'POST', body: c.req.raw.body }),
);

announce(
  {
    ways: { [`${name} direct`]: targets(port), [`Hono → ${name}`]: targets(await listen(front.fetch)) },
  },
  () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  },
);
