/** The one way to start a fake cloud: as a child process that dies with this one. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FakeCloudControl } from './control-client.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { writeOptions } from './options.ts';
import type { FakeCloudOptions } from './options.ts';
import { readyShape } from './ready.ts';
import type { Ready } from './ready.ts';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export interface FakeCloud extends Omit<Ready, 'ready'>, AsyncDisposable {
  readonly pid: number;
  readonly control: FakeCloudControl;
  /** Settles when the process has ended, whatever ended it. */
  readonly exited: Promise<void>;
  /** Ends it and waits for that; may be called twice. */
  stop(): Promise<void>;
}

const STDERR_CHARS = 4_000;

/**
 * Starts a fake cloud on free ports (unless told otherwise) with random tokens. The child gets only its own variables, none
 * of this process's secrets.
 * @throws Error with what the child said when it does not get ready
 */
export async function spawnFakeCloud(options: Partial<FakeCloudOptions> = {}): Promise<FakeCloud> {
  const main = fileURLToPath(new URL(`main${extname(import.meta.filename)}`, import.meta.url));
  /** Without SystemRoot, node cannot open sockets on Windows. */
  const { SystemRoot } = process.env;
  const env = { ...writeOptions(options), ...(SystemRoot === undefined ? {} : { SystemRoot }) };
  const child: Child = spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'pipe'], env });
  /** `close`, not `exit`: by then its last words have been read. */
  const exited = once(child, 'close').then(() => undefined);
  child.stdin.on('error', () => undefined);
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    complaint = (complaint + part).slice(-STDERR_CHARS);
  });

  const line = await firstLine(child, exited);
  if (line === null || child.pid === undefined) {
    await stop(child, exited);
    throw new Error(`the fake cloud did not start: ${complaint.trim() || 'it said nothing'}`);
  }
  const { ready: _ready, ...addresses } = readyShape(JSON.parse(line), 'ready');
  const control = new FakeCloudControl(addresses.cloud, addresses.controlToken);
  const end = () => stop(child, exited);
  return { ...addresses, pid: child.pid, control, exited, stop: end, [Symbol.asyncDispose]: end };
}

/** What the child prints first; null when it ends or takes too long instead. */
async function firstLine(child: Child, exited: Promise<void>): Promise<string | null> {
  const lines = createInterface({ input: child.stdout });
  const timer = new AbortController();
  const line = once(lines, 'line', { signal: timer.signal }).then(([first]) => String(first));
  const tooLate = sleep(FAKECLOUD_LIMITS.readyMs, null, { signal: timer.signal });
  try {
    return await Promise.race([line, exited.then(() => null), tooLate]);
  } catch {
    return null;
  } finally {
    timer.abort();
    await Promise.allSettled([line, tooLate]);
    lines.close();
    child.stdout.resume();
  }
}

async function stop(child: Child, exited: Promise<void>): Promise<void> {
  child.stdin.end();
  const timer = new AbortController();
  const tooLate = sleep(FAKECLOUD_LIMITS.stopMs, 'late' as const, { signal: timer.signal });
  const first = await Promise.race([exited, tooLate]);
  timer.abort();
  await Promise.allSettled([tooLate]);
  if (first === 'late') child.kill('SIGKILL');
  await exited;
}
