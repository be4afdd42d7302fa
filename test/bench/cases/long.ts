/**
 * The long run: pages, jobs, queries, views and requests together, for minutes, and whether what the program holds stays what it was:
 * memory of the server and of its runners, what is left on its heap after a collection, isolates, PostgreSQL's processes, listeners, and
 * whatever keeps the event loop alive.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Case, CaseHow } from '../lib/case.ts';
import { load } from '../lib/load.ts';
import { memoryOf, tree } from '../lib/machine.ts';
import { type Peer, startPeer } from '../lib/peer.ts';
import type { Row } from '../lib/report.ts';
import { median, summarize } from '../lib/stats.ts';

const SECTION = 'Long run';
const CONNECTIONS = 10;
const MIB = 1_048_576;
const SAMPLE_LEAST_MS = 500;
const SAMPLES_MOST = 200;
/** Garbage is collected before each such sample, for the heap's sake; the other samples see memory as it is without. */
const COLLECT_EACH = 4;
/** What is warm-up, and what is compared with the end. */
const EARLY = [0.2, 0.4] as const;
const LATE = 0.8;
const LEAK = 1.1;

interface Sample {
  readonly serverMib: number;
  readonly runnersMib: number;
  readonly processes: number;
  readonly isolates: number;
  readonly handles: number;
  readonly listeners: number;
  /** After a collection. */
  readonly heapMib: number | undefined;
  readonly invocations: number;
  readonly jobs: number;
}

async function sample(peer: Peer, collect: boolean): Promise<Sample> {
  const { runners, heapBytes, ...held } = await peer.ask(collect);
  const mib = (pid: number): number => memoryOf(pid).rssBytes / MIB;
  return {
    serverMib: mib(peer.pid),
    runnersMib: runners.reduce((sum, pid) => sum + mib(pid), 0),
    processes: tree(peer.pid).length,
    heapMib: collect ? heapBytes / MIB : undefined,
    ...held,
  };
}

type Pick = (one: Sample) => number | undefined;

function rowsOf(samples: readonly Sample[]): Row[] {
  const part = (from: number, to: number): readonly Sample[] =>
    samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
  const early = part(...EARLY);
  const late = part(LATE, 1);
  const row = (line: string, pick: Pick, unit: string): Row => {
    const values = (of: readonly Sample[]): number[] => of.flatMap((one) => pick(one) ?? []);
    const before = median(values(early));
    const after = median(values(late));
    return {
      section: SECTION,
      line: `${line}: end over beginning`,
      unit: '×',
      target: { atMost: LEAK },
      measured: { ...summarize(values(late).map((value) => value / before)), median: after / before },
      note: `${before.toFixed(1)} → ${after.toFixed(1)} ${unit}`,
    };
  };
  return [
    row('Memory of the server', ({ serverMib }) => serverMib, 'MiB'),
    row('Its heap after a collection', ({ heapMib }) => heapMib, 'MiB'),
    row('Memory of its runners', ({ runnersMib }) => runnersMib, 'MiB'),
    row('Isolates', ({ isolates }) => isolates, 'isolates'),
    row('Processes, PostgreSQL’s included', ({ processes }) => processes, 'processes'),
    row('What keeps the event loop alive', ({ handles }) => handles, 'handles'),
    row('Listeners of the process', ({ listeners }) => listeners, 'listeners'),
  ];
}

/** Samples until the load has ended, one after the other. */
async function samplesUntil(ended: () => boolean, peer: Peer, seconds: number): Promise<Sample[]> {
  const everyMs = Math.max(SAMPLE_LEAST_MS, (seconds * 1_000) / SAMPLES_MOST);
  const samples: Sample[] = [];
  while (!ended()) {
    await sleep(everyMs);
    samples.push(await sample(peer, samples.length % COLLECT_EACH === 0));
  }
  return samples;
}

export const long: Case = {
  name: 'long',
  title: 'Long run',
  async run(how: CaseHow) {
    await using peer = await startPeer('bulkhead', ['mixed'], ['--expose-gc']);
    const target = peer.ready.ways['Bulkhead'];
    if (target === undefined) throw new Error('Bulkhead is missing');
    const seconds = how.quick ? 20 : how.minutes * 60;
    const plan = {
      connections: CONNECTIONS,
      seconds,
      ...(how.pauseMs === undefined ? {} : { pauseMs: how.pauseMs }),
    };
    let ended = false;
    const loading = Promise.all([target.hello, target.call].map((work) => load({ ...work, ...plan })));
    const sampling = samplesUntil(() => ended, peer, seconds);
    const loads = await loading.finally(() => (ended = true));
    const samples = await sampling;
    const requests = loads.reduce((sum, one) => sum + one.requests, 0);
    const { jobs = 0, invocations = 0 } = samples.at(-1) ?? {};
    how.say(
      `  ${seconds} s: ${requests} requests, ${jobs} jobs, ${invocations} calls with queries, views and requests`,
    );
    return rowsOf(samples);
  },
};
