import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';

import { connectHost } from '../../src/database/connect.ts';
import type { HostSql } from '../../src/database/connect.ts';
import { forPostgresJs } from '../../src/database/endpoint.ts';
import {
  createInstallationSchema,
  dropInstallationSchema,
} from '../../src/database/modules/installation-schema.ts';
import { installationNames } from '../../src/database/modules/names.ts';
import type { InstallationNames } from '../../src/database/modules/names.ts';
import { derivedRolePassword } from '../../src/database/modules/passwords.ts';
import { createModulesDatabase, prepareModulesDatabase } from '../../src/database/modules/prepare.ts';
import {
  asAdmin,
  testModulesDatabase,
  useTestDatabase,
  useTestModulesDatabase,
} from '../support/database.ts';

const rolePassword = derivedRolePassword(new TextEncoder().encode('one key'));
const modules = useTestModulesDatabase();
const host = useTestDatabase();

async function made(): Promise<InstallationNames> {
  const names = installationNames('test2', randomUUID());
  await createInstallationSchema(modules().sql, names, rolePassword);
  return names;
}

/** Runs statements as a role itself, past every guard of ours. */
async function as<T>(
  role: string,
  work: (sql: postgres.Sql) => Promise<T>,
  password = rolePassword(role),
  database = modules().endpoint,
): Promise<T> {
  const sql = postgres({
    ...forPostgresJs({ ...database, user: role, password }),
    max: 1,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

describe('names', () => {
  test('are the same for the same installation and fit PostgreSQL', () => {
    const id = randomUUID();
    const names = installationNames('a'.repeat(12), id);
    expect(installationNames('a'.repeat(12), id)).toEqual(names);
    for (const name of Object.values(names)) expect(name).toMatch(/^[a-z][a-z0-9_]{1,62}$/);
  });

  test('differ between deployments, as roles belong to the server', () => {
    const id = randomUUID();
    expect(installationNames('one', id).login).not.toBe(installationNames('two', id).login);
  });

  test.each(['', 'Abc', 'a-b', 'a"; drop', 'a'.repeat(13)])('refuse the deployment id "%s"', (deployment) => {
    expect(() => installationNames(deployment, randomUUID())).toThrow('deployment id');
  });

  test.each(['', 'x', randomUUID().toUpperCase(), `${randomUUID()};`])(
    'refuse the installation id "%s"',
    (id) => {
      expect(() => installationNames('test', id)).toThrow('uuid');
    },
  );
});

describe('createInstallationSchema', () => {
  test('runs as a host without superuser rights', async () => {
    const [me] = await modules()
      .sql`select rolsuper, rolcreaterole from pg_roles where rolname = current_user`;
    expect(me).toMatchObject({ rolsuper: false, rolcreaterole: true });
    await made();
  });

  test('makes, makes anew and drops many at once, while others start', async () => {
    const { endpoint } = modules();
    // A connection each, so that nothing but the database puts them one after the other.
    const each = Array.from({ length: 6 }, () => connectHost(endpoint, { max: 1 }));
    try {
      const all = each.map(({ sql }) => ({ sql, names: installationNames('test2', randomUUID()) }));
      for (let round = 0; round < 4; round++) {
        await Promise.all(
          all.map(async ({ sql, names }) => createInstallationSchema(sql, names, rolePassword)),
        );
        await Promise.all([
          ...Array.from({ length: 8 }, async () => prepareModulesDatabase(modules().sql)),
          ...all.map(async ({ sql, names }, n) =>
            n % 2 === 0
              ? dropInstallationSchema(sql, names)
              : createInstallationSchema(sql, names, rolePassword),
          ),
        ]);
      }
      const login = all[1]?.names.login ?? '';
      const [may] = await modules()
        .sql`select has_database_privilege(${login}, current_database(), 'connect') as connect`;
      expect(may).toEqual({ connect: true });
    } finally {
      await Promise.all(each.map(async (one) => one.close()));
    }
  });

  test('gives the owner a schema and the login the rows of its tables, be they old or new', async () => {
    const { owner, login, schema } = await made();
    await as(owner, async (sql) => sql.unsafe(`create table ${schema}.t (id serial primary key, n int)`));
    await as(login, async (sql) => {
      await sql.unsafe(`insert into ${schema}.t (n) values (1)`);
      expect(await sql.unsafe(`select n from ${schema}.t`)).toEqual([{ n: 1 }]);
    });
  });

  test('may be run again, and keeps the rows', async () => {
    const names = await made();
    await as(names.owner, async (sql) => sql.unsafe(`create table ${names.schema}.t as select 1 as n`));
    await createInstallationSchema(modules().sql, names, rolePassword);
    await as(names.login, async (sql) =>
      expect(await sql.unsafe(`select n from ${names.schema}.t`)).toEqual([{ n: 1 }]),
    );
  });

  test('sets the passwords anew, so that the key may change', async () => {
    const names = await made();
    const other = derivedRolePassword(new TextEncoder().encode('another key'));
    await createInstallationSchema(modules().sql, names, other);
    await expect(as(names.login, async (sql) => sql`select 1`)).rejects.toThrow(
      'password authentication failed',
    );
    await as(
      names.login,
      async (sql) => expect(await sql`select 1 as a`).toEqual([{ a: 1 }]),
      other(names.login),
    );
  });

  test('stores no password that could be read', async () => {
    const { login } = await made();
    await using admin = connectHost(modules().admin, { max: 1 });
    const [row] = await admin.sql`select rolpassword from pg_authid where rolname = ${login}`;
    expect(row?.['rolpassword']).toMatch(/^SCRAM-SHA-256\$4096:/);
  });

  test('tells no password to the server, whose log may keep every statement', async () => {
    const texts: string[] = [];
    const debug = (_connection: number, text: string): number => texts.push(text);
    const sql = postgres({ ...forPostgresJs(modules().endpoint), max: 1, debug, onnotice: () => undefined });
    const names = installationNames('test2', randomUUID());
    await createInstallationSchema(sql as unknown as HostSql, names, rolePassword);
    await sql.end();
    expect(texts.filter((text) => text.includes(' password '))).toHaveLength(2);
    for (const role of [names.owner, names.login]) expect(texts.join()).not.toContain(rolePassword(role));
  });

  test('does not let the host use the rights of the roles unasked', async () => {
    const { owner, schema } = await made();
    await as(owner, async (sql) => sql.unsafe(`create table ${schema}.t (n int)`));
    await expect(modules().sql.unsafe(`select * from ${schema}.t`)).rejects.toThrow('permission denied');
  });

  test('run twice at once makes one', async () => {
    const names = installationNames('test2', randomUUID());
    await Promise.all(
      [1, 2, 3].map(async () => createInstallationSchema(modules().sql, names, rolePassword)),
    );
    const found = await modules()
      .sql`select 1 from pg_roles where rolname in (${names.login}, ${names.owner})`;
    expect(found).toHaveLength(2);
  });
});

describe('dropInstallationSchema', () => {
  test('leaves nothing: no schema, no role, no right', async () => {
    const names = await made();
    await as(names.owner, async (sql) => sql.unsafe(`create table ${names.schema}.t (n int)`));
    await dropInstallationSchema(modules().sql, names);
    const left = await modules().sql`
      select nspname as name from pg_namespace where nspname = ${names.schema}
      union all select rolname from pg_roles where rolname in (${names.owner}, ${names.login})
      union all select datname from pg_database where datacl::text like ${`%${names.login}%`}`;
    expect(left).toEqual([]);
  });

  test('may be run again, and after half of it', async () => {
    const names = await made();
    await modules().sql.begin(async (sql) => {
      await sql.unsafe(`set local role ${names.owner}`);
      await sql.unsafe(`drop schema ${names.schema} cascade`);
    });
    await dropInstallationSchema(modules().sql, names);
    await dropInstallationSchema(modules().sql, names);
    const left = await modules()
      .sql`select 1 from pg_roles where rolname in (${names.login}, ${names.owner})`;
    expect(left).toEqual([]);
  });

  test('ends sessions that are still there', async () => {
    const names = await made();
    await as(names.owner, async (sql) => sql.unsafe(`create table ${names.schema}.t (n int)`));
    // A client that survives the loss; the one of as() may wait for ever (docs/decisions/0008).
    const endpoint = { ...modules().endpoint, user: names.login, password: rolePassword(names.login) };
    await using host = connectHost(endpoint, { max: 1 });
    const dropped = Promise.withResolvers<void>();
    const held = host.sql.begin(async (sql) => {
      await sql.unsafe(`select * from ${names.schema}.t`);
      dropped.resolve(dropInstallationSchema(modules().sql, names));
      await dropped.promise;
      return sql`select 1`;
    });
    await expect(held).rejects.toThrow(/terminat|CONNECTION|password/);
    await dropped.promise;
    const [role] = await modules().sql`select 1 from pg_roles where rolname = ${names.login}`;
    expect(role).toBeUndefined();
  });
});

describe('the modules’ database', () => {
  test('is made once, by a host with CREATEDB', async () => {
    const database = `test_modules_made_${process.pid}`;
    try {
      await createModulesDatabase(modules().sql, database);
      await createModulesDatabase(modules().sql, database);
      await using connection = connectHost({ ...modules().endpoint, database }, { max: 1 });
      await prepareModulesDatabase(connection.sql);
      await prepareModulesDatabase(connection.sql);
      const [acl] =
        await connection.sql`select datacl::text as acl from pg_database where datname = ${database}`;
      expect(acl?.['acl']).not.toMatch(/[{,]=/);
    } finally {
      await asAdmin(`drop database if exists ${database} with (force)`);
    }
  });

  test('and the host’s are closed to each other’s roles', async () => {
    const { login } = await made();
    await expect(
      as(login, async (sql) => sql`select 1`, rolePassword(login), host().endpoint),
    ).rejects.toThrow('permission denied for database');
  });

  test('is closed by being prepared: to roles that nobody let in, and to temporary tables', async () => {
    const database = `closed_${randomUUID().replaceAll('-', '')}`;
    await using other = connectHost(host().endpoint, { max: 1 });
    await createModulesDatabase(other.sql, database);
    try {
      const endpoint = { ...host().endpoint, database };
      const { login: stranger } = await made();
      await using opened = connectHost(endpoint, { max: 1 });
      await prepareModulesDatabase(opened.sql);
      await expect(
        as(stranger, async (sql) => sql`select 1`, rolePassword(stranger), endpoint),
      ).rejects.toThrow('permission denied for database');
      const names = installationNames('test2', randomUUID());
      await createInstallationSchema(opened.sql, names, rolePassword);
      const making = as(
        names.login,
        async (sql) => sql`create temp table t (a int)`,
        rolePassword(names.login),
        endpoint,
      );
      await expect(making).rejects.toThrow('permission denied to create temporary tables');
      await dropInstallationSchema(opened.sql, names);
    } finally {
      await asAdmin(`drop database if exists ${database} with (force)`);
    }
  });

  test('prepared by a superuser also loses the functions no module needs', async () => {
    await using database = await testModulesDatabase();
    await using admin = connectHost(database.admin, { max: 1 });
    await prepareModulesDatabase(admin.sql);
    const names = installationNames('test2', randomUUID());
    await createInstallationSchema(database.sql, names, rolePassword);
    const call = async (text: string) =>
      as(names.login, async (sql) => sql.unsafe(text), rolePassword(names.login), database.endpoint);
    for (const text of [
      'select pg_advisory_lock(1)',
      'select pg_sleep(0)',
      'select lo_create(0)',
      "select pg_notify('a', 'b')",
      "select query_to_xml('select 1', true, true, '')",
      "do 'begin end'",
    ]) {
      await expect(call(text)).rejects.toThrow('permission denied');
    }
    expect(await call('select now() is not null as works')).toEqual([{ works: true }]);
    await dropInstallationSchema(database.sql, names);
  });
});
