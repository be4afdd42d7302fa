/** Bulkhead as it ships: HTTP, session, permission, runner process, isolate, fresh evaluation, metering, and back. */
import { startBenchHost } from '../lib/host.ts';
import { announce } from './work.ts';

const host = await startBenchHost();
announce({ ways: { Bulkhead: await host.targets() } }, () => host[Symbol.asyncDispose]());
