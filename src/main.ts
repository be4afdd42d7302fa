/**
 * The server: createBulkhead behind an HTTP listener, with workers, until a signal ends it. `serve` answers browsers, `work` runs jobs;
 * both by default. Many such processes may share one PostgreSQL.
 */
import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError } from '../sandbox/contract/envelope.ts';
import { type Bulkhead, type BulkheadOptions, createBulkhead, type LogLevel } from './host.ts';
import type { JobTiming } from './jobs/limits.ts';

export interface ServerOptions {
  readonly dataDir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where browsers reach the panel; derived from host and port if absent. */
  readonly publicUrl?: string | undefined;
  readonly databaseUrl?: string | undefined;
  readonly modulesDatabaseUrl?: string | undefined;
  readonly roles: { readonly serve: boolean; readonly work: boolean };
  readonly concurrency?: number;
  readonly log: (level: LogLevel, message: string, detail?: unknown) => void;
  /** What follows when the server cannot go on; by default the process ends with this code. */
  readonly exit?: (code: number) => void;
  /** For the fault harness. */
  readonly checkpoint?: BulkheadOptions['checkpoint'];
  readonly timing?: Partial<JobTiming>;
}

export interface Server {
  readonly bulkhead: Bulkhead;
  /** Where the panel answers; undefined for a process that only works. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

/** Starts everything, or nothing: what was started is stopped again if a later part fails. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const listening = options.roles.serve ? await listen(options) : undefined;
  const url = options.publicUrl ?? `http://${options.host}:${listening?.port ?? options.port}`;
  let bulkhead: Bulkhead;
  try {
    const { checkpoint, ...rest } = options;
    bulkhead = await createBulkhead({
      spareRunner: true,
      ...rest,
      publicUrl: url,
      ...(checkpoint === undefined ? {} : { checkpoint }),
    });
  } catch (error) {
    await listening?.close();
    throw error;
  }
  try {
    listening?.handle((request, env) => bulkhead.app.fetch(request, env));
    if (options.roles.work)
      await bulkhead.startWorker({
        ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
        ...(options.timing === undefined ? {} : { timing: options.timing }),
      });
  } catch (error) {
    await listening?.close();
    await bulkhead.close();
    throw error;
  }
  let closing = false;
  const close = async (): Promise<void> => {
    closing = true;
    await listening?.close();
    await bulkhead.close();
  };
  const watch = async (): Promise<void> => {
    await bulkhead.databases.lost;
    if (!closing) await giveUp(options, close);
  };
  void watch();
  return { bulkhead, url: listening === undefined ? undefined : url, close };
}

const GIVE_UP_MS = 10_000;
const FAILED = 1;

/**
 * The embedded PostgreSQL ended on its own: killed, out of memory, a full disk. The server ends too, for whoever watches over it to start
 * it again: the way back is then the same as after any other crash, and there is only that one.
 */
async function giveUp(options: ServerOptions, close: () => Promise<void>): Promise<void> {
  options.log(
    'error',
    'PostgreSQL has ended unexpectedly; its last words are above. The server stops. Start it again: nothing that was saved is lost, and what was under way goes on.',
  );
  const closed = close().catch((error: unknown) => options.log('warning', 'while stopping', error));
  await Promise.race([closed, sleep(GIVE_UP_MS, undefined, { ref: false })]);
  const exit = options.exit ?? ((code: number) => process.exit(code));
  exit(FAILED);
}

type Handle = (request: Request, env: object) => Response | Promise<Response>;

interface Listening {
  readonly port: number;
  handle(handler: Handle): void;
  close(): Promise<void>;
}

/** Listens first, so that a taken port is told before a database is started; until the host is up, it answers 503. */
async function listen(options: ServerOptions): Promise<Listening> {
  let handler: Handle = () => new Response('Starting …', { status: 503, headers: { 'retry-after': '1' } });
  return new Promise((resolve, reject) => {
    const server = serve(
      { fetch: (request, env) => handler(request, env), hostname: options.host, port: options.port },
      (address: AddressInfo) => {
        resolve({
          port: address.port,
          handle: (next) => {
            handler = next;
          },
          close: () =>
            new Promise((done) => {
              server.close(() => done());
              if ('closeAllConnections' in server) server.closeAllConnections();
            }),
        });
      },
    );
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const text =
        cause.code === 'EADDRINUSE'
          ? `Port ${options.port} is in use; choose another with --port.`
          : `Cannot listen on ${options.host}:${options.port}: ${cause.message}`;
      reject(new HostError('CONFLICT', text, { cause }));
    });
  });
}
