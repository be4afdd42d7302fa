/**
 * How a runner process is started with as few rights as this machine can take from it. Node's own switches come first; around them, where
 * Linux and util-linux have it: an empty network namespace (`--permission` does not block sockets), no capability and no way to gain one,
 * no core dump, no file that grows, and death with its parent. What could not be had is listed, for doctor and for the log: a wall that
 * is missing must be seen.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Stage } from './stage.ts';

/** What keeps runners in, besides Node's permission model. */
export interface Isolation {
  /** Each group's runner has a uid that nothing else has. */
  readonly ownUids: boolean;
  /** Runners see no network at all. */
  readonly noNetwork: boolean;
  /** The kernel kills runners when this process dies, whatever they are busy with. */
  readonly diesWithParent: boolean;
  /** What is missing here and how to get it: one sentence each, none if all is well. */
  readonly missing: readonly string[];
}

export interface LaunchOptions {
  readonly stage: Pick<Stage, 'node' | 'folder'>;
  /** A uid of its own for the process; absent: this process's. */
  readonly uid?: number;
  /** Slower and without a just-in-time compiler: fewer ways for an engine fault to be used. */
  readonly jitless?: boolean;
  /** In the staging folder. */
  readonly script?: string;
}

export interface Launcher {
  readonly isolation: Isolation;
  /** Descriptor 3 is a socket, 4 is `markFd`, standard error is a pipe; there is no other and no environment. */
  start(options: LaunchOptions, markFd: number): ChildProcess;
}

type Wrapper = readonly string[];

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
/** The file with the mark has four bytes; nothing else that a runner holds could be written to. */
const FILE_BYTES = 4_096;
const PROBE_TIMEOUT_MS = 2_000;

/** Looks once what can be had. @param ownUids whether runners get uids of their own (then this process is root) */
export function createLauncher(ownUids: boolean): Launcher {
  const network = firstThatWorks(networkWrappers());
  const limits = firstThatWorks([wrapper('prlimit', `--fsize=${FILE_BYTES}`, '--core=0', '--')]);
  const rights = firstThatWorks([wrapper('setpriv', ...rightsArguments(ownUids ? 0 : undefined), '--')]);
  const before = [...(network ?? []), ...(limits ?? [])];
  return {
    isolation: {
      ownUids,
      noNetwork: network !== undefined,
      diesWithParent: rights !== undefined,
      missing: missing(ownUids, network, rights),
    },
    start(options, markFd) {
      const own = options.uid;
      const drop = rights && wrapper('setpriv', ...rightsArguments(own), '--');
      const [file = '', ...args] = [
        ...before,
        ...(drop ?? []),
        options.stage.node,
        ...nodeArguments(options),
      ];
      return spawn(file, args, {
        cwd: options.stage.folder,
        env: {},
        stdio: ['ignore', 'ignore', 'pipe', 'pipe', markFd],
        detached: true,
        ...(drop !== undefined || own === undefined ? {} : { uid: own, gid: own }),
      });
    },
  };
}

function nodeArguments({ stage, jitless, script = 'runner.mjs' }: LaunchOptions): string[] {
  return [
    '--permission',
    '--allow-addons',
    `--allow-fs-read=${stage.folder}`,
    '--no-node-snapshot',
    '--disable-sigusr1',
    '--no-warnings',
    ...(jitless === true ? ['--jitless'] : []),
    join(stage.folder, script),
  ];
}

/** As root a namespace of the network alone; else one of users as well, where the kernel lets anybody make it. */
function networkWrappers(): (Wrapper | undefined)[] {
  return [
    wrapper('unshare', '--net', '--'),
    wrapper('unshare', '--user', '--map-current-user', '--net', '--'),
  ];
}

function rightsArguments(uid: number | undefined): string[] {
  return [
    ...(uid === undefined
      ? []
      : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all']),
    '--pdeathsig=KILL',
    '--no-new-privs',
  ];
}

function wrapper(tool: string, ...args: readonly string[]): Wrapper | undefined {
  const found = FOLDERS.map((folder) => join(folder, tool)).find(mayRun);
  return found === undefined ? undefined : [found, ...args];
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Tries each on a program that does nothing: tools of the same name differ, and containers forbid what kernels allow. */
function firstThatWorks(wrappers: readonly (Wrapper | undefined)[]): Wrapper | undefined {
  return wrappers.find((candidate) => {
    if (process.platform !== 'linux' || candidate === undefined) return false;
    const [file = '', ...args] = candidate;
    const { status } = spawnSync(file, [...args, '/bin/sh', '-c', ':'], {
      env: {},
      stdio: 'ignore',
      timeout: PROBE_TIMEOUT_MS,
    });
    return status === 0;
  });
}

function missing(
  ownUids: boolean,
  network: Wrapper | undefined,
  rights: Wrapper | undefined,
): readonly string[] {
  return [
    ...(ownUids
      ? []
      : [
          'Sandbox processes run under the host’s own uid: code that broke out of one could read what the host can read. Start the host as root on Linux.',
        ]),
    ...(network !== undefined
      ? []
      : [
          'Sandbox processes are not cut off from the network: code that broke out of one could open connections. Start the host as root on Linux with unshare (util-linux) and CAP_SYS_ADMIN, or keep its network apart.',
        ]),
    ...(rights !== undefined
      ? []
      : [
          'Sandbox processes may outlive a host that is killed, for as long as a module keeps one busy. Install setpriv (util-linux).',
        ]),
  ];
}
