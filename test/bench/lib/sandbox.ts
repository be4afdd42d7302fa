/** The sandbox alone, with the bench's module: no database, no tenant. */
import { fileURLToPath } from 'node:url';
import { splitContext } from '../../../sandbox/contract/invocation.ts';
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import type { LoadInput } from '../../../sandbox/contract/wire.ts';
import type { InvokeRequest } from '../../../sandbox/supervisor/sandbox.ts';
import { loadInputOf } from '../../../src/catalog/versions.ts';
import { readPackage } from '../../../src/store/package/read.ts';
import { BARE_CONTEXT } from '../../support/context.ts';
import { packFolder } from '../../support/modules.ts';

const MODULE = fileURLToPath(new URL('../modules/Plugin/Bench', import.meta.url));
const FIRST_UID = 300_000;
export const IS_ROOT = process.getuid?.() === 0;

export async function benchModule(): Promise<LoadInput> {
  return loadInputOf(await readPackage(await packFolder(MODULE)));
}

const { shared, context } = splitContext({
  ...BARE_CONTEXT,
  module: { type: 'Plugin', name: 'Bench', version: '1.0.0' },
  capabilities: ['logs', 'views', 'crypt'],
});

/** An empty call of installation `number` of a group. */
export function emptyCall(input: LoadInput, group: number, number: number): InvokeRequest {
  return {
    group: { key: `group-${group}`, ...(IS_ROOT ? { uid: FIRST_UID + group } : {}) },
    module: { key: `installation-${number}`, load: () => Promise.resolve(input) },
    input: {
      shared,
      context: { ...context, now: Date.now() },
      calls: [{ target: { on: 'module' }, method: 'empty', args: [] }],
    },
    limits: {
      entryMs: LIMITS.entryMs,
      cpuHardMs: LIMITS.requestCpuHardMs,
      callsInFlight: LIMITS.callsInFlight,
      calls: LIMITS.callsPerInvocation,
    },
    wallMs: LIMITS.requestWallMs,
    onCall: () => Promise.resolve({}),
    onNotify: () => undefined,
  };
}
