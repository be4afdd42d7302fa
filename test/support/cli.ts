/**
 * `bulkhead …` as a person starts it: a process of its own with its own environment, in a process group of its own as a terminal makes
 * it, and a look at which processes it has begun.
 */
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const START_MS = 30_000;

export interface CliOptions {
  /** What is run instead of this checkout's own command. */
  readonly main?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Cli extends AsyncDisposable {
  readonly pid: number;
  /** What it has said so far, on both outputs. */
  said(): string;
  /** The first match of what it says, now or later. @throws Error with its words when it ends before */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<Ended>;
  /** To the whole process group: what Ctrl-C does. */
  interrupt(): void;
  kill(signal: NodeJS.Signals): void;
}

/** Runs it with nothing of this process's environment but where programs are. */
export function startCli(args: readonly string[], options: CliOptions = {}): Cli {
  const { env = {}, main = MAIN, ...how } = options;
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    ...how,
    env: { PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      said += part;
    });
  let end: Ended | undefined;
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    // 'close', not 'exit': by then its last words have been read.
    child.once('close', (code, signal) => {
      end = { code, signal };
      resolve(end);
    });
  });
  const pid = child.pid ?? 0;
  const says = (pattern: RegExp): Promise<RegExpExecArray> =>
    until(
      `the process to say ${pattern}`,
      async () => {
        const match = pattern.exec(said);
        if (match !== null) return match;
        if (end !== undefined) throw new Error(`it ended with ${end.code ?? end.signal} and said:\n${said}`);
        return undefined;
      },
      START_MS,
    );
  const kill = (signal: NodeJS.Signals): void => void (end ?? child.kill(signal));
  return {
    pid,
    said: () => said,
    says,
    ended,
    interrupt: () => void process.kill(-pid, 'SIGINT'),
    kill,
    [Symbol.asyncDispose]: async () => {
      kill('SIGKILL');
      await ended;
    },
  };
}

/** A process, told from a later one of the same number by what it runs. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  readonly command: string;
}

export function processes(): Process[] {
  const table = execFileSync('ps', ['-Ao', 'pid=,ppid=,uid=,args='], { encoding: 'utf8' });
  return table.split('\n').flatMap((line) => {
    const [, pid, parent, uid, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return command === undefined
      ? []
      : [{ pid: Number(pid), parent: Number(parent), uid: Number(uid), command }];
  });
}

/** Everything that a process began, and what that began. To be asked while it lives. */
export function descendants(pid: number): Process[] {
  const all = processes();
  const found: Process[] = [];
  const parents = new Set([pid]);
  for (let size = 0; size !== parents.size;) {
    size = parents.size;
    for (const each of all)
      if (parents.has(each.parent) && !parents.has(each.pid)) {
        parents.add(each.pid);
        found.push(each);
      }
  }
  return found;
}

/** Waits until none of these processes is left. @throws Error that names those that are */
export async function allGone(before: readonly Process[]): Promise<void> {
  const left = (): Process[] =>
    processes().filter(({ pid, command }) =>
      before.some((old) => old.pid === pid && old.command === command && !command.includes('<defunct>')),
    );
  try {
    await until('its processes to end', async () => left().length === 0);
  } catch (cause) {
    throw new Error(`still there: ${JSON.stringify(left())}`, { cause });
  }
}
