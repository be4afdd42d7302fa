/** The executor of flows when what it stands on gives way: its lock's connection, the sandbox under a step, the host around it. */
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import {
  createFlows,
  type FlowDefinition,
  type Flows,
  type FlowsDeps,
  StepEnd,
} from '../../src/flows/executor.ts';
import { connectHost } from '../../src/database/connect.ts';
import { useTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const database = useTestDatabase();

function flows(steps: FlowDefinition['steps'], more: Partial<FlowsDeps> = {}): Flows {
  const { db, sql } = database();
  return createFlows({ db, sql, definitions: [{ kind: 'try', steps }], ...more });
}

const start = () => ({
  kind: 'try',
  subject: `test:${randomBytes(6).toString('hex')}`,
  tenantId: null,
  state: {},
});

async function statusOf(subject: string): Promise<string | undefined> {
  const row = await database()
    .db.selectFrom('flows')
    .select('status')
    .where('subject', '=', subject)
    .executeTakeFirst();
  return row?.status;
}

/** Ends the connections on which flows hold their locks. PostgreSQL does so in its own time: until then another finds them taken. */
async function loseLocks(): Promise<void> {
  await using other = connectHost(database().admin, { max: 1 });
  const ended = await other.sql<{ pid: number }[]>`
    select pid, pg_terminate_backend(pid) from pg_locks
    where locktype = 'advisory' and classid = 1148222 and pid <> pg_backend_pid()`;
  const pids = ended.map(({ pid }) => pid);
  await until('the connections to end', async () => {
    const left = await other.sql`select from pg_stat_activity where pid = any(${pids})`;
    return left.length === 0;
  });
}

/** As the host does it: a try that meets a connection which was just lost is followed by another. */
async function resumeUntil(executor: Flows, reached: () => Promise<boolean>): Promise<void> {
  await until('the flow to be taken over', async () => {
    await executor.resume();
    return reached();
  });
}

describe('a process that lost the lock of its flow', () => {
  it('leaves it to the one that has taken it over, and writes nothing', async () => {
    const written: string[] = [];
    const write = (who: string) =>
      new StepEnd(
        async () => void written.push(who),
        () => undefined,
      );
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const flow = start();
    const slow = flows([
      {
        name: 'one',
        run: async () => {
          begun.resolve();
          await go.promise;
          return write('slow');
        },
      },
      { name: 'two', run: async () => write('slow again') },
    ]).run(flow);
    await begun.promise;
    await loseLocks();
    const other = flows([
      { name: 'one', run: async () => write('other') },
      { name: 'two', run: async () => write('other again') },
    ]);
    await resumeUntil(other, async () => (await statusOf(flow.subject)) === 'done');
    go.resolve();
    await expect(slow).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(written).toEqual(['other', 'other again']);
  });

  it('begins no further step while the other has it, and none is done twice', async () => {
    const ran: string[] = [];
    const held = (who: string) => {
      const begun = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      let hasBegun = false;
      const one = async (): Promise<void> => {
        hasBegun = true;
        begun.resolve();
        await go.promise;
      };
      const executor = flows([
        { name: 'one', run: one },
        { name: 'two', run: async () => void ran.push(who) },
      ]);
      return { begun, go, executor, hasBegun: async () => hasBegun };
    };
    const [slow, other] = [held('slow'), held('other')];
    const flow = start();
    const running = slow.executor.run(flow);
    running.catch(() => undefined);
    await slow.begun.promise;
    await loseLocks();
    const resumed = resumeUntil(other.executor, other.hasBegun);
    await other.begun.promise;
    slow.go.resolve();
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    other.go.resolve();
    await resumed;
    expect([ran, await statusOf(flow.subject)]).toEqual([[], 'running']);
    await held('next').executor.resume();
    expect([ran, await statusOf(flow.subject)]).toEqual([['next'], 'done']);
  });

  it('takes it again if nobody else has, and goes on', async () => {
    const flow = start();
    const ran: string[] = [];
    const steps = ['one', 'two'].map((name) => ({
      name,
      run: async () => {
        ran.push(name);
        if (name === 'one') await loseLocks();
      },
    }));
    await flows(steps).run(flow);
    expect([ran, await statusOf(flow.subject)]).toEqual([['one', 'two'], 'done']);
  });
});

describe('a step whose sandbox process was ended', () => {
  it('is run again, some times', async () => {
    const flow = start();
    let runs = 0;
    const run = async (): Promise<void> => {
      runs += 1;
      if (runs < 3) throw new HostError('INTERRUPTED', 'The sandbox process was restarted.');
    };
    await flows([{ name: 'one', run }]).run(flow);
    expect([runs, await statusOf(flow.subject)]).toEqual([3, 'done']);
    runs = -10;
    const next = start();
    await expect(flows([{ name: 'one', run }]).run(next)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect([runs, await statusOf(next.subject)]).toEqual([-7, 'failed']);
  });
});

describe('a host that stops while a flow runs', () => {
  it('leaves it for the next start', async () => {
    const flow = start();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<never>();
    const run = async (): Promise<void> => {
      begun.resolve();
      await end.promise;
    };
    const executor = flows([{ name: 'one', run }]);
    const stopped = executor.run(flow);
    stopped.catch(() => undefined);
    await begun.promise;
    const closed = executor.close();
    end.reject(new HostError('INTERRUPTED', 'The sandbox process was stopped.'));
    await closed;
    await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await expect(executor.run(start())).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(await statusOf(flow.subject)).toBe('running');
    await flows([{ name: 'one', run: async () => undefined }]).resume();
    await until('it to be done', async () => (await statusOf(flow.subject)) === 'done');
  });
});
