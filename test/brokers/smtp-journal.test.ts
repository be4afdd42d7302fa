/** What the journal of mails says about one that a job sends: what was sent before, by which run, and how alike two mails are. */
import { beforeAll, beforeEach, expect, it } from 'vitest';
import * as v from 'valibot';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import type { OpInput } from '../../sandbox/contract/capabilities.ts';
import type { Scope } from '../../src/brokers/broker.ts';
import { createMailJournal, type MailEntry } from '../../src/brokers/smtp/journal.ts';
import { useTestDatabase } from '../support/database.ts';
import { testScope } from './http-support.ts';
import { twoInstallations } from './secrets-support.ts';

const database = useTestDatabase();
const TAKEN = { accepted: ['a@b.example'], rejected: [], response: '250 OK', message_id: '<x@y>' };
let installation = { id: '', tenant_id: '' };
let taskId = '';

beforeAll(async () => {
  const [id] = await twoInstallations(database().db);
  installation = await database()
    .db.selectFrom('installations')
    .select(['id', 'tenant_id'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
});
beforeEach(async () => {
  const task = await database()
    .db.insertInto('tasks')
    .values({
      tenant_id: installation.tenant_id,
      installation_id: installation.id,
      method: 'send',
      dedupe_key: 'x',
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  taskId = task.id;
});

/** A run of the task. */
const run = (): Scope => testScope({ purpose: 'job', taskId });

function mail(changes: Partial<OpInput<'smtp', 'send'>> = {}) {
  return v.parse(capabilities.smtp.ops.send.input, {
    host: 'mail.example',
    port: 25,
    from: 'me@b.example',
    to: ['a@b.example'],
    subject: 'Hello',
    text: 'Words',
    ...changes,
  });
}

async function open(scope: Scope, changes: Partial<OpInput<'smtp', 'send'>> = {}) {
  return createMailJournal({ db: database().db }).open(scope, mail(changes));
}

async function entry(scope: Scope, changes: Partial<OpInput<'smtp', 'send'>> = {}): Promise<MailEntry> {
  const found = await open(scope, changes);
  if (found === undefined || 'taken' in found) throw new Error('an entry is expected');
  return found;
}

it('what was taken in one run is answered as then in the next, and sent no more', async () => {
  const first = await entry(run());
  await first.begin();
  await first.answered(TAKEN);
  expect(await open(run())).toEqual({ taken: TAKEN });
});

it('what has no answer is in doubt in the next run, also where its text holds the time', async () => {
  await (await entry(run())).begin();
  for (const changes of [{}, { text: 'Words of another minute' }])
    await expect(open(run(), changes)).rejects.toMatchObject({ code: 'STEP_IN_DOUBT' });
  // Others are not held up by it.
  expect(await entry(run(), { to: ['other@b.example'] })).toBeDefined();
});

it('what certainly was not taken is sent again, with the same Message-ID', async () => {
  const first = await entry(run());
  await first.begin();
  await first.unsent();
  const again = await entry(run());
  expect(again.key).toBe(first.key);
  await again.begin();
});

it('the same mail twice in one run is two mails, and stays two in the next', async () => {
  const journal = createMailJournal({ db: database().db });
  const twice = async (scope: Scope) => [
    await journal.open(scope, mail()),
    await journal.open(scope, mail()),
  ];
  for (const made of await twice(run())) {
    if (made === undefined || 'taken' in made) throw new Error('an entry is expected');
    await made.begin();
    await made.answered(TAKEN);
  }
  expect(await twice(run())).toEqual([{ taken: TAKEN }, { taken: TAKEN }]);
});

it('two runs at once do not both send it', async () => {
  const [one, two] = [await entry(run()), await entry(run())];
  await one.begin();
  await expect(two.begin()).rejects.toMatchObject({ code: 'STEP_IN_DOUBT' });
});

it('a mail that a person marked as sent was taken', async () => {
  await (await entry(run())).begin();
  await database().db.updateTable('steps').set({ status: 'done', value: null }).execute();
  expect(await open(run())).toMatchObject({ taken: { accepted: ['a@b.example'] } });
});

it('there is none outside a job: nothing runs again there by itself', async () => {
  expect(await open(testScope({ purpose: 'request' }))).toBeUndefined();
});
