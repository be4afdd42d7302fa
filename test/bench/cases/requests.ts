/**
 * A request through a module, beside the ways its users would pick instead. Each way is measured right after plain Hono, and what
 * counts is the ratio of the two: the machine's mood is in both.
 */
import { treeCpuUs } from '../lib/machine.ts';
import { load, type Target } from '../lib/load.ts';
import type { Case, CaseHow } from '../lib/case.ts';
import { type Peer, startPeer } from '../lib/peer.ts';
import type { Row } from '../lib/report.ts';
import { rounds } from '../lib/rounds.ts';
import { summarize } from '../lib/stats.ts';

const CONNECTIONS = 50;
const LIMIT = 'plain Hono';
const OURS = 'Bulkhead';
type Work = 'hello' | 'call';
const WORKS: readonly { readonly work: Work; readonly title: string }[] = [
  { work: 'hello', title: 'Request' },
  { work: 'call', title: 'Request with one capability call' },
];
const TARGETS: Readonly<Record<Work, { readonly rate: number; readonly cpu: number }>> = {
  hello: { rate: 0.65, cpu: 1.8 },
  call: { rate: 0.55, cpu: 2.2 },
};

interface Way {
  readonly name: string;
  readonly pid: number;
  readonly targets: Readonly<Record<Work, Target>>;
}

interface Run {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Paired {
  readonly limit: Run;
  readonly run: Run;
}

async function startAll(undo: AsyncDisposableStack, how: CaseHow): Promise<Way[]> {
  const starts: (() => Promise<Peer>)[] = [
    () => startPeer('hono'),
    () => startPeer('bulkhead'),
    () => startPeer('vm'),
    () => startPeer('worker'),
    () => startPeer('quickjs'),
    () => startPeer('ivm', [], ['--no-node-snapshot']),
    () => startPeer('remote', ['workerd']),
    () => startPeer('remote', ['deno']),
  ];
  const ways: Way[] = [];
  for (const start of starts) {
    const peer = undo.use(await start());
    for (const [name, targets] of Object.entries(peer.ready.ways))
      ways.push({ name, pid: peer.pid, targets });
    how.say(`  ready: ${Object.keys(peer.ready.ways).join(', ')}`);
  }
  return ways;
}

async function measure(way: Way, work: Work, seconds: number): Promise<Run> {
  const target = way.targets[work];
  await load({ ...target, connections: CONNECTIONS, seconds: seconds / 4 });
  const before = treeCpuUs(way.pid);
  const result = await load({ ...target, connections: CONNECTIONS, seconds });
  const cpuUs = (treeCpuUs(way.pid) - before) / result.requests;
  return { perSecond: result.requests / result.seconds, cpuUs, p50Ms: result.p50Ms, p99Ms: result.p99Ms };
}

function rowsOf(
  title: string,
  name: string,
  work: Work,
  pairs: { readonly values: readonly Paired[]; readonly dropped: number; readonly noisy: boolean },
): Row[] {
  const shared = { section: title, dropped: pairs.dropped, noisy: pairs.noisy };
  const of = (pick: (pair: Paired) => number) => summarize(pairs.values.map(pick));
  const ours = name === OURS;
  const rate = of(({ run }) => run.perSecond);
  return [
    {
      ...shared,
      line: `${name}: requests/s, × plain Hono`,
      unit: '×',
      measured: of(({ run, limit }) => run.perSecond / limit.perSecond),
      ...(ours ? { target: { atLeast: TARGETS[work].rate } } : {}),
      note: `${Math.round(rate.median)} requests/s, ${of(({ run }) => run.p50Ms).median.toFixed(1)} ms median, ${of(({ run }) => run.p99Ms).median.toFixed(1)} ms p99`,
    },
    {
      ...shared,
      line: `${name}: CPU a request, × plain Hono`,
      unit: '×',
      measured: of(({ run, limit }) => run.cpuUs / limit.cpuUs),
      ...(ours ? { target: { atMost: TARGETS[work].cpu } } : {}),
      note: `${Math.round(of(({ run }) => run.cpuUs).median)} µs`,
    },
  ];
}

/** Our ratio over theirs, of the same round. */
function comparison(title: string, results: ReadonlyMap<string, readonly Paired[]>): Row[] {
  const ours = results.get(OURS) ?? [];
  return [
    { name: 'workerd direct', atLeast: 2 },
    { name: 'Hono → workerd', atLeast: 6 },
  ].flatMap(({ name, atLeast }) => {
    const theirs = results.get(name);
    if (theirs === undefined) return [];
    const ratio = (pair: Paired): number => pair.run.perSecond / pair.limit.perSecond;
    const theirRatio = summarize(theirs.map(ratio)).median;
    return [
      {
        section: title,
        line: `Bulkhead: requests/s, × ${name}`,
        unit: '×',
        target: { atLeast },
        measured: summarize(ours.map((pair) => ratio(pair) / theirRatio)),
      },
    ];
  });
}

export const requests: Case = {
  name: 'requests',
  title: 'Requests beside the peers, 50 connections',
  async run(how) {
    await using undo = new AsyncDisposableStack();
    const ways = await startAll(undo, how);
    const limit = ways.find(({ name }) => name === LIMIT);
    if (limit === undefined) throw new Error('plain Hono is missing');
    const seconds = how.quick ? 0.8 : 2;
    const rows: Row[] = [];
    for (const { work, title } of WORKS) {
      const results = new Map<string, readonly Paired[]>();
      for (const way of ways) {
        if (way === limit) continue;
        how.say(`  ${title}: ${way.name}`);
        const measured = await rounds(
          { wanted: how.quick ? 2 : 5, most: how.quick ? 2 : 15, say: how.say },
          async () => ({
            limit: await measure(limit, work, seconds),
            run: await measure(way, work, seconds),
          }),
        );
        results.set(way.name, measured.values);
        rows.push(...rowsOf(title, way.name, work, measured));
      }
      rows.push(...comparison(title, results));
    }
    return rows;
  },
};
