/** Key rotation without downtime: `bulkhead keys rotate` while two hosts run on one database, with secrets and encrypted texts in use. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { openGround, seedTenant, startHost } from '../support/host.ts';
import { Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const run = promisify(execFile);

const MEMBERS = `
  async createJob() { return { status: 'success' }; }
  sign(text) { return this.secrets.hmac('api_key', text); }
  seal(text) { return this.crypt.encryptString(text); }
  unseal(sealed) { return this.crypt.decryptString(sealed); }
`;

/** Which master key a blob is under: bytes 1 to 4. */
const keyOf = (blob: Uint8Array): string => Buffer.from(blob.subarray(1, 5)).toString('hex');

it('a new key takes over while hosts run; older blobs open meanwhile and afterwards', async () => {
  await using ground = await openGround();
  await using first = await startHost(ground);
  await using second = await startHost(ground);
  const onFirst = await seedTenant(first.bulkhead);
  await first.publish({
    name: 'Keeper',
    members: MEMBERS,
    manifest: {
      settings: [{ key: 'api_key', type: 'secret', title: 'Key' }],
      permissions: { tasks: true, secrets: { api_key: { title: 'Key', hosts: [] } } },
    },
  });
  await onFirst.installed('Keeper', { api_key: 'a-long-secret-value' });
  const onSecond = await Tenant.find(second.bulkhead, onFirst.slug);
  const signature = await onFirst.call('Keeper', 'sign', 'text');
  const sealed = await onFirst.call('Keeper', 'seal', 'before');
  const { db } = first.bulkhead.panel;
  const keys = async () => {
    const rows = await db.selectFrom('secrets').select('ciphertext').execute();
    const identity = await db
      .selectFrom('settings')
      .select('value')
      .where('key', '=', 'deployment')
      .executeTakeFirstOrThrow();
    const blobs = [
      ...rows.map((row) => row.ciphertext),
      Buffer.from((identity.value as { sealed: string }).sealed, 'base64'),
    ];
    return blobs.map(keyOf);
  };
  const [old] = await keys();

  const { stdout } = await run(process.execPath, [MAIN, 'keys', 'rotate', '--data', ground.dataDir], {
    env: { PATH: process.env['PATH'] },
  });
  expect(stdout).toContain('a new key stands first; 1 older');
  expect((await stat(join(ground.dataDir, 'master.key'))).mode & 0o777).toBe(0o600);

  await until(
    'all that the host keeps is under the new key',
    async () => !(await keys()).includes(old ?? ''),
  );
  expect(new Set(await keys()).size).toBe(1);
  const after = await onFirst.call('Keeper', 'seal', 'after');
  for (const tenant of [onFirst, onSecond]) {
    expect(await tenant.call('Keeper', 'sign', 'text')).toBe(signature);
    expect(await tenant.call('Keeper', 'unseal', sealed)).toBe('before');
    expect(await tenant.call('Keeper', 'unseal', after)).toBe('after');
  }
  await using third = await startHost(ground);
  const onThird = await Tenant.find(third.bulkhead, onFirst.slug);
  expect(await onThird.call('Keeper', 'unseal', sealed)).toBe('before');
  expect(await onThird.call('Keeper', 'sign', 'text')).toBe(signature);
  expect([...first.faults, ...second.faults, ...third.faults]).toEqual([]);
});

it('is refused where the key comes from the environment, and before there is one', async () => {
  const rotate = (folder: string, more: Record<string, string>) =>
    run(process.execPath, [MAIN, 'keys', 'rotate', '--data', folder], {
      env: { PATH: process.env['PATH'], ...more },
    }).then(
      () => 'done',
      (error: { stderr: string }) => error.stderr,
    );
  expect(await rotate('/nonexistent', { BULKHEAD_MASTER_KEY: 'x' })).toContain(
    'comes from BULKHEAD_MASTER_KEY',
  );
  expect(await rotate('/nonexistent', {})).toContain('There is no /nonexistent/master.key');
});
