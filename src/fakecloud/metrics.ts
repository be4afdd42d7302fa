/**
 * A believable load curve for a server: a slow wave, a quicker one and some noise, all derived from the server's id and the
 * time, so that the same minute reads the same on every look and a chart does not jump when the page is loaded again.
 */
import type { Droplet } from './droplet-store.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';

const STEP_S = 60;

export interface Metrics {
  readonly step_seconds: number;
  readonly unit: Readonly<Record<string, string>>;
  /** Name of the series → points `[unix seconds, value]`, oldest first. */
  readonly series: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

/** The last `minutes` of a droplet, one point a minute; none while it is off or not there yet. */
export function metricsOf(droplet: Droplet, minutes: number, nowMs: number): Metrics {
  const lastS = Math.floor(nowMs / 1000 / STEP_S) * STEP_S;
  const points = droplet.status === 'active' ? Math.min(minutes, FAKECLOUD_LIMITS.metricsPoints) : 0;
  const times = Array.from({ length: points }, (_, index) => lastS - (points - 1 - index) * STEP_S);
  const series = (salt: number, base: number, swing: number) =>
    times.map((timeS) => [timeS, round(base + swing * wave(droplet.id + salt, timeS))] as const);
  return {
    step_seconds: STEP_S,
    unit: { cpu: '%', memory: '%', bandwidth_in: 'Mbit/s', bandwidth_out: 'Mbit/s' },
    series: {
      cpu: series(1, 28, 24),
      memory: series(2, 55, 8),
      bandwidth_in: series(3, 3, 2.5),
      bandwidth_out: series(4, 9, 8),
    },
  };
}

export interface Used {
  readonly used: number;
  readonly limit: number;
}

/** What a droplet uses of its disk and of a month's traffic: more from hour to hour, and never all of it. */
export function usageOf(droplet: Droplet, nowMs: number): Readonly<Record<'disk_gb' | 'bandwidth_gb', Used>> {
  const { disk, transfer } = droplet.size;
  const hours = (nowMs - droplet.createdMs) / 3_600_000;
  const part = 1 - Math.exp(-hours / 240);
  const limit = transfer * 1_000;
  return {
    disk_gb: { used: round(disk * (0.12 + 0.6 * part)), limit: disk },
    bandwidth_gb: { used: round(limit * (0.02 + 0.7 * part)), limit },
  };
}

/** Between -1 and 1. */
function wave(seed: number, timeS: number): number {
  const slow = Math.sin(timeS / 2_700 + seed);
  const quick = Math.sin(timeS / 410 + seed * 3);
  return 0.55 * slow + 0.25 * quick + 0.2 * noise(seed, timeS);
}

/** Between -1 and 1, the same for the same input: a multiplicative hash of both numbers. */
function noise(seed: number, timeS: number): number {
  const mixed = Math.imul(seed ^ Math.imul(timeS / STEP_S, 0x9e3779b1), 0x85ebca6b);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x7fffffff - 1;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
