import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';

import { sql } from 'kysely';
import * as v from 'valibot';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { createCryptBroker } from '../../src/brokers/crypt.ts';
import { createSecretsBroker } from '../../src/brokers/secrets.ts';
import { createKeyring } from '../../src/secrets/keyring.ts';
import { Vault } from '../../src/secrets/vault.ts';
import { useTestDatabase } from '../support/database.ts';
import { testScope } from './http-support.ts';
import { twoInstallations } from './secrets-support.ts';

const host = useTestDatabase();
const KEY = randomBytes(32);
const GRANT = { names: { api_key: { title: 'API key', hosts: ['api.example.test'] } } };
let one = '';
let two = '';

beforeAll(async () => {
  [one, two] = await twoInstallations(host().db);
});

function vault(masterKeys: readonly Uint8Array[] = [KEY], now?: () => number): Vault {
  return new Vault({
    db: host().db,
    keyring: createKeyring(masterKeys),
    ...(now === undefined ? {} : { now }),
  });
}

describe('the number of an installation’s secrets', () => {
  it('holds, however many are stored at once', async () => {
    const [full] = await twoInstallations(host().db);
    const kept = vault();
    for (let n = 0; n < 97; n++) await kept.put(full, `before_${n}`, 'some value or other');
    // Every connection of the pool stands before they start together.
    await Promise.all(Array.from({ length: 20 }, async () => sql`select pg_sleep(0.1)`.execute(host().db)));
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => kept.put(full, `at_once_${n}`, 'some value or other')),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(Object.keys(await kept.handles(full))).toHaveLength(100);
    // One that is there is replaced all the same.
    await kept.put(full, 'before_1', 'another value');
  });
});

describe('vault', () => {
  it('keeps a value under a handle that stays when the value changes', async () => {
    const kept = vault();
    const handle = await kept.put(one, 'token', 'first value', ['api.example.test']);
    expect(await kept.put(one, 'token', 'second value')).toBe(handle);
    expect(await kept.handles(one)).toMatchObject({ token: handle });
    const { byHandle, redactor } = await kept.open(one);
    expect(byHandle.get(handle)).toEqual({ name: 'token', handle, value: 'second value', hosts: [] });
    expect(redactor.text('the second value')).toBe(`the ${handle}`);
  });

  it('gives one installation nothing of another', async () => {
    const kept = vault();
    const handle = await kept.put(one, 'shared_name', 'value of one');
    expect((await kept.open(two)).byHandle.has(handle)).toBe(false);
    expect(await kept.handles(two)).not.toHaveProperty('shared_name');
  });

  it('writes no value that can be read in the database, and opens no row that was moved', async () => {
    const kept = vault();
    await kept.put(one, 'moved', 'a value to move');
    const row = await host()
      .db.selectFrom('secrets')
      .selectAll()
      .where('name', '=', 'moved')
      .executeTakeFirstOrThrow();
    expect(row.ciphertext.includes('a value')).toBe(false);
    const { id: _id, ...copy } = row;
    await host()
      .db.insertInto('secrets')
      .values({ ...copy, installation_id: two, handle: randomUUID() })
      .execute();
    await expect(vault().open(two)).rejects.toThrow('enter it again');
    await vault().put(two, 'moved', 'entered again');
    expect(Object.keys(await vault().handles(two))).toContain('moved');
    await kept.remove(two, 'moved');
    await kept.remove(one, 'moved');
    expect(await kept.handles(one)).not.toHaveProperty('moved');
  });

  it('refuses a value too short to be recognised', async () => {
    await expect(vault().put(one, 'short', 'abc')).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('keeps so many for an installation and no more, though each may change', async () => {
    const [crowded] = await twoInstallations(host().db);
    const kept = vault();
    for (let index = 0; index < 100; index++) await kept.put(crowded, `name_${index}`, `value ${index}`);
    await expect(kept.put(crowded, 'one_more', 'value')).rejects.toMatchObject({ code: 'LIMIT' });
    await kept.put(crowded, 'name_7', 'another value');
    expect(Object.keys(await kept.handles(crowded))).toHaveLength(100);
  });

  it('sees a change of its own at once and another process’s within seconds', async () => {
    let now = 0;
    const [writer, reader] = [vault(), vault([KEY], () => now)];
    const handle = await writer.put(one, 'changing', 'value 1');
    const value = async () => (await reader.open(one)).byHandle.get(handle)?.value;
    expect(await value()).toBe('value 1');
    await writer.put(one, 'changing', 'value 2');
    expect((await writer.open(one)).byHandle.get(handle)?.value).toBe('value 2');
    expect(await value()).toBe('value 1');
    now += 5_000;
    expect(await value()).toBe('value 2');
    await writer.put(one, 'changing', 'value 3');
    reader.forget(one);
    expect(await value()).toBe('value 3');
  });

  it('asks again after a failure instead of keeping it', async () => {
    const wrong = createKeyring([randomBytes(32)]);
    const right = createKeyring([KEY]);
    let current = wrong;
    const switching = {
      seal: (...args: Parameters<typeof right.seal>) => right.seal(...args),
      isCurrent: (sealed: Uint8Array) => right.isCurrent(sealed),
      refresh: () => right.refresh(),
      open: (...args: Parameters<typeof right.open>) => current.open(...args),
    };
    const kept = new Vault({ db: host().db, keyring: switching });
    await vault().put(one, 'api_key', 'value');
    await expect(kept.open(one)).rejects.toThrow('enter it again');
    current = right;
    expect((await kept.open(one)).byHandle.size).toBeGreaterThan(0);
  });

  it('seals everything again under a new master key, after which the old one is not needed', async () => {
    const next = randomBytes(32);
    const handle = await vault().put(two, 'rotating', 'kept through rotation');
    const rotated = await vault([next, KEY]).rotate();
    expect(rotated).toBeGreaterThan(0);
    expect(await vault([next, KEY]).rotate()).toBe(0);
    expect((await vault([next]).open(two)).byHandle.get(handle)?.value).toBe('kept through rotation');
    await expect(vault().open(two)).rejects.toThrow('enter it again');
    await vault([KEY, next]).rotate();
  });
});

describe('a secret whose master key is gone', () => {
  it('keeps no other from being sealed again', async () => {
    const next = randomBytes(32);
    await vault([randomBytes(32)]).put(one, 'of_a_lost_key', 'lost');
    await vault().put(two, 'beside_it', 'kept beside it');
    await vault([next, KEY]).rotate();
    expect(await vault([next, KEY]).rotate()).toBe(0);
    expect([...(await vault([next]).open(two)).byHandle.values()].map(({ value }) => value)).toContain(
      'kept beside it',
    );
    await vault().remove(one, 'of_a_lost_key');
    await vault([KEY, next]).rotate();
  });
});

describe('secrets broker', () => {
  const setting = (installationId = one) => {
    const scope = testScope({ installationId });
    return { scope, broker: createSecretsBroker({ vault: vault() }) };
  };

  it('stores under a granted name and answers with a handle, never the value', async () => {
    const { scope, broker } = setting();
    const answer = await broker.put(scope, { name: 'api_key', value: 'from the module' }, GRANT);
    expect(answer).toEqual({ handle: expect.stringMatching(/^bhs_[0-9a-f]{40}$/) });
    expect(scope.uses).toEqual(['secrets.names:api_key']);
    expect((await vault().open(one)).byHandle.get(answer.handle)?.value).toBe('from the module');
  });

  it('refuses a name that is not granted, for every op', async () => {
    const { scope, broker } = setting();
    const refused = {
      code: 'NOT_GRANTED',
      message: 'secrets: secret other is not granted; add it to permissions.secrets',
    };
    const message = { name: 'other', algorithm: 'sha256', base64: '' } as const;
    await expect(broker.put(scope, { name: 'other', value: 'value' }, GRANT)).rejects.toMatchObject(refused);
    await expect(broker.hmac(scope, message, GRANT)).rejects.toMatchObject(refused);
    await expect(broker.verifyHmac(scope, { ...message, hex: '' }, GRANT)).rejects.toMatchObject(refused);
    await expect(broker.hmac(scope, { ...message, name: 'constructor' }, GRANT)).rejects.toMatchObject({
      code: 'NOT_GRANTED',
    });
  });

  it('computes and compares HMACs over bytes', async () => {
    const { scope, broker } = setting();
    await broker.put(scope, { name: 'api_key', value: 'whsec_żółw' }, GRANT);
    const bytes = randomBytes(100);
    for (const algorithm of ['sha1', 'sha256', 'sha512'] as const) {
      const input = { name: 'api_key', algorithm, base64: bytes.toString('base64') };
      const expected = createHmac(algorithm, 'whsec_żółw').update(bytes).digest('hex');
      expect(await broker.hmac(scope, input, GRANT)).toEqual({ hex: expected });
      const verify = async (hex: string) => (await broker.verifyHmac(scope, { ...input, hex }, GRANT)).valid;
      expect([await verify(expected), await verify(expected.toUpperCase())]).toEqual([true, true]);
      const wrong = [
        expected.slice(2),
        `${expected}00`,
        expected.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
        '',
        'zz',
        `${expected}zz`,
      ];
      for (const hex of wrong) expect(await verify(hex)).toBe(false);
    }
    await expect(
      broker.hmac(scope, { name: 'api_key', algorithm: 'sha256', base64: 'a*' }, GRANT),
    ).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('says that a secret has no value yet', async () => {
    const { scope, broker } = setting(two);
    const grant = { names: { webhook: { title: 'W', hosts: [] } } };
    await expect(
      broker.hmac(scope, { name: 'webhook', algorithm: 'sha256', base64: '' }, grant),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('crypt broker', () => {
  const broker = createCryptBroker({ keyring: createKeyring([KEY]) });
  const scope = (installationId: string) => testScope({ installationId });

  it('opens what the same installation sealed, and nothing of another', async () => {
    const { sealed } = await broker.encrypt(scope('one'), { text: 'żółw 🐢' }, {});
    expect(sealed).toMatch(/^bhc1\.[A-Za-z0-9_-]+$/);
    expect(await broker.decrypt(scope('one'), { sealed }, {})).toEqual({ text: 'żółw 🐢' });
    await expect(broker.decrypt(scope('two'), { sealed }, {})).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('refuses anything else with BAD_INPUT, a stored secret’s blob too', async () => {
    const { sealed } = await broker.encrypt(scope('one'), { text: 'x' }, {});
    const secret = createKeyring([KEY]).seal('secret', 'one', Buffer.from('value')).toString('base64url');
    for (const text of [
      '',
      'bhc1.',
      'plain',
      sealed.slice(0, -4),
      `${sealed}AAAA`,
      sealed.replace('bhc1', 'bhc2'),
      `bhc1.${secret}`,
      'bhc1.!!!!',
    ])
      await expect(broker.decrypt(scope('one'), { sealed: text }, {})).rejects.toMatchObject({
        code: 'BAD_INPUT',
      });
  });
});

describe('the secret of a row (A24)', () => {
  const broker = () => createSecretsBroker({ vault: vault() });
  const put = (name: string, hosts?: string[]) => {
    const { secrets } = capabilities;
    const input = v.parse(secrets.ops.put.input, { name, value: 'a value of a row', hosts });
    return broker().put(testScope({ installationId: one }), input, GRANT);
  };

  it('is kept under its own name, bound to the hosts given, and removed', async () => {
    const { handle } = await put('server.42', ['one.test:8443']);
    expect((await vault().open(one)).byHandle.get(handle)).toMatchObject({
      name: 'server.42',
      hosts: ['one.test:8443'],
    });
    await broker().remove(testScope({ installationId: one }), { name: 'server.42' }, GRANT);
    expect(await vault().handles(one)).not.toHaveProperty('server.42');
  });

  it('needs hosts, exact ones', async () => {
    await expect(put('server.42')).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(() => put('server.42', ['*.example.com'])).toThrow('without a wildcard');
    expect(() => put('server.42', [])).toThrow('Invalid length');
  });

  it('is no way to a declared one: neither its name nor other hosts for it', async () => {
    await expect(put('api_key', ['evil.test'])).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(put('other_key')).rejects.toMatchObject({ code: 'NOT_GRANTED' });
  });
});
