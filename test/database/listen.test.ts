/** A listener hears each message, and takes a lost connection for one: what was said meanwhile went unheard. */
import { expect, it } from 'vitest';
import { connectHost } from '../../src/database/connect.ts';
import { listen } from '../../src/database/listen.ts';
import { useTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const database = useTestDatabase();

it('a listener hears messages, the loss of its connection, and messages after it', async () => {
  const { sql, endpoint, admin } = database();
  let count = 0;
  const more = async (what: string, cause: () => Promise<unknown>): Promise<void> => {
    const before = count;
    await cause();
    await until(what, async () => count > before);
  };
  const listening = await listen(endpoint, 'test_channel', () => {
    count += 1;
  });
  await more('a message', async () => sql`select pg_notify('test_channel', '')`);
  await using other = connectHost(admin, { max: 1 });
  await more(
    'the loss',
    async () => other.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'bulkhead listener' and datname = current_database()`,
  );
  await until('the listener to be back', async () => {
    const found = await other.sql`
      select from pg_stat_activity
      where application_name = 'bulkhead listener' and datname = current_database() and query like 'listen%'`;
    return found.length === 1;
  });
  await more('a message after it', async () => sql`select pg_notify('test_channel', '')`);
  await listening.close();
  await listening.close();
  await until('the connection to end', async () => {
    const left = await other.sql`
      select from pg_stat_activity where application_name = 'bulkhead listener' and datname = current_database()`;
    return left.length === 0;
  });
});

it('a listener without a server says so', async () => {
  await expect(listen({ ...database().endpoint, port: 1 }, 'test_channel', () => undefined)).rejects.toThrow(
    /ECONNREFUSED|ENOENT/,
  );
});
