import { sql } from 'kysely';
import type { Generated } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';

import { id, ipAddress, oneOf, string, timestamps, uuid } from '../../sandbox/guest/db/columns.ts';
import { model } from '../../sandbox/guest/db/model.ts';
import { createDb } from '../../sandbox/guest/db.ts';
import { useModules } from '../brokers/db-support.ts';
import type { Installation } from '../brokers/db-support.ts';

interface Tables {
  cloud_server_groups: { uuid: Generated<string>; name: string; description: string | null };
  cloud_servers: {
    uuid: Generated<string>;
    group_uuid: string | null;
    name: string;
    host: string;
    password: string;
    api_key: string | null;
    active: Generated<boolean>;
    port: Generated<number>;
    created_at: Generated<Date>;
    updated_at: Generated<Date>;
  };
  vps_servers: {
    id: Generated<number>;
    service_uuid: string;
    server_id: string | null;
    ip_address: string | null;
    hostname: string;
    status: string;
    server_specs: unknown;
    created_at: Generated<Date>;
    updated_at: Generated<Date>;
  };
  kinds: {
    id: Generated<number>;
    a_text: string | null;
    a_big: number | bigint | null;
    a_numeric: string | null;
    a_float: number | null;
    a_bool: boolean | null;
    a_json: unknown;
    a_date: string | null;
    a_stamp: Date | null;
    a_bytes: Uint8Array | null;
    a_list: string[] | null;
    a_numbers: number[] | null;
  };
}

const modules = useModules();
let installation: Installation;

beforeAll(async () => {
  const fixture = modules();
  installation = await fixture.install();
  await fixture.activate(installation, async (env) => {
    const db = createDb<Tables>(env);
    await db.schema
      .createTable('cloud_server_groups')
      .ifNotExists()
      .$call(uuid)
      .addColumn('name', string(), (column) => column.notNull().unique())
      .addColumn('description', string())
      .$call(timestamps)
      .execute();
    await db.schema
      .createTable('cloud_servers')
      .ifNotExists()
      .$call(uuid)
      .addColumn('group_uuid', 'uuid', (column) =>
        column.references('cloud_server_groups.uuid').onDelete('cascade'),
      )
      .addColumn('name', string(), (column) => column.notNull().unique())
      .addColumn('host', string(), (column) => column.notNull())
      .addColumn('password', 'text', (column) => column.notNull())
      .addColumn('api_key', 'text')
      .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
      .addColumn('port', 'integer', (column) => column.notNull().defaultTo(443))
      .$call(timestamps)
      .execute();
    await db.schema
      .createIndex('cloud_servers_active')
      .ifNotExists()
      .on('cloud_servers')
      .columns(['active', 'group_uuid'])
      .execute();
    await db.schema
      .createTable('vps_servers')
      .$call(id)
      .addColumn('service_uuid', 'uuid', (column) => column.notNull())
      .addColumn('server_id', string())
      .addColumn('ip_address', ipAddress)
      .addColumn('hostname', string(), (column) => column.notNull())
      .addColumn(
        'status',
        'text',
        oneOf('status', ['creating', 'active', "it's"], (column) => column.notNull()),
      )
      .addColumn('server_specs', 'jsonb')
      .$call(timestamps)
      .execute();
    await db.schema
      .createTable('kinds')
      .$call(id)
      .addColumn('a_text', 'text')
      .addColumn('a_big', 'bigint')
      .addColumn('a_numeric', 'numeric(30, 10)')
      .addColumn('a_float', 'float8')
      .addColumn('a_bool', 'boolean')
      .addColumn('a_json', 'jsonb')
      .addColumn('a_date', 'date')
      .addColumn('a_stamp', 'timestamptz')
      .addColumn('a_bytes', 'bytea')
      .addColumn('a_list', sql`text[]`)
      .addColumn('a_numbers', sql`integer[]`)
      .execute();
  });
});

async function withDb<T>(work: (db: ReturnType<typeof createDb<Tables>>) => Promise<T>): Promise<T> {
  return modules().run(installation, {}, async (env) => work(createDb<Tables>(env)));
}

describe('values', () => {
  test('come back as they went in', async () => {
    const row = {
      a_text: 'ü "quoted" \\ \u{1F600}',
      a_big: 9_007_199_254_740_991,
      a_numeric: '12345678901234567890.0123456789',
      a_float: 0.1,
      a_bool: false,
      a_json: { $bytes: 'is a key here', list: [1, 'two', null], nested: { a: true } },
      a_date: '2026-02-28',
      a_stamp: new Date('2026-11-22T15:04:05.678Z'),
      a_bytes: new Uint8Array([0, 1, 254, 255]),
      a_list: ['a,b', 'with "quotes"', 'back\\slash', '{brace}', 'NULL', ''],
      a_numbers: [1, -2, 3],
    };
    const [read] = await withDb(async (db) => db.insertInto('kinds').values(row).returningAll().execute());
    expect(read).toEqual({ id: expect.any(Number), ...row });
  });

  test('that are null come back as null', async () => {
    const read = await withDb(async (db) =>
      db.insertInto('kinds').values({ a_text: null, a_json: null }).returningAll().executeTakeFirstOrThrow(),
    );
    expect(Object.values(read).filter((value) => value !== null)).toEqual([read.id]);
  });

  test('beyond 2^53 come back exact', async () => {
    const a_big = 9_223_372_036_854_775_807n;
    const read = await withDb(async (db) =>
      db.insertInto('kinds').values({ a_big }).returning('a_big').executeTakeFirstOrThrow(),
    );
    expect(read.a_big).toBe(a_big);
  });

  test('of a JSON column are encoded once, be they text, list or object', async () => {
    for (const [sent, read] of [
      [JSON.stringify('a text'), 'a text'],
      [JSON.stringify({ a: 1 }), { a: 1 }],
      [
        [1, { a: 2 }],
        [1, { a: 2 }],
      ],
      [{ a: [1] }, { a: [1] }],
      [[], []],
    ]) {
      const row = await withDb(async (db) =>
        db.insertInto('kinds').values({ a_json: sent }).returning('a_json').executeTakeFirstOrThrow(),
      );
      expect(row.a_json).toEqual(read);
    }
  });

  test('that no number or date can hold come back as the text of PostgreSQL', async () => {
    const read = await withDb(async (db) =>
      db
        .selectNoFrom([
          sql<number>`'NaN'::float8`.as('nan'),
          sql<string>`'infinity'::timestamptz`.as('never'),
        ])
        .executeTakeFirstOrThrow(),
    );
    expect(read).toEqual({ nan: Number.NaN, never: 'infinity' });
  });

  test('may be compared with any() of a list', async () => {
    const found = await withDb(async (db) => {
      await db
        .insertInto('kinds')
        .values([{ a_text: 'any-1' }, { a_text: 'any-2' }, { a_text: 'other' }])
        .execute();
      return db
        .selectFrom('kinds')
        .select('a_text')
        .where(sql<boolean>`a_text = any(${['any-1', 'any-2']})`)
        .orderBy('a_text')
        .execute();
    });
    expect(found.map((row) => row.a_text)).toEqual(['any-1', 'any-2']);
  });
});

describe('this.db', () => {
  test('joins, counts and tells how many rows it changed', async () => {
    await withDb(async (db) => {
      const group = await db
        .insertInto('cloud_server_groups')
        .values({ name: 'eu', description: null })
        .returning('uuid')
        .executeTakeFirstOrThrow();
      await db
        .insertInto('cloud_servers')
        .values(
          ['j1', 'j2'].map((name) => ({
            name,
            host: `${name}.test`,
            password: 'x',
            group_uuid: group.uuid,
            api_key: null,
          })),
        )
        .execute();
      const joined = await db
        .selectFrom('cloud_servers as s')
        .innerJoin('cloud_server_groups as g', 'g.uuid', 's.group_uuid')
        .select(['s.host', 's.port', 'g.name as group'])
        .orderBy('s.name')
        .execute();
      expect(joined).toEqual([
        { host: 'j1.test', port: 443, group: 'eu' },
        { host: 'j2.test', port: 443, group: 'eu' },
      ]);
      const { count } = await db
        .selectFrom('cloud_servers')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('group_uuid', '=', group.uuid)
        .executeTakeFirstOrThrow();
      expect(count).toBe(2);
      const updated = await db
        .updateTable('cloud_servers')
        .set({ active: false })
        .where('group_uuid', '=', group.uuid)
        .executeTakeFirstOrThrow();
      expect(updated.numUpdatedRows).toBe(2n);
      const gone = await db
        .deleteFrom('cloud_server_groups')
        .where('uuid', '=', group.uuid)
        .executeTakeFirstOrThrow();
      expect(gone.numDeletedRows).toBe(1n);
      expect(
        await db.selectFrom('cloud_servers').selectAll().where('group_uuid', '=', group.uuid).execute(),
      ).toEqual([]);
    });
  });

  test('upserts with on conflict', async () => {
    await withDb(async (db) => {
      for (const description of ['first', 'second']) {
        await db
          .insertInto('cloud_server_groups')
          .values({ name: 'upserted', description })
          .onConflict((conflict) =>
            conflict.column('name').doUpdateSet((eb) => ({ description: eb.ref('excluded.description') })),
          )
          .execute();
      }
      const rows = await db
        .selectFrom('cloud_server_groups')
        .select('description')
        .where('name', '=', 'upserted')
        .execute();
      expect(rows).toEqual([{ description: 'second' }]);
    });
  });

  test('keeps a transaction that succeeds and undoes one that throws', async () => {
    const names = await withDb(async (db) => {
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('cloud_server_groups').values({ name: 'kept', description: null }).execute();
      });
      const undone = db.transaction().execute(async (trx) => {
        await trx.insertInto('cloud_server_groups').values({ name: 'undone', description: null }).execute();
        throw new Error('changed my mind');
      });
      await expect(undone).rejects.toThrow('changed my mind');
      return db
        .selectFrom('cloud_server_groups')
        .select('name')
        .where('name', 'in', ['kept', 'undone'])
        .execute();
    });
    expect(names).toEqual([{ name: 'kept' }]);
  });

  test('streams more rows than one answer may have, in order', async () => {
    const seen = await withDb(async (db) => {
      await db
        .insertInto('kinds')
        .columns(['a_float', 'a_text'])
        .expression(sql`select n, 'streamed' from generate_series(1, 12000) as g(n)`)
        .execute();
      const numbers: (number | null)[] = [];
      for await (const row of db
        .selectFrom('kinds')
        .select('a_float')
        .where('a_text', '=', 'streamed')
        .orderBy('a_float')
        .stream(100))
        numbers.push(row.a_float);
      return numbers;
    });
    expect(seen).toEqual(Array.from({ length: 12_000 }, (_, index) => index + 1));
  });

  test('may leave a stream early, and its connection is free again', async () => {
    await withDb(async (db) => {
      for (let round = 0; round < 10; round++) {
        for await (const row of db.selectFrom('kinds').selectAll().stream()) {
          expect(row.id).toBeGreaterThan(0);
          break;
        }
      }
    });
  });

  test('tells which columns were not unique, without the value', async () => {
    const failure = withDb(async (db) => {
      for (let round = 0; round < 2; round++)
        await db
          .insertInto('cloud_server_groups')
          .values({ name: 'secret-name', description: null })
          .execute();
    });
    await expect(failure).rejects.toMatchObject({
      name: 'CapabilityError',
      code: 'DB_UNIQUE',
      data: { columns: ['name'] },
    });
    await expect(failure).rejects.not.toThrow('secret-name');
  });

  test('refuses a value that an oneOf column does not take', async () => {
    const insert = async (status: string) =>
      withDb(async (db) =>
        db
          .insertInto('vps_servers')
          .values({
            service_uuid: crypto.randomUUID(),
            hostname: 'h',
            status,
            server_id: null,
            ip_address: '10.0.0.1',
            server_specs: { cpu: 2 },
          })
          .returningAll()
          .executeTakeFirstOrThrow(),
      );
    expect(await insert("it's")).toMatchObject({
      status: "it's",
      ip_address: '10.0.0.1',
      server_specs: { cpu: 2 },
      created_at: expect.any(Date),
    });
    await expect(insert('melted')).rejects.toMatchObject({
      code: 'DB_ERROR',
      data: { constraint: 'vps_servers_status_check' },
    });
  });

  test('refuses what the guard does not know', async () => {
    await expect(withDb(async (db) => sql`select pg_sleep(1)`.execute(db))).rejects.toMatchObject({
      code: 'DB_REFUSED',
    });
    await expect(withDb(async (db) => db.introspection.getTables())).rejects.toThrow('not available');
    await expect(
      withDb(async (db) =>
        db
          .transaction()
          .setIsolationLevel('serializable')
          .execute(async () => undefined),
      ),
    ).rejects.toThrow('read committed');
  });
});

describe('model', () => {
  function servers(db: Parameters<typeof model<Tables, 'cloud_servers'>>[0]) {
    return model(db, 'cloud_servers', {
      fillable: ['name', 'host', 'password', 'api_key', 'active'],
      encrypted: ['password', 'api_key'],
      timestamps: true,
    });
  }
  const values = { host: 'h.test', password: 'geheim', api_key: null, group_uuid: null };

  test('reads what it encrypted as it was, while the table holds no plain text', async () => {
    await withDb(async (db) => {
      const created = await servers(db).create({ ...values, name: 'm1' });
      expect(created).toMatchObject({
        name: 'm1',
        password: 'geheim',
        api_key: null,
        active: true,
        port: 443,
      });
      expect(await servers(db).where('name', 'm1').first()).toEqual(created);
      const stored = await db
        .selectFrom('cloud_servers')
        .select('password')
        .where('name', '=', 'm1')
        .executeTakeFirstOrThrow();
      expect(stored.password).not.toContain('geheim');
    });
  });

  test('leaves out what is not fillable', async () => {
    const created = await withDb(async (db) => servers(db).create({ ...values, name: 'm2', port: 1 }));
    expect(created.port).toBe(443);
  });

  test('refines, orders, counts, updates and deletes', async () => {
    await withDb(async (db) => {
      for (const name of ['r1', 'r2', 'r3']) await servers(db).create({ ...values, name });
      const chosen = servers(db).where('name', 'like', 'r%').where('api_key', null);
      expect(await chosen.count()).toBe(3);
      expect((await chosen.orderBy('name', 'desc').limit(2).get()).map((row) => row.name)).toEqual([
        'r3',
        'r2',
      ]);
      const before = await chosen.where('name', 'r1').first();
      expect(await chosen.where('name', 'r1').update({ password: 'neu', active: false })).toBe(1);
      const after = await chosen.where('name', 'r1').first();
      expect(after).toMatchObject({ password: 'neu', active: false });
      expect(after?.updated_at.getTime()).toBeGreaterThanOrEqual(before?.updated_at.getTime() ?? Number.NaN);
      expect(await chosen.where('name', 'in', ['r1', 'r2']).delete()).toBe(2);
      expect(await chosen.count()).toBe(1);
    });
  });

  test('works in a transaction and is undone with it', async () => {
    await withDb(async (db) => {
      const undone = db.transaction().execute(async (trx) => {
        await servers(trx).create({ ...values, name: 'in-trx' });
        throw new Error('no');
      });
      await expect(undone).rejects.toThrow('no');
      expect(await servers(db).where('name', 'in-trx').first()).toBeUndefined();
    });
  });
});
