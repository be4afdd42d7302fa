/**
 * `--profile`: where a request's processor time goes. The server runs under V8's profiler, whose file any browser's developer tools open;
 * what the kernel counts says how the time is shared between the server and the runner process, which may not write a file itself.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Case } from '../lib/case.ts';
import { load } from '../lib/load.ts';
import { tree } from '../lib/machine.ts';
import { startPeer } from '../lib/peer.ts';
import { hottest } from '../lib/profile.ts';
import { type Row, single } from '../lib/report.ts';

const FOLDER = resolve('bench-profiles');
const SECTION = 'Where the processor time of a request goes (with the profiler on)';
const CONNECTIONS = 50;
const HOTTEST = 12;
const PERCENT = 100;

export const profile: Case = {
  name: 'profile',
  title: `CPU profiles, into ${FOLDER}`,
  async run(how) {
    mkdirSync(FOLDER, { recursive: true });
    const seconds = how.quick ? 2 : 8;
    const startedAt = performance.now();
    const rows: Row[] = [];
    const sinceUs = (): number => (performance.now() - startedAt) * 1_000;
    let window: { readonly fromUs: number; readonly toUs: number };
    {
      await using peer = await startPeer('bulkhead', [], ['--cpu-prof', `--cpu-prof-dir=${FOLDER}`]);
      const target = peer.ready.ways['Bulkhead']?.hello;
      if (target === undefined) throw new Error('Bulkhead has no way to be asked');
      await load({ ...target, connections: CONNECTIONS, seconds: seconds / 2 });
      const fromUs = sinceUs();
      const before = new Map(tree(peer.pid).map(({ pid, cpuUs }) => [pid, cpuUs]));
      const { requests } = await load({ ...target, connections: CONNECTIONS, seconds });
      window = { fromUs, toUs: sinceUs() };
      const spent = tree(peer.pid).map(({ pid, cpuUs }) => ({
        own: pid === peer.pid,
        us: (cpuUs - (before.get(pid) ?? 0)) / requests,
      }));
      const sum = (own: boolean): number =>
        spent.filter((one) => one.own === own).reduce((total, { us }) => total + us, 0);
      rows.push(
        { section: SECTION, line: 'Server process', unit: 'µs a request', measured: single(sum(true)) },
        {
          section: SECTION,
          line: 'Runner and PostgreSQL',
          unit: 'µs a request',
          measured: single(sum(false)),
        },
      );
    }
    for (const { name, share } of hottest(FOLDER, window, HOTTEST))
      rows.push({
        section: SECTION,
        line: `of the server's: ${name}`,
        unit: '%',
        measured: single(share * PERCENT),
      });
    return rows;
  },
};
