/**
 * Bulkhead as it ships: HTTP, session, permission, runner process, isolate, fresh evaluation, metering, and back. With the argument
 * 'mixed' it also runs jobs, queries, views and requests of modules, some each second, for several tenants; a line on its input is
 * answered with what it holds.
 */
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { enqueueTask } from '../../../src/jobs/queue.ts';
import { startBenchHost } from '../lib/host.ts';
import type { Holding } from '../lib/peer.ts';
import { announce } from './work.ts';

const JOBS_EACH = 5;
const EVERY_MS = 500;
const TENANTS = 3;

const mixed = process.argv[2] === 'mixed';
const host = await startBenchHost(mixed ? { concurrency: 10 } : {});
const { bulkhead } = host.server;
const installations = [host.installationId];
if (mixed) while (installations.length < TENANTS) installations.push((await host.addTenant()).installationId);
let jobs = 0;
let invocations = 0;

async function invoke(installationId: string, method: string, ...args: readonly unknown[]): Promise<void> {
  await bulkhead.invoker.invoke({
    installationId,
    purpose: 'request',
    calls: [{ target: { on: 'module' }, method, args }],
  });
  invocations++;
}

async function addWork(): Promise<void> {
  for (const installationId of installations) {
    for (let number = 0; number < JOBS_EACH; number++)
      await enqueueTask(bulkhead.panel.db, {
        installationId,
        method: 'noopJob',
        params: { number: ++jobs },
      });
    await invoke(installationId, 'query', 8, 4);
    await invoke(installationId, 'table', 1);
    await invoke(installationId, 'ask', host.otherUrl, 2, 2);
  }
}

function holding(): Holding {
  const runners = bulkhead.sandbox.stats();
  return {
    runners: runners.map(({ pid }) => pid),
    isolates: runners.reduce((sum, { isolates }) => sum + isolates, 0),
    handles: process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    heapBytes: process.memoryUsage().heapUsed,
    jobs,
    invocations,
  };
}

/** One after the other: a slow machine does less, and nothing piles up. */
async function work(until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    await addWork();
    await sleep(EVERY_MS, undefined, { signal: until }).catch(() => undefined);
  }
}

const ended = new AbortController();
const working = mixed ? work(ended.signal) : Promise.resolve();
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'collect') globalThis.gc?.();
  process.stdout.write(`${JSON.stringify(holding())}\n`);
});
announce({ ways: { Bulkhead: await host.targets() } }, async () => {
  ended.abort();
  await working;
  await host[Symbol.asyncDispose]();
});
