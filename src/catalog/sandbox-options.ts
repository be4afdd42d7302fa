/** What the operator decides about all sandbox processes together, and what the machine decides about their uids. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { SandboxOptions } from '../../sandbox/supervisor/sandbox.ts';
import type { RunnerIds } from './runner-ids.ts';

const MEMORY = 'BULKHEAD_SANDBOX_MEMORY_MB';

export interface SandboxWishes {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runnerIds: RunnerIds;
  /** Whether one process waits for the next tenant. */
  readonly spareRunner: boolean;
}

/** @throws HostError BAD_INPUT for a number that is none */
export function sandboxOptions({ env, runnerIds, spareRunner }: SandboxWishes): SandboxOptions {
  return {
    ownUids: runnerIds.ownUids,
    memoryBytes: memoryBytes(env[MEMORY] ?? ''),
    ...(spareRunner ? { spare: runnerIds.spare } : {}),
  };
}

function memoryBytes(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new HostError('BAD_INPUT', `${MEMORY} must be a number of megabytes such as 4096.`);
  return Number(text) * 1_048_576;
}
