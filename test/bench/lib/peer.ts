/** A server under test as a process of its own: started, told from by one line of JSON, ended with its input. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Target } from './load.ts';

/** What a peer prints when it is ready: its ways to be asked, each with both kinds of work. */
export interface Ready {
  readonly ways: Readonly<Record<string, { readonly hello: Target; readonly call: Target }>>;
}

/** What a server holds, as it says itself. */
export interface Holding {
  readonly runners: readonly number[];
  readonly isolates: number;
  readonly handles: number;
  /** Of events of the process itself. */
  readonly listeners: number;
  /** Also what nobody needs any more, unless it was collected just before. */
  readonly heapBytes: number;
  readonly jobs: number;
  readonly invocations: number;
}

export interface Peer extends AsyncDisposable {
  readonly pid: number;
  readonly ready: Ready;
  /** Bulkhead only. @param collect collects garbage first: the process must have been started with --expose-gc */
  ask(collect?: boolean): Promise<Holding>;
}

const READY_MS = 60_000;

export async function startPeer(
  script: string,
  args: readonly string[] = [],
  nodeArgs: readonly string[] = [],
): Promise<Peer> {
  const path = fileURLToPath(new URL(`../peers/${script}.ts`, import.meta.url));
  const child = spawn(process.execPath, [...nodeArgs, '--no-warnings', path, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  const exited = once(child, 'exit');
  const signal = AbortSignal.timeout(READY_MS);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? '';
  const late = once(signal, 'abort').then(() => {
    throw new Error(`peer ${script} was not ready within ${READY_MS} ms`);
  });
  const line = await Promise.race([
    next(),
    late,
    exited.then(([code]) => {
      throw new Error(`peer ${script} ended with ${String(code)} before it was ready`);
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    ready: JSON.parse(line) as Ready,
    ask: async (collect = false) => {
      child.stdin.write(collect ? 'collect\n' : '\n');
      return JSON.parse(await next()) as Holding;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
