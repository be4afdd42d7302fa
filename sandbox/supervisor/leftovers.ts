/**
 * Staging folders of hosts that were killed with -9. A folder's name says whose it is, so there is no moment at which that is not yet
 * written: the process's id and start time, which together are not used twice, and its pid namespace, since a container that shares
 * the temporary folder counts processes of its own. A folder that cannot be judged for certain is left alone.
 */
import { chmodSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const PREFIX = 'bulkhead-stage-';
const NAMED = /^bulkhead-stage-(\d+)-(\d+)-(\d+)-[A-Za-z0-9]{6}$/;
/** Where there is no /proc. */
const UNKNOWN = '0';

/** What this process's staging folder is to be called, up to the part that mkdtemp adds. */
export function stagePrefix(): string {
  return `${PREFIX}${process.pid}-${startTime(process.pid) ?? UNKNOWN}-${pidNamespace()}-`;
}

/** Removes the folders of dead processes of this user from `parent`. @returns their names */
export function sweepStages(parent: string): string[] {
  return readdirSync(parent).filter((name) => {
    const [, pid, started, namespace] = NAMED.exec(name) ?? [];
    if (pid === undefined || started === UNKNOWN || namespace !== pidNamespace()) return false;
    if (startTime(Number(pid)) === started) return false;
    const folder = join(parent, name);
    try {
      const stat = lstatSync(folder);
      if (!stat.isDirectory() || stat.uid !== process.getuid?.()) return false;
      removeStage(folder);
      return true;
    } catch {
      // Another host that starts now was quicker.
      return false;
    }
  });
}

/** Removes a staging folder, which is read-only. Does nothing if it is gone. */
export function removeStage(folder: string): void {
  try {
    chmodSync(folder, 0o755);
  } catch {
    return;
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Field 22 of /proc/<pid>/stat: when the process started, in ticks since the machine did. Undefined if there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const AFTER_COMMAND = 2;
    const START_TIME = 22;
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + AFTER_COMMAND).split(' ')[START_TIME - AFTER_COMMAND - 1];
  } catch {
    return undefined;
  }
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}
