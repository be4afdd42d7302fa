import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { boundsOf, heapMb } from '../../src/catalog/bounds.ts';

describe('the bounds of an invocation', () => {
  it('are the host’s where nothing was granted', () => {
    expect(boundsOf('request', {})).toMatchObject({
      wallMs: LIMITS.requestWallMs,
      limits: { cpuHardMs: LIMITS.requestCpuHardMs, entryMs: LIMITS.entryMs },
    });
    expect(boundsOf('job', {}).limits.cpuHardMs).toBe(LIMITS.jobCpuHardMs);
    expect(heapMb({})).toBe(LIMITS.isolateHeapMb);
  });

  it('are narrowed by the grant, each purpose by its own', () => {
    const grants = { compute: { request_cpu_ms: 100, job_cpu_ms: 3_000, memory_mb: 32 } };
    expect(boundsOf('request', grants)).toMatchObject({
      cpuSoftMs: 100,
      limits: { cpuHardMs: 100, entryMs: 100 },
    });
    expect(boundsOf('lifecycle', grants).limits).toMatchObject({ cpuHardMs: 3_000, entryMs: 2_000 });
    expect(heapMb(grants)).toBe(32);
  });

  it('are never widened by one', () => {
    const grants = { compute: { request_cpu_ms: 1e9, job_cpu_ms: 1e9, memory_mb: 1e9 } };
    expect(boundsOf('request', grants).limits.cpuHardMs).toBe(LIMITS.requestCpuHardMs);
    expect(heapMb(grants)).toBe(LIMITS.isolateHeapMb);
  });

  it('never leave nothing to run with', () => {
    expect(boundsOf('request', { compute: { request_cpu_ms: 0 } }).limits.cpuHardMs).toBeGreaterThan(0);
    expect(heapMb({ compute: { memory_mb: 0 } })).toBeGreaterThanOrEqual(16);
  });

  it('take a job’s own timeout as wall time', () => {
    expect(boundsOf('job', {}, 5_000).wallMs).toBe(5_000);
  });
});
