/**
 * Hears what other processes say on a channel of PostgreSQL, on a connection of its own that is opened again whenever it was lost. What was
 * said meanwhile went unheard: so a gap counts as a message.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

import { forPg } from './endpoint.ts';
import type { PgEndpoint } from './endpoint.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const AGAIN_MS = 500;

export interface Listening {
  close(): Promise<void>;
}

/**
 * @param channel a name of ours: it stands in the statement as it is
 * @param heard for each message, and for each time that some may have been missed
 * @throws Error if the first connection cannot be made
 */
export async function listen(endpoint: PgEndpoint, channel: string, heard: () => void): Promise<Listening> {
  const closing = new AbortController();
  let client: Client | undefined;
  const open = async (): Promise<void> => {
    const opened = new Client({
      ...forPg(endpoint),
      application_name: 'bulkhead listener',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    const lost = (): void => {
      if (client !== opened) return;
      client = undefined;
      heard();
      void again();
    };
    // Both may come, or either.
    opened.on('error', lost);
    opened.on('end', lost);
    opened.on('notification', heard);
    try {
      await opened.connect();
      await opened.query(`listen ${channel}`);
      client = opened;
    } catch (error) {
      await opened.end().catch(() => undefined);
      throw error;
    }
  };
  const again = async (): Promise<void> => {
    for (;;) {
      if (closing.signal.aborted) return;
      try {
        await open();
        heard();
        break;
      } catch {
        await sleep(AGAIN_MS, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
      }
    }
    if (closing.signal.aborted) await end();
  };
  const end = async (): Promise<void> => {
    const last = client;
    client = undefined;
    await last?.end().catch(() => undefined);
  };
  await open();
  return {
    close: async () => {
      closing.abort();
      await end();
    },
  };
}
