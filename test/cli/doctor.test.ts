import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLauncher } from '../../sandbox/supervisor/launch.ts';
import { type DoctorInput, type Finding, runChecks } from '../../src/cli/doctor/checks.ts';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { asAdmin, useTestDatabase } from '../support/database.ts';
import { temporaryFolder } from '../support/embedded.ts';

const host = useTestDatabase();

async function findings(input: Partial<DoctorInput>): Promise<Record<string, Finding>> {
  const found = await runChecks({
    dataDir: '/nonexistent',
    env: {},
    nodeVersion: '24.21.0',
    isRoot: true,
    platform: 'linux',
    ...input,
  });
  return Object.fromEntries(found.map((finding) => [finding.name, finding]));
}

/** Whether a network namespace may be made, for example, which containers forbid. */
const DEPENDS_ON_THE_MACHINE = new Set(['Sandbox network', 'Sandbox walls']);

describe('doctor', () => {
  it.runIf(process.platform === 'linux')(
    'says what keeps sandbox processes in here, and what does not',
    async () => {
      const { noNetwork, missing } = createLauncher(true).isolation;
      const found = await findings({});
      expect(found['Sandbox network']?.verdict).toBe(noNetwork ? 'ok' : undefined);
      expect(found['Sandbox walls']?.text).toBe(missing.at(-1));
    },
  );

  it('finds nothing to mend on a good host', async () => {
    const found = await findings({
      env: { DATABASE_URL: formatEndpoint(host().endpoint), PUBLIC_URL: 'https://panel.example.com' },
    });
    const everywhere = Object.values(found).filter(({ name }) => !DEPENDS_ON_THE_MACHINE.has(name));
    expect(everywhere.map(({ name, verdict }) => [name, verdict])).toEqual([
      ['Node', 'ok'],
      ['Sandbox accounts', 'ok'],
      ['Public URL', 'ok'],
      ['Trusted proxies', 'ok'],
      ['Host mail', 'ok'],
      ['Master key', 'ok'],
      ['Disk', 'ok'],
      ['Database', 'ok'],
      ['Database role', 'ok'],
    ]);
  });

  it.each([
    ['Node', { nodeVersion: '20.1.0' }, 'failed', /24 is needed/],
    ['Sandbox accounts', { isRoot: false }, 'warning', /share this account/],
    ['Sandbox accounts', { platform: 'darwin' }, 'warning', /On darwin/],
    ['Public URL', { env: { PUBLIC_URL: 'panel' } }, 'failed', /is no address/],
    ['Public URL', { env: { PUBLIC_URL: 'http://panel.example.com' } }, 'warning', /not https/],
    ['Public URL', {}, 'warning', /not set/],
    [
      'Trusted proxies',
      { env: { BULKHEAD_TRUSTED_PROXIES: '10.0.0.0/8 proxy' } },
      'failed',
      /"proxy" is no address/,
    ],
    ['Trusted proxies', { env: { BULKHEAD_TRUSTED_PROXIES: '::/0' } }, 'warning', /everybody/],
    ['Host mail', { env: { BULKHEAD_SMTP_URL: 'mail.example.com' } }, 'failed', /is no mail server/],
    ['Host mail', { env: { BULKHEAD_SMTP_URL: 'smtp://mail.example.com' } }, 'failed', /is no sender/],
    ['Database', { env: { DATABASE_URL: 'mysql://x' } }, 'failed', /not a PostgreSQL address/],
  ] as const)('says of %s with %o: %s', async (name, input, verdict, text) => {
    expect((await findings(input))[name]).toMatchObject({ verdict, text: expect.stringMatching(text) });
  });

  it('sees a master key that others may read', async () => {
    using folder = temporaryFolder();
    const dataDir = folder.path;
    await writeFile(join(dataDir, 'master.key'), 'x');
    await chmod(join(dataDir, 'master.key'), 0o644);
    expect((await findings({ dataDir }))['Master key']).toMatchObject({ verdict: 'failed' });
    await chmod(join(dataDir, 'master.key'), 0o600);
    expect((await findings({ dataDir }))['Master key']).toMatchObject({ verdict: 'ok' });
  });

  it('sees a role that lacks a right, and one that has too many', async () => {
    const role = `doctor_${process.pid}`;
    await asAdmin(
      `create role ${role} login password 'x'`,
      `grant connect on database ${host().endpoint.database} to ${role}`,
    );
    try {
      const env = { DATABASE_URL: formatEndpoint({ ...host().endpoint, user: role, password: 'x' }) };
      expect((await findings({ env }))['Database role']).toMatchObject({
        verdict: 'failed',
        text: expect.stringContaining('CREATEROLE'),
      });
      await asAdmin(`alter role ${role} createrole`);
      expect((await findings({ env }))['Database role']).toMatchObject({
        verdict: 'failed',
        text: expect.stringContaining('CREATEDB'),
      });
      expect(
        (await findings({ env: { ...env, MODULES_DATABASE_URL: 'postgres://x@y/z' } }))['Database role'],
      ).toMatchObject({ verdict: 'ok' });
    } finally {
      await asAdmin(
        `revoke connect on database ${host().endpoint.database} from ${role}`,
        `drop role ${role}`,
      );
    }
    expect(
      (await findings({ env: { DATABASE_URL: formatEndpoint(host().admin) } }))['Database role'],
    ).toMatchObject({ verdict: 'warning' });
  });
});
