/** What is kept for calls to come, and for how long: a process that waits for the next group, isolates that nobody uses, and memory. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { splitContext } from '../../sandbox/contract/invocation.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../sandbox/supervisor/sandbox.ts';
import { CONTEXT, moduleScript } from '../support/sandbox.ts';
import { until } from '../support/until.ts';

const IS_ROOT = process.getuid?.() === 0;
const OWN_UID = 180_010;
const SPARE_UID = 1_900_000_000;
const SCRIPT = moduleScript(
  `async run() { return 'ran'; } async wait() { await new Promise((done) => setTimeout(done, 1_000)); return 'waited'; }`,
);

async function withSandbox(
  options: Omit<SandboxOptions, 'ownUids'>,
  test: (sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  const sandbox = await createSandbox({ ownUids: IS_ROOT, ...options });
  try {
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

async function ask(sandbox: Sandbox, group: string, method = 'run'): Promise<unknown> {
  const { envelope } = await sandbox.invoke({
    group: { key: group, ...(IS_ROOT ? { uid: OWN_UID } : {}) },
    module: {
      key: 'module',
      load: async () => ({ name: 'Product/Probe', script: SCRIPT, views: {}, lang: {}, heapMb: 64 }),
    },
    input: { ...splitContext(CONTEXT), calls: [{ target: { on: 'module' }, method, args: [] }] },
    limits: { entryMs: 1_000, cpuHardMs: 2_000, callsInFlight: 8, calls: 8 },
    wallMs: 10_000,
    onCall: async () => ({}),
    onNotify: () => undefined,
  });
  return envelope.ok ? envelope.value.results[0] : envelope.error;
}

/** Runner processes that this one started and that have not ended. */
function runners(): readonly number[] {
  const pids = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  return pids.filter((pid) => commandOf(pid).includes('runner.mjs')).map(Number);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const RAN = { value: 'ran' };
let uid = SPARE_UID;
const spare = () => (IS_ROOT ? { uid: ++uid } : {});

describe('the process that waits', () => {
  it('serves the first call of a group, keeps its own uid, and another group gets another', async () => {
    await withSandbox({ spare }, async (sandbox) => {
      const waiting = uid;
      const before = new Date();
      expect(sandbox.stats()).toEqual([]);
      expect(await ask(sandbox, 'one')).toEqual(RAN);
      const [first] = sandbox.stats();
      expect(first?.startedAt.getTime()).toBeLessThanOrEqual(before.getTime());
      if (IS_ROOT) expect(first?.uid).toBe(waiting);
      expect(await ask(sandbox, 'two')).toEqual(RAN);
      expect(await ask(sandbox, 'one')).toEqual(RAN);
      const stats = sandbox.stats();
      expect(new Set(stats.map(({ pid }) => pid)).size).toBe(2);
      if (IS_ROOT) expect(new Set(stats.map((one) => one.uid)).size).toBe(2);
    });
  });

  it('is followed by the next one, which another group takes', async () => {
    await withSandbox({ spare }, async (sandbox) => {
      await ask(sandbox, 'one');
      await until('the next one', async () => runners().length === 2);
      await ask(sandbox, 'two');
      expect(new Set(runners())).toEqual(new Set(sandbox.stats().map(({ pid }) => pid)));
    });
  });

  it('is not handed out when it has died', async () => {
    await withSandbox({ spare }, async (sandbox) => {
      const [pid] = await until('the one that waits', async () => runners().length === 1 && runners());
      process.kill(pid ?? 0, 'SIGKILL');
      await until('its end', async () => runners().length === 0);
      expect(await ask(sandbox, 'one')).toEqual(RAN);
    });
  });

  it('ends with the sandbox', async () => {
    await withSandbox({ spare }, async () => {
      await until('the one that waits', async () => runners().length === 1);
    });
    expect(runners()).toEqual([]);
  });
});

describe('what nobody uses', () => {
  it('loses its isolate and keeps its process, and is there again with the next call', async () => {
    let loads = 0;
    await withSandbox({ isolateIdleMs: 60, onLoaded: () => loads++ }, async (sandbox) => {
      expect(await ask(sandbox, 'one')).toEqual(RAN);
      const [first] = sandbox.stats();
      await until('a call that finds none', async () => {
        await sleep(250);
        expect(await ask(sandbox, 'one')).toEqual(RAN);
        return loads === 2;
      });
      expect(sandbox.stats()[0]?.pid).toBe(first?.pid);
    });
  });

  it('does not include what only waits', async () => {
    await withSandbox({ isolateIdleMs: 60 }, async (sandbox) => {
      expect(await ask(sandbox, 'one', 'wait')).toEqual({ value: 'waited' });
    });
  });

  it('goes when all together hold more memory than they may, and what runs stays', async () => {
    await withSandbox({ isolateIdleMs: 600, memoryBytes: 1 }, async (sandbox) => {
      expect(await ask(sandbox, 'one')).toEqual(RAN);
      const waited = ask(sandbox, 'two', 'wait');
      await until('the end of what is idle', async () =>
        sandbox.stats().every(({ group }) => group === 'two'),
      );
      expect(await waited).toEqual({ value: 'waited' });
      await until('the end of all', async () => sandbox.stats().length === 0);
    });
  });
});
