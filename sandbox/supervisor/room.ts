/**
 * Which runner processes have to go when there are too many, or when all of them together hold too much memory: those that nobody uses
 * now, the one that was used longest ago first. What runs is never ended to make room.
 */
import { totalmem } from 'node:os';
import { LIMITS } from '../contract/limits.ts';

export interface Occupant {
  readonly isIdle: boolean;
  readonly lastUsedAt: number;
  /** Memory that is freed when it ends. */
  readonly ownBytes: number;
}

export interface Room {
  readonly processes: number;
  readonly bytes: number;
}

/** Who must go so that the others fit. They may still be too many, if all that is left is in use. */
export function tooMany<T extends Occupant>(occupants: readonly T[], room: Room): T[] {
  let count = occupants.length;
  let bytes = occupants.reduce((sum, { ownBytes }) => sum + ownBytes, 0);
  const idle = occupants.filter(({ isIdle }) => isIdle).sort((a, b) => a.lastUsedAt - b.lastUsedAt);
  return idle.filter((occupant) => {
    if (count <= room.processes && bytes <= room.bytes) return false;
    count--;
    bytes -= occupant.ownBytes;
    return true;
  });
}

/** What all runners together may hold on this machine, or in this container. */
export function memoryForRunners(): number {
  const constrained = process.constrainedMemory();
  const machine = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.max(LIMITS.runnersMinMb * 1_048_576, (machine * LIMITS.runnersMemoryPercent) / 100);
}
