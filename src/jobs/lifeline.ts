/**
 * How others know that a worker lives, and how it hears of cancelled tasks. One connection of its own holds an advisory lock and
 * writes a heartbeat. Only a worker that missed its beats *and* lost its lock is dead: one that is merely slow, or stopped in a
 * debugger, keeps the lock with its connection, and its tasks are not run a second time elsewhere.
 * The other way round, a worker that has lost this connection for too long must expect to be taken for dead: it interrupts
 * what it runs (`onLost`), and the fence on the attempt's row keeps it from writing a late result.
 */
import { hostname } from 'node:os';
import { Client } from 'pg';

import { forPg } from '../database/endpoint.ts';
import type { PgEndpoint } from '../database/endpoint.ts';
import { CANCEL_CHANNEL } from './control.ts';
import type { JobTiming } from './limits.ts';
import { LOCKS } from './locks.ts';
import { reasonOf } from './log.ts';
import type { JobLog } from './log.ts';
import { startLoop } from './loop.ts';

export interface LifelineOptions {
  readonly endpoint: PgEndpoint;
  /** The id of the graphile-worker pool, which is what its jobs are locked by. */
  readonly workerId: string;
  readonly timing: JobTiming;
  readonly onCancelled: (taskId: string) => void;
  /** The connection is gone for so long that another may take over. */
  readonly onLost: () => void;
  readonly log: JobLog;
}

export interface Lifeline {
  /** Resolves once the worker is registered and locked: not before may it run anything. */
  readonly ready: Promise<void>;
  /** Takes the worker off the list and closes the connection. */
  stop(): Promise<void>;
}

/** A machine that vanished without a word is noticed by PostgreSQL after about half a minute, and its lock is free. */
const KEEPALIVE =
  'set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3';

async function open(options: LifelineOptions, onGone: (client: Client) => void): Promise<Client> {
  const { endpoint, workerId, timing } = options;
  const client = new Client({
    ...forPg(endpoint),
    application_name: 'bulkhead worker',
    connectionTimeoutMillis: timing.beatMs,
    query_timeout: timing.beatMs,
  });
  client.on('error', () => onGone(client));
  client.on('end', () => onGone(client));
  client.on('notification', ({ payload }) => {
    if (payload !== undefined) options.onCancelled(payload);
  });
  try {
    await client.connect();
    await client.query(KEEPALIVE);
    await client.query('select pg_advisory_lock($1, hashtext($2))', [LOCKS.worker, workerId]);
    await client.query(`listen ${CANCEL_CHANNEL}`);
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

const BEAT = `
  insert into workers (id, host, pid) values ($1, $2, $3)
  on conflict (id) do update set heartbeat_at = now()`;

/** Registers a worker and keeps it registered until stopped. Never rejects: it goes on trying. */
export function startLifeline(options: LifelineOptions): Lifeline {
  const { workerId, timing, log } = options;
  const ready = Promise.withResolvers<void>();
  let client: Client | undefined;
  let aliveAt = performance.now();

  const drop = (gone: Client): void => {
    if (client === gone) client = undefined;
  };
  const round = async (): Promise<void> => {
    try {
      client ??= await open(options, drop);
      await client.query(BEAT, [workerId, hostname(), process.pid]);
      aliveAt = performance.now();
      ready.resolve();
    } catch (error) {
      const broken = client;
      client = undefined;
      broken?.end().catch(() => {});
      if (performance.now() - aliveAt > timing.beatMs * (timing.beatsMissed - 1)) options.onLost();
      log('warning', `A heartbeat could not be written: ${reasonOf(error)}`);
    }
  };
  const beats = startLoop('heartbeat', timing.beatMs, round, log);
  return {
    ready: ready.promise,
    stop: async () => {
      await beats.stop();
      const last = client;
      client = undefined;
      await last?.query('delete from workers where id = $1', [workerId]).catch(() => {});
      await last?.end().catch(() => {});
      ready.resolve();
    },
  };
}
