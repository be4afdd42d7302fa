import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { createHostRequests } from '../../src/brokers/host-requests.ts';
import { useTestDatabase } from '../support/database.ts';
import { testScope } from './http-support.ts';
import { twoInstallations } from './secrets-support.ts';

const database = useTestDatabase();
let installationId = '';

beforeEach(async () => {
  [installationId] = await twoInstallations(database().db);
});

const count = async (): Promise<number> =>
  (
    await database()
      .db.selectFrom('host_requests')
      .select('id')
      .where('installation_id', '=', installationId)
      .execute()
  ).length;

describe('hosts that a module asks for', () => {
  it('are bounded in number, however many are asked for at once', async () => {
    await database()
      .db.insertInto('host_requests')
      .values(
        Array.from({ length: LIMITS.hostRequests - 3 }, (_, n) => ({
          installation_id: installationId,
          capability: 'net' as const,
          pattern: `before-${n}.example`,
        })),
      )
      .execute();
    const requests = createHostRequests(database().db);
    const scope = testScope({ installationId });
    // Every connection of the pool stands before they start together.
    await Promise.all(
      Array.from({ length: 20 }, async () => sql`select pg_sleep(0.1)`.execute(database().db)),
    );
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => requests.ask(scope, 'net', `at-once-${n}.example`)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(await count()).toBe(LIMITS.hostRequests);
  });

  it('are asked for so often a minute and no more, known ones included', async () => {
    const requests = createHostRequests(database().db);
    const scope = testScope({ installationId });
    for (let n = 0; n < LIMITS.hostRequestsPerMinute; n++)
      expect(await requests.ask(scope, 'http', 'one.example')).toBe('asked');
    await expect(requests.ask(scope, 'http', 'one.example')).rejects.toMatchObject({
      code: 'LIMIT',
      message: expect.stringContaining(`${LIMITS.hostRequestsPerMinute} times a minute`),
    });
    expect(await count()).toBe(1);
  });
});
