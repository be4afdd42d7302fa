/**
 * compute: processor time, memory and lines of log that one invocation may use. Every module has the host's defaults without
 * asking; naming them in the manifest makes them lines of the consent page, where an admin may lower them.
 */
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';

const MIN_HEAP_MB = 16;

export const compute = capability({
  title: 'Computing',
  doc: 'Processor time and memory of the sandbox.',
  icon: 'microchip',
  inherent: true,
  grant: {
    memory_mb: {
      sort: 'amount',
      doc: `Heap of the module’s isolate; at least ${MIN_HEAP_MB} MB are always there.`,
      risk: 'low',
      unit: 'MB of memory',
      fallback: LIMITS.isolateHeapMb,
      max: LIMITS.isolateHeapMb,
      words: (n: number) => `Use up to ${n} MB of memory.`,
    },
    request_cpu_ms: {
      sort: 'amount',
      doc: 'Processor time of one page, form or webhook.',
      risk: 'low',
      unit: 'ms of processor time a request',
      fallback: LIMITS.requestCpuHardMs,
      max: LIMITS.requestCpuHardMs,
      words: (n: number) => `Compute for up to ${n} ms to answer one request.`,
    },
    job_cpu_ms: {
      sort: 'amount',
      doc: 'Processor time of one job.',
      risk: 'low',
      unit: 'ms of processor time a job',
      fallback: LIMITS.jobCpuHardMs,
      max: LIMITS.jobCpuHardMs,
      words: (n: number) => `Compute for up to ${n} ms in one background job.`,
    },
    log_lines: {
      sort: 'amount',
      doc: 'Lines of log a second.',
      risk: 'low',
      unit: 'log lines a second',
      fallback: LIMITS.logLinesPerSecond,
      max: LIMITS.logLinesPerSecond,
      words: (n: number) => `Write up to ${n} lines of log a second.`,
    },
  },
  ops: {},
});

/** The heap that is set, whatever was granted: below this not even the runtime fits. */
export function heapMbOf(granted: number | undefined): number {
  return Math.min(LIMITS.isolateHeapMb, Math.max(MIN_HEAP_MB, granted ?? LIMITS.isolateHeapMb));
}
