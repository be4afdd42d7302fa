/**
 * One at a time changes the key file: a second one that had read it before would write back a list without the first one's key, and what
 * was sealed with that key meanwhile would be lost for good. A lock file is made exclusively and says who holds it; one whose
 * process is gone is taken away by renaming it, and put back if it turns out to be another's by then.
 */
import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '../../sandbox/contract/envelope.ts';

const WAIT_MS = 10_000;
const LOOK_MS = 50;

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

/** Whether what stands in a lock file was written by a process that is gone. Half written counts as alive: it was made just now. */
function isLeft(text: string): boolean {
  const [pid] = text.split(' ');
  return pid !== undefined && /^\d+$/.test(pid) && text.endsWith('\n') && !isAlive(Number(pid));
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
}

async function make(lock: string, token: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx', 0o600);
    await file.writeFile(`${token}\n`);
    await file.close();
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function clearLeft(lock: string): Promise<void> {
  if (!isLeft(await textOf(lock))) return;
  const aside = `${lock}.${randomUUID()}`;
  try {
    await rename(lock, aside);
    if (!isLeft(await textOf(aside))) await link(aside, lock);
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/**
 * Runs `work` while nobody else does. `held` says, right before what cannot be taken back, whether that is still so.
 * @throws HostError CONFLICT when another holds the lock for too long
 */
export async function whileLocked<T>(
  path: string,
  work: (held: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`;
  const token = `${process.pid} ${randomUUID()}`;
  const until = performance.now() + WAIT_MS;
  const busy = new HostError(
    'CONFLICT',
    `The key file is being changed by another command. If none runs, remove ${lock} and try again.`,
  );
  while (!(await make(lock, token))) {
    await clearLeft(lock);
    if (performance.now() > until) throw busy;
    await sleep(LOOK_MS);
  }
  const held = async (): Promise<void> => {
    if ((await textOf(lock)) !== `${token}\n`) throw busy;
  };
  try {
    return await work(held);
  } finally {
    if ((await textOf(lock)) === `${token}\n`) await rm(lock, { force: true });
  }
}
