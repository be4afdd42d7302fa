/** Cold start by its parts, and what idle installations weigh, from one to five hundred, with eviction at work. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { LoadReport } from '../../../sandbox/contract/wire.ts';
import { createSandbox, type InvokeRequest, type Sandbox } from '../../../sandbox/supervisor/sandbox.ts';
import type { Case, CaseHow } from '../lib/case.ts';
import { memoryOf } from '../lib/machine.ts';
import { type Row, single } from '../lib/report.ts';
import { rounds } from '../lib/rounds.ts';
import { benchModule, emptyCall, IS_ROOT } from '../lib/sandbox.ts';
import { median, summarize } from '../lib/stats.ts';

const MIB = 1_048_576;
const SETTLE_MS = 400;
const COUNTS = [1, 10, 40, 100, 250, 500];
/** Until a process that waits has started, however busy the machine is. */
const SPARE_READY_MS = 1_500;
const FIRST_SPARE_UID = 1_900_000_000;
/** Beyond the time that isolates may be idle: the sweep, and V8 giving back what it pooled. */
const IDLE_AFTER_MS = 20_000;
const COLD = 'Cold start';
const MEMORY = 'Memory';

async function ask(sandbox: Sandbox, request: InvokeRequest): Promise<number> {
  const startedAt = performance.now();
  const { envelope } = await sandbox.invoke(request);
  if (!envelope.ok) throw new Error(`${envelope.error.code}: ${envelope.error.message}`);
  return performance.now() - startedAt;
}

interface Start {
  readonly report: LoadReport;
  readonly processMs: number;
  readonly installationMs: number;
  readonly warmMs: number;
}

async function coldStart(how: CaseHow): Promise<Row[]> {
  const input = await benchModule();
  const loaded = new Map<string, LoadReport>();
  const sandbox = await createSandbox({
    ownUids: IS_ROOT,
    onLoaded: (report) => loaded.set(`${report.group} ${report.module}`, report),
  });
  let group = 0;
  const start = async (): Promise<Start> => {
    group++;
    const firstMs = await ask(sandbox, emptyCall(input, group, 1));
    const installationMs = await ask(sandbox, emptyCall(input, group, 2));
    const warmMs = await ask(sandbox, emptyCall(input, group, 2));
    const report = loaded.get(`group-${group} installation-2`);
    sandbox.end(`group-${group}`);
    if (report === undefined) throw new Error('no isolate was reported');
    return { report, processMs: firstMs - installationMs, installationMs, warmMs };
  };
  try {
    const { values, dropped, noisy } = await rounds(
      { wanted: how.quick ? 3 : 15, most: how.quick ? 3 : 40, say: how.say },
      start,
    );
    const row = (line: string, pick: (one: Start) => number): Row => ({
      section: COLD,
      line,
      unit: 'ms',
      measured: summarize(values.map(pick)),
      dropped,
      noisy,
    });
    const loadMs = ({ isolateMs, runtimeMs, moduleMs }: LoadReport): number =>
      isolateMs + runtimeMs + moduleMs;
    return [
      row('A tenant’s first call: the runner process comes on top', ({ processMs }) => processMs),
      row('An installation’s first call in a running process: all', ({ installationMs }) => installationMs),
      row('… of it the isolate and its context', ({ report }) => report.isolateMs),
      row('… of it the runtime, hardened', ({ report }) => report.runtimeMs),
      row('… of it the module’s definition', ({ report }) => report.moduleMs),
      row(
        '… of it the first call and both ways',
        ({ report, installationMs }) => installationMs - loadMs(report),
      ),
      row('The next call, alone', ({ warmMs }) => warmMs),
    ];
  } finally {
    await sandbox.close();
  }
}

/** A tenant's first call with a process that was started before it. */
async function spareStart(how: CaseHow): Promise<Row> {
  const input = await benchModule();
  let uid = FIRST_SPARE_UID;
  const sandbox = await createSandbox({ ownUids: IS_ROOT, spare: () => (IS_ROOT ? { uid: uid++ } : {}) });
  let group = 0;
  const start = async (): Promise<number> => {
    group++;
    await sleep(SPARE_READY_MS);
    const firstMs = await ask(sandbox, emptyCall(input, group, 1));
    sandbox.end(`group-${group}`);
    return firstMs;
  };
  try {
    const { values, dropped, noisy } = await rounds(
      { wanted: how.quick ? 3 : 15, most: how.quick ? 3 : 40, say: how.say },
      start,
    );
    return {
      section: COLD,
      line: 'A tenant’s first call in a process that waited: all',
      unit: 'ms',
      measured: summarize(values),
      dropped,
      noisy,
    };
  } finally {
    await sandbox.close();
  }
}

interface Weight {
  readonly processes: number;
  readonly isolates: number;
  readonly pssMib: number;
  readonly firstMs: number;
}

interface Curve {
  readonly weights: ReadonlyMap<number, Weight>;
  /** All of them when nobody used them for a while; a quick run does not wait for that. */
  readonly idle: Weight | undefined;
}

async function weigh(sandbox: Sandbox, firstMs: number): Promise<Weight> {
  // A heartbeat, so that the process says how many isolates it has.
  await sleep(LIMITS.heartbeatMs * 2 + SETTLE_MS);
  const stats = sandbox.stats();
  return {
    processes: stats.length,
    isolates: stats.reduce((sum, { isolates }) => sum + isolates, 0),
    pssMib: stats.reduce((sum, { pid }) => sum + memoryOf(pid).pssBytes, 0) / MIB,
    firstMs,
  };
}

/** Makes installations up to each count and weighs what runs. @param groupOf which process an installation belongs to */
async function curve(how: CaseHow, groupOf: (number: number) => number): Promise<Curve> {
  const input = await benchModule();
  const sandbox = await createSandbox({ ownUids: IS_ROOT });
  const weights = new Map<number, Weight>();
  try {
    let made = 0;
    for (const count of how.quick ? COUNTS.slice(0, 3) : COUNTS) {
      const firsts: number[] = [];
      for (; made < count; made++) firsts.push(await ask(sandbox, emptyCall(input, groupOf(made), made)));
      weights.set(count, await weigh(sandbox, median(firsts)));
    }
    if (how.quick) return { weights, idle: undefined };
    await sleep(LIMITS.isolateIdleMs + IDLE_AFTER_MS);
    return { weights, idle: await weigh(sandbox, 0) };
  } finally {
    await sandbox.close();
  }
}

function curveRows(title: string, weights: ReadonlyMap<number, Weight>): Row[] {
  return [...weights].map(([count, { processes, isolates, pssMib, firstMs }]) => ({
    section: MEMORY,
    line: `${count} installations, ${title}`,
    unit: 'MiB',
    measured: single(pssMib),
    note: `${processes} processes, ${isolates} isolates kept; a first call ${firstMs.toFixed(1)} ms`,
  }));
}

function idleRows(title: string, idle: Weight | undefined): Row[] {
  if (idle === undefined) return [];
  return [
    {
      section: MEMORY,
      line: `All of them, ${title}, unused for ${LIMITS.isolateIdleMs / 1_000} s`,
      unit: 'MiB',
      measured: single(idle.pssMib),
      note: `${idle.processes} processes, ${idle.isolates} isolates kept`,
    },
  ];
}

function weightRows(oneTenant: ReadonlyMap<number, Weight>): Row[] {
  const one = oneTenant.get(1);
  // Few enough that none of them was dropped to make room.
  const few = oneTenant.get(10);
  if (one === undefined || few === undefined) return [];
  const each = (few.pssMib - one.pssMib) / (few.isolates - one.isolates);
  return [
    { section: MEMORY, line: 'An idle installation', unit: 'MiB', measured: single(each) },
    { section: MEMORY, line: 'A runner process with one', unit: 'MiB', measured: single(one.pssMib) },
  ];
}

export const cold: Case = {
  name: 'cold',
  title: 'Cold start and memory',
  async run(how) {
    const rows = [...(await coldStart(how)), await spareStart(how)];
    how.say('  one tenant');
    const oneTenant = await curve(how, () => 1);
    how.say('  ten installations a tenant');
    const manyTenants = await curve(how, (number) => Math.floor(number / 10));
    return [
      ...rows,
      ...weightRows(oneTenant.weights),
      ...curveRows('one tenant', oneTenant.weights),
      ...idleRows('one tenant', oneTenant.idle),
      ...curveRows('ten a tenant', manyTenants.weights),
      ...idleRows('ten a tenant', manyTenants.idle),
    ];
  },
};
