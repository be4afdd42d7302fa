/** The pump when something is wrong: an event that cannot be handed out, and a connection that is lost. */
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { emit } from '../../src/events/emit.ts';
import { asAdmin } from '../support/database.ts';
import { useTestHost } from '../support/host.ts';
import { until } from '../support/until.ts';
import { listener } from './support.ts';

const host = useTestHost({ worker: true });

async function listeners(): Promise<number[]> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity
    where datname = current_database() and query ~* '^listen "?bulkhead_event"?$'`.execute(host().a.panel.db);
  return rows.map(({ pid }) => pid);
}

it('an event that cannot be handed out holds up no other tenant’s', async () => {
  await host().publish(
    listener('Unread', `on('ClientRegistered', () => 1);`, { listens: ['ClientRegistered'] }),
  );
  const unread = await host().a.installed('Unread');
  const { db } = host().a.panel;
  // What this host cannot read, as another version of it may have written it.
  await db
    .updateTable('installations')
    .set({ settings: sql`'"unreadable"'::jsonb` })
    .where('id', '=', unread)
    .execute();
  await sql`select pg_notify('bulkhead_installation_changed', ${unread})`.execute(db);
  const payload = {
    user_uuid: crypto.randomUUID(),
    kind: 'client',
    email: 'a@b.example',
    name: 'A',
  } as const;
  // In one transaction, the broken one first: a round sees both.
  await db.transaction().execute(async (trx) => {
    await emit(trx, { tenantId: host().a.id, name: 'ClientRegistered', payload });
    await emit(trx, { tenantId: host().b.id, name: 'ClientRegistered', payload });
  });
  const waiting = async (tenantId: string) =>
    db
      .selectFrom('events')
      .select('id')
      .where('tenant_id', '=', tenantId)
      .where('name', '=', 'ClientRegistered')
      .where('delivered_at', 'is', null)
      .execute();
  await until('the other tenant’s event', async () => (await waiting(host().b.id)).length === 0);
  expect(await waiting(host().a.id)).toHaveLength(1);
  await db.updateTable('installations').set({ settings: {} }).where('id', '=', unread).execute();
  await sql`select pg_notify('bulkhead_installation_changed', ${unread})`.execute(db);
  await until('it to be handed out once it reads', async () => (await waiting(host().a.id)).length === 0);
});

it('the pump listens again after its connection was lost, and stops in good order', async () => {
  const [lost] = await until('a listener', async () => {
    const pids = await listeners();
    return pids.length > 0 ? pids : undefined;
  });
  await asAdmin(`select pg_terminate_backend(${lost ?? 0})`);
  await until('another one', async () => (await listeners()).some((pid) => pid !== lost));
});
