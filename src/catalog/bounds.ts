/**
 * What one invocation may use: the host's limits by purpose, narrowed by what the admin left of them (capability `compute`). Nothing
 * widens a limit.
 */
import * as v from 'valibot';
import { heapMbOf } from '../../sandbox/contract/capabilities/compute.ts';
import type { Grants } from '../../sandbox/contract/grant.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { InvocationLimits } from '../../sandbox/contract/wire.ts';
import type { Purpose } from '../brokers/broker.ts';

export interface Bounds {
  readonly wallMs: number;
  /** A warning in the log. */
  readonly cpuSoftMs: number;
  readonly limits: InvocationLimits;
}

const Narrowed = v.object({
  memory_mb: v.optional(v.number()),
  request_cpu_ms: v.optional(v.number()),
  job_cpu_ms: v.optional(v.number()),
});
type Narrowed = v.InferOutput<typeof Narrowed>;

/** A request answers a person and is short; what works in the background may take its time. */
const BY_PURPOSE: Readonly<
  Record<Purpose, { wallMs: number; cpuHardMs: number; cpuSoftMs: number; narrowedBy: keyof Narrowed }>
> = {
  request: {
    wallMs: LIMITS.requestWallMs,
    cpuHardMs: LIMITS.requestCpuHardMs,
    cpuSoftMs: LIMITS.requestCpuSoftMs,
    narrowedBy: 'request_cpu_ms',
  },
  delivery: {
    wallMs: LIMITS.requestWallMs,
    cpuHardMs: LIMITS.requestCpuHardMs,
    cpuSoftMs: LIMITS.requestCpuSoftMs,
    narrowedBy: 'request_cpu_ms',
  },
  job: {
    wallMs: LIMITS.jobWallMs,
    cpuHardMs: LIMITS.jobCpuHardMs,
    cpuSoftMs: LIMITS.jobCpuSoftMs,
    narrowedBy: 'job_cpu_ms',
  },
  lifecycle: {
    wallMs: LIMITS.lifecycleWallMs,
    cpuHardMs: LIMITS.jobCpuHardMs,
    cpuSoftMs: LIMITS.jobCpuSoftMs,
    narrowedBy: 'job_cpu_ms',
  },
  declare: {
    wallMs: LIMITS.declareWallMs,
    cpuHardMs: LIMITS.requestCpuHardMs,
    cpuSoftMs: LIMITS.requestCpuSoftMs,
    narrowedBy: 'request_cpu_ms',
  },
};

/** Grants are the same object until something of an installation changes. */
const narrowed = new WeakMap<Grants, Narrowed>();

function narrowedOf(grants: Grants): Narrowed {
  const known = narrowed.get(grants);
  if (known !== undefined) return known;
  const parsed = v.parse(Narrowed, grants['compute'] ?? {});
  narrowed.set(grants, parsed);
  return parsed;
}

/** @param wallMs a shorter or longer wall time than the purpose's own, for example a job's timeout */
export function boundsOf(purpose: Purpose, grants: Grants, wallMs?: number): Bounds {
  const host = BY_PURPOSE[purpose];
  const granted = narrowedOf(grants)[host.narrowedBy];
  const cpuHardMs = Math.max(1, Math.min(host.cpuHardMs, granted ?? host.cpuHardMs));
  return {
    wallMs: wallMs ?? host.wallMs,
    cpuSoftMs: Math.min(host.cpuSoftMs, cpuHardMs),
    limits: {
      entryMs: Math.min(LIMITS.entryMs, cpuHardMs),
      cpuHardMs,
      callsInFlight: LIMITS.callsInFlight,
      calls: LIMITS.callsPerInvocation,
    },
  };
}

/** The heap of an installation's isolate, in MB. */
export function heapMb(grants: Grants): number {
  return heapMbOf(narrowedOf(grants).memory_mb);
}
