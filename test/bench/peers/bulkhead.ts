/**
 * Bulkhead as it ships: HTTP, session, permission, runner process, isolate, fresh evaluation, metering, and back. With the argument
 * 'mixed' it also runs jobs, some each second; a line on its input is answered with what it holds.
 */
import { createInterface } from 'node:readline';
import { enqueueTask } from '../../../src/jobs/queue.ts';
import { startBenchHost } from '../lib/host.ts';
import type { Holding } from '../lib/peer.ts';
import { announce } from './work.ts';

const JOBS_EACH = 5;
const JOBS_EVERY_MS = 500;

const mixed = process.argv[2] === 'mixed';
const host = await startBenchHost(mixed ? { concurrency: 10 } : {});
const { bulkhead } = host.server;
let jobs = 0;

async function addJobs(): Promise<void> {
  for (let number = 0; number < JOBS_EACH; number++)
    await enqueueTask(bulkhead.panel.db, {
      installationId: host.installationId,
      method: 'noopJob',
      params: { number: ++jobs },
    });
}

function holding(): Holding {
  const runners = bulkhead.sandbox.stats();
  return {
    runners: runners.map(({ pid }) => pid),
    isolates: runners.reduce((sum, { isolates }) => sum + isolates, 0),
    handles: process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length,
    jobs,
  };
}

const adding = mixed ? setInterval(() => void addJobs(), JOBS_EVERY_MS) : undefined;
createInterface({ input: process.stdin }).on('line', () => {
  process.stdout.write(`${JSON.stringify(holding())}\n`);
});
announce({ ways: { Bulkhead: await host.targets() } }, async () => {
  clearInterval(adding);
  await host[Symbol.asyncDispose]();
});
