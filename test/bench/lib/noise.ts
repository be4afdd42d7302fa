/**
 * When a round counts. The same small loop runs before and after each measurement: if the machine gave it much less the second time, or
 * the other way round, it was not the same machine. Others' load and time stolen by a hypervisor are read from /proc besides.
 */
import { machineTime, treeCpuUs } from './machine.ts';

export const NOISE = Object.freeze({
  /** The loop before and after may differ by so much. */
  calibrationShare: 0.15,
  /** Processor time of others, as a share of one core. */
  othersShare: 0.1,
  /** Time that a hypervisor kept, as a share of one core. */
  stolenShare: 0.05,
});

const LOOP = 4_000_000;
const LOOPS = 3;

/** Milliseconds for a fixed amount of work; the best of three, as a pause of ours is not the machine's. */
export function calibrate(): number {
  const times: number[] = [];
  for (let round = 0; round < LOOPS; round++) {
    const startedAt = performance.now();
    let mixed = 1;
    for (let step = 0; step < LOOP; step++) mixed = (Math.imul(mixed, 1_103_515_245) + 12_345) | 0;
    times.push(performance.now() - startedAt + (mixed === 0 ? 1e-9 : 0));
  }
  return Math.min(...times);
}

export interface Watched<T> {
  readonly value: T;
  /** Why the round does not count; undefined if it does. */
  readonly noise: string | undefined;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** Runs a measurement and says whether the machine was ours meanwhile. */
export async function watched<T>(measure: () => Promise<T>): Promise<Watched<T>> {
  const loopBefore = calibrate();
  const machineBefore = machineTime();
  const oursBefore = treeCpuUs(process.pid);
  const startedAt = performance.now();
  const value = await measure();
  const wallUs = (performance.now() - startedAt) * 1_000;
  const machineAfter = machineTime();
  const ours = Math.max(0, treeCpuUs(process.pid) - oursBefore);
  const others = Math.max(0, machineAfter.busyUs - machineBefore.busyUs - ours) / wallUs;
  const stolen = (machineAfter.stolenUs - machineBefore.stolenUs) / wallUs;
  const drift = Math.abs(calibrate() / loopBefore - 1);
  const noise =
    drift > NOISE.calibrationShare
      ? `the machine's speed changed by ${percent(drift)}`
      : others > NOISE.othersShare
        ? `others used ${percent(others)} of a core`
        : stolen > NOISE.stolenShare
          ? `${percent(stolen)} of a core was stolen`
          : undefined;
  return { value, noise };
}
