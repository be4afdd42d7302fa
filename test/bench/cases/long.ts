/**
 * The long run: pages and jobs together, for minutes, and whether what the program holds stays what it was: memory of the server and of
 * its runners, isolates, PostgreSQL's processes, and whatever keeps the event loop alive.
 */
import type { Case, CaseHow } from '../lib/case.ts';
import { load } from '../lib/load.ts';
import { memoryOf, tree } from '../lib/machine.ts';
import { type Peer, startPeer } from '../lib/peer.ts';
import type { Row } from '../lib/report.ts';
import { summarize } from '../lib/stats.ts';

const SECTION = 'Long run';
const CONNECTIONS = 10;
const MIB = 1_048_576;
const SAMPLE_MS = 2_000;
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
  readonly jobs: number;
}

async function sample(peer: Peer): Promise<Sample> {
  const { runners, isolates, handles, jobs } = await peer.ask();
  const mib = (pid: number): number => memoryOf(pid).rssBytes / MIB;
  return {
    serverMib: mib(peer.pid),
    runnersMib: runners.reduce((sum, pid) => sum + mib(pid), 0),
    processes: tree(peer.pid).length,
    isolates,
    handles,
    jobs,
  };
}

function mean(samples: readonly Sample[], pick: (one: Sample) => number): number {
  return samples.reduce((sum, one) => sum + pick(one), 0) / samples.length;
}

function rowsOf(samples: readonly Sample[]): Row[] {
  const part = (from: number, to: number): readonly Sample[] =>
    samples.slice(Math.floor(samples.length * from), Math.ceil(samples.length * to));
  const early = part(...EARLY);
  const late = part(LATE, 1);
  const row = (line: string, pick: (one: Sample) => number, unit: string): Row => {
    const [before, after] = [mean(early, pick), mean(late, pick)];
    const growth = late.map((one) => pick(one) / before);
    return {
      section: SECTION,
      line: `${line}: end over beginning`,
      unit: '×',
      target: { atMost: LEAK },
      measured: { ...summarize(growth), median: after / before },
      note: `${before.toFixed(1)} → ${after.toFixed(1)} ${unit}`,
    };
  };
  return [
    row('Memory of the server', ({ serverMib }) => serverMib, 'MiB'),
    row('Memory of its runners', ({ runnersMib }) => runnersMib, 'MiB'),
    row('Isolates', ({ isolates }) => isolates, 'isolates'),
    row('Processes, PostgreSQL’s included', ({ processes }) => processes, 'processes'),
    row('What keeps the event loop alive', ({ handles }) => handles, 'handles'),
  ];
}

export const long: Case = {
  name: 'long',
  title: 'Long run',
  async run(how: CaseHow) {
    await using peer = await startPeer('bulkhead', ['mixed']);
    const target = peer.ready.ways['Bulkhead'];
    if (target === undefined) throw new Error('Bulkhead is missing');
    const seconds = how.quick ? 20 : how.minutes * 60;
    const samples: Sample[] = [];
    const sampling = setInterval(() => {
      void sample(peer).then((one) => samples.push(one));
    }, SAMPLE_MS);
    const loads = await Promise.all(
      [target.hello, target.call].map((work) => load({ ...work, connections: CONNECTIONS, seconds })),
    );
    clearInterval(sampling);
    const requests = loads.reduce((sum, one) => sum + one.requests, 0);
    how.say(`  ${seconds} s: ${requests} requests, ${samples.at(-1)?.jobs ?? 0} jobs`);
    return rowsOf(samples);
  },
};
