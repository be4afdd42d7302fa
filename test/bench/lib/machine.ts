/** What /proc says: the machine's name and size, and the processor time and memory of a process with all its children. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';

/** Linux counts processor time in ticks of 10 ms. */
const TICK_US = 10_000;
const KIB = 1_024;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Its own and that of children that have ended: a load that is over must not look like somebody else's. */
  readonly cpuUs: number;
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command stands in brackets and may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      pid,
      parent: Number(fields[1]),
      cpuUs: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_US,
    };
  } catch {
    return undefined;
  }
}

/** A process and all below it, whoever started them. */
export function tree(root: number): readonly Stat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
  const inside = new Set([root]);
  for (let before = 0; before !== inside.size;) {
    before = inside.size;
    for (const stat of all) if (inside.has(stat.parent)) inside.add(stat.pid);
  }
  return all.filter((stat) => inside.has(stat.pid));
}

export function treeCpuUs(root: number): number {
  return tree(root).reduce((sum, stat) => sum + stat.cpuUs, 0);
}

export interface Memory {
  readonly rssBytes: number;
  /** Shared pages counted in parts: what the process adds to the machine. */
  readonly pssBytes: number;
}

export function memoryOf(pid: number): Memory {
  const read = (file: string, name: string): number => {
    try {
      const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
        readFileSync(`/proc/${pid}/${file}`, 'utf8'),
      );
      return Number(found?.[1] ?? 0) * KIB;
    } catch {
      return 0;
    }
  };
  return { rssBytes: read('status', 'VmRSS'), pssBytes: read('smaps_rollup', 'Pss') };
}

export interface MachineTime {
  readonly totalUs: number;
  readonly busyUs: number;
  readonly stolenUs: number;
}

/** Processor time of the whole machine since it started. */
export function machineTime(): MachineTime {
  const [, user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = (
    readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? ''
  )
    .split(/\s+/)
    .map(Number);
  const busy = user + nice + system + irq + soft;
  return {
    totalUs: (busy + idle + wait + steal) * TICK_US,
    busyUs: busy * TICK_US,
    stolenUs: steal * TICK_US,
  };
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
}

export function machine(): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / KIB ** 3),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
  };
}
