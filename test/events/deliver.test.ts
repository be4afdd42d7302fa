/** From what happened to who heard of it: order, failures, repeats, the host's own subscribers, tenants, and what a module may not do. */
import { describe, expect, it } from 'vitest';
import { emit } from '../../src/events/emit.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { runNow } from '../../src/schedules/tick.ts';
import { useTestHost } from '../support/host.ts';
import { newPublisher } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';
import { found, handled, listener, register } from './support.ts';

const host = useTestHost({ worker: true });
const heard = { listens: ['ClientRegistered'] };

async function publish(...modules: ReturnType<typeof listener>[]): Promise<void> {
  for (const module of modules) await host().publish(module);
}

describe('an event of the host', () => {
  it('reaches the handlers of hooks.ts with its payload, the highest priority first [PL-10]', async () => {
    await publish(
      listener('Low', `on('ClientRegistered', (event) => event.payload.email);`, heard),
      listener(
        'High',
        `on('ClientRegistered', (event, module) => ({ name: module.module_name, source: event.source }), { priority: 50 });
         on('ClientRegistered', () => 'last', { priority: -50 });`,
        heard,
      ),
    );
    await host().a.installed('Low');
    await host().a.installed('High');
    const event = await register(host().a);
    const rows = await handled(host().a, event.id);
    expect(rows.map((row) => [row.module, row.priority, row.status, row.result])).toEqual([
      ['High', 50, 'completed', { name: 'High', source: 'host' }],
      ['Low', 0, 'completed', (event.payload as { email: string }).email],
      ['High', -50, 'completed', 'last'],
    ]);
    const starts = rows.map((row) => row.started_at?.getTime() ?? 0);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    await host().a.disable('Low');
    await host().a.disable('High');
  });

  it('reaches the others though one throws, one loops and one takes all memory', async () => {
    await publish(
      listener(
        'Breaks',
        `on('ClientRegistered', () => { throw new Error('broken'); }, { priority: 3 });
         on('ClientRegistered', () => { for (;;); }, { priority: 2 });
         on('ClientRegistered', () => { const all = []; for (;;) all.push(new Array(1e6).fill(1)); }, { priority: 1 });`,
        heard,
      ),
      listener('Sound', `on('ClientRegistered', () => 'heard');`, heard),
    );
    await host().a.installed('Breaks');
    await host().a.installed('Sound');
    const event = await register(host().a);
    const sound = await until('the sound one', async () => {
      const row = await host()
        .a.panel.db.selectFrom('event_deliveries as delivery')
        .innerJoin('tasks as task', 'task.id', 'delivery.task_id')
        .select(['task.result'])
        .where('delivery.event_id', '=', event.id)
        .where('task.status', '=', 'completed')
        .executeTakeFirst();
      return row;
    });
    expect(sound.result).toBe('heard');
    await host().a.disable('Breaks');
    await host().a.disable('Sound');
  }, 40_000);

  it('is of one tenant only', async () => {
    await publish(listener('Spy', `on('ClientRegistered', () => 'spied');`, heard));
    await host().b.installed('Spy');
    const event = await register(host().a);
    expect(await handled(host().a, event.id)).toEqual([]);
  });

  it('is not heard without the grant, nor by a module that is switched off', async () => {
    const optional = { events: { listen: [{ value: 'ClientRegistered', optional: true }] } };
    await publish(
      listener('Deaf', `on('ClientRegistered', () => 'heard');`, heard, { permissions: optional }),
    );
    await host().a.installed('Deaf', {}, { without: ['events.listen:ClientRegistered'] });
    const first = await register(host().a);
    expect(await handled(host().a, first.id)).toEqual([]);
    await host().a.grant('Deaf');
    const second = await register(host().a);
    expect((await handled(host().a, second.id)).map((row) => row.module)).toEqual(['Deaf']);
    await host().a.disable('Deaf');
    const third = await register(host().a);
    expect(await handled(host().a, third.id)).toEqual([]);
  });

  it('is not there if what it tells of was rolled back', async () => {
    const { db } = host().a.panel;
    const payload = { installation_uuid: crypto.randomUUID(), module: 'Plugin/Gone', version: '1.0.0' };
    await expect(
      db.transaction().execute(async (trx) => {
        await emit(trx, { tenantId: host().a.id, name: 'ModuleActivated', payload });
        throw new Error('undone');
      }),
    ).rejects.toThrow('undone');
    const rows = await db
      .selectFrom('events')
      .select('payload')
      .where('tenant_id', '=', host().a.id)
      .execute();
    expect(JSON.stringify(rows)).not.toContain(payload.installation_uuid);
  });
});

describe('a subscriber of the host', () => {
  it('writes exactly once with the record of it, and is tried again after a failure', async () => {
    const { subscribers } = host().bulkhead;
    let calls = 0;
    subscribers.onEvent('test', 'ClientRegistered', async (event, trx) => {
      if (event.tenantId !== host().a.id) return;
      calls++;
      await trx
        .insertInto('settings')
        .values({ key: `${event.id}/${calls}`, value: {} })
        .execute();
      if (calls === 1) throw new Error('not yet');
    });
    const event = await register(host().a);
    const { db } = host().a.panel;
    await until('the failure', async () =>
      (
        await db.selectFrom('event_deliveries').select('error').where('event_id', '=', event.id).execute()
      ).some((row) => row.error === 'not yet'),
    );
    await db
      .updateTable('event_deliveries')
      .set({ retry_at: new Date() })
      .where('event_id', '=', event.id)
      .execute();
    const rows = await handled(host().a, event.id);
    expect(rows).toMatchObject([{ subscriber: 'test', host_attempts: 2, host_error: null }]);
    const written = await db
      .selectFrom('settings')
      .select('key')
      .where('key', 'like', `${event.id}%`)
      .execute();
    expect(written).toEqual([{ key: `${event.id}/2` }]);
  });
});

describe('events.dispatch', () => {
  const teller = {
    ...listener('Teller', '', { emits: ['account.creating'], listens: [] }),
    members: `async tell(name, payload) { return this.events.dispatch(name, payload); }`,
  };

  it('puts the module’s name in front, and others hear it [EV-01] [EV-02] [EV-03] (A32)', async () => {
    await publish(teller);
    await publish(
      listener('Hears', `on('Teller.account.creating', (event) => [event.payload, event.source]);`, {
        listens: ['Teller.*'],
      }),
    );
    await host().a.installed('Teller');
    await host().a.installed('Hears');
    const payload = { module: 'Teller', service_uuid: null };
    const uuid = await host().a.call('Teller', 'tell', 'account.creating', payload);
    const event = await found(host().a, 'Teller.account.creating');
    expect(event).toMatchObject({ id: uuid, source: 'test-house/Plugin/Teller', payload });
    expect(await handled(host().a, event.id)).toMatchObject([
      { module: 'Hears', result: [payload, 'test-house/Plugin/Teller'] },
    ]);
  });

  it.each([
    ['a name that is not declared', 'account.created', {}, /^BAD_INPUT: .*did you mean "account.creating"/],
    ['the host’s own', 'ServiceCreated', {}, /^BAD_INPUT/],
    ['another module’s', 'Hears.x', {}, /^BAD_INPUT/],
    ['a payload that is too large', 'account.creating', { x: 'a'.repeat(40_000) }, /^LIMIT: .*40.*bytes/],
  ])('refuses %s', async (_what, name, payload, said) => {
    expect(await refusal(() => host().a.call('Teller', 'tell', name, payload))).toMatch(said);
  });

  it('is refused to a second publisher’s module of the same name: the name stands for the first', async () => {
    const { b } = host();
    const first = await b.installed('Teller', {}, { amounts: { 'events.per_minute': 2 } });
    const forged = { ...teller, type: 'Product' as const };
    const { versionId } = await host().publish(forged, newPublisher('other-house'));
    const { catalog } = b.panel;
    const { installationId } = await catalog.install({ tenantId: b.id, versionId, accountId: b.adminId });
    const { lines } = await catalog.consent(installationId);
    const answers = Object.fromEntries(lines.map(({ id }) => [id, { granted: true }]));
    await catalog.grant({ installationId, answers, accountId: b.adminId });
    await catalog.enable(installationId, b.adminId);
    const tell = (id: string) =>
      b.bulkhead.invoker.invoke({
        installationId: id,
        purpose: 'request',
        calls: [{ target: { on: 'module' }, method: 'tell', args: ['account.creating', {}] }],
      });
    expect(await refusal(() => tell(installationId))).toMatch(
      /^CONFLICT: events: another publisher’s module Teller/,
    );
    await tell(first);
  });

  it('is bounded in number', async () => {
    await host().publish({ ...teller, name: 'Chatty', files: {} });
    await host().b.installed('Chatty', {}, { amounts: { 'events.per_minute': 2 } });
    const tell = () => host().b.call('Chatty', 'tell', 'account.creating', {});
    await tell();
    await tell();
    expect(await refusal(tell)).toMatch(/^LIMIT: events: 2 events a minute/);
  });

  it('ends where modules answer each other, tasks between them or not', async () => {
    await publish({
      ...listener(
        'Ping',
        `on('Pong.ball', async (event, module) => { await module.tasks.add({ method: 'hit', params: event.payload }); });`,
        { emits: ['ball'], listens: ['Pong.ball'] },
        { permissions: { tasks: {} } },
      ),
      members: `async hit({ n }) { await this.events.dispatch('ball', { n: n + 1 }); }`,
    });
    await publish(
      listener(
        'Pong',
        `on('Ping.ball', async (event, module) => { await module.events.dispatch('ball', { n: event.payload.n + 1 }); });`,
        { emits: ['ball'], listens: ['Ping.ball'] },
      ),
    );
    await host().a.installed('Ping');
    await host().a.installed('Pong');
    await host().a.call('Ping', 'hit', { n: 0 });
    const error = await until('the end of the chain', async () => {
      const row = await host()
        .a.panel.db.selectFrom('tasks')
        .select('error')
        .where('tenant_id', '=', host().a.id)
        .where('error', 'is not', null)
        .where('event_depth', '=', 5)
        .executeTakeFirst();
      return row?.error;
    });
    expect(error).toMatchObject({ code: 'LIMIT' });
    const { count } = await host()
      .a.panel.db.selectFrom('events')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('tenant_id', '=', host().a.id)
      .where('name', 'in', ['Ping.ball', 'Pong.ball'])
      .executeTakeFirstOrThrow();
    expect(count).toBe(6);
  });
});

describe('what a handler schedules', () => {
  it('is as deep as the event that led to it, and so are its runs; the same again lies no deeper', async () => {
    await publish({
      ...listener(
        'Later',
        `on('Later.tick', async (event, module) => {
          await module.schedule({ method: 'hit', every: 3_600, params: { of: event.payload.of } });
        });`,
        { emits: ['tick'], listens: ['Later.tick'] },
        { permissions: { tasks: {} } },
      ),
      members: `async hit({ of }) { await this.events.dispatch('tick', { of }); return 'success'; }`,
    });
    const id = await host().a.installed('Later');
    const { db } = host().a.panel;
    await enqueueTask(db, { installationId: id, method: 'hit', params: { of: 1 }, eventDepth: 2 });
    const schedule = async () =>
      db
        .selectFrom('schedules')
        .select(['id', 'event_depth'])
        .where('installation_id', '=', id)
        .executeTakeFirst();
    // The task is two deep, so its event is three deep, and with it whatever its handler schedules.
    const row = await until('the schedule', schedule);
    expect(row.event_depth).toBe(3);
    await runNow(db, row.id, new Date());
    await until('a run as deep', async () =>
      db
        .selectFrom('tasks')
        .select('id')
        .where('installation_id', '=', id)
        .where('method', '=', 'hit')
        .where('event_depth', '=', 3)
        .where('status', '=', 'completed')
        .executeTakeFirst(),
    );
    await until('its event, handled', async () =>
      db
        .selectFrom('tasks')
        .select('id')
        .where('installation_id', '=', id)
        .where('method', '=', 'on:Later.tick')
        .where('event_depth', '=', 4)
        .where('status', '=', 'completed')
        .executeTakeFirst(),
    );
    expect((await schedule())?.event_depth).toBe(3);
  });
});

describe('a module’s hooks at install', () => {
  it.each([
    [
      'an event that the manifest does not list',
      `on('InvoicePaid', () => 1);`,
      heard,
      /add "InvoicePaid" to events.listens/,
    ],
    ['what is no event', `on('Nothing', () => 1);`, heard, /"Nothing" is not the name of one event/],
    [
      'a priority out of bounds',
      `on('ClientRegistered', () => 1, { priority: 9999 });`,
      heard,
      /whole number from -1000/,
    ],
    [
      'too many',
      `for (let i = 0; i < 51; i++) on('ClientRegistered', () => 1);`,
      heard,
      /at most 50 handlers/,
    ],
  ])('are refused for %s', async (_what, hooks, events, said) => {
    expect(await refusal(() => host().publish(listener('Refused', hooks, events)))).toMatch(said);
  });

  it('run no handler', async () => {
    const published = await host().publish(
      listener('Quiet', `on('ClientRegistered', () => { for (;;); });`, heard),
    );
    expect(published.added).toBe(true);
  });

  it.each([
    ['a host event nobody knows', { listens: ['ServiceExploded'] }, /listens/],
    ['another module’s name in permissions', { emits: [] }, /"Other.x" is not an event of this module/],
  ])('and manifest are refused for %s', async (_what, events, said) => {
    const permissions = 'emits' in events ? { permissions: { events: { emit: ['Other.x'] } } } : {};
    expect(await refusal(() => host().publish(listener('Refused', '', events, permissions)))).toMatch(said);
  });
});
