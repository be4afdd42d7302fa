/** `bulkhead start --demo` (npm start): the server with a seeded host and a fake cloud, on loopback, with random passwords that are printed. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { type FakeCloud, spawnFakeCloud } from '../../fakecloud/spawn.ts';
import type { FakeCloudOptions } from '../../fakecloud/options.ts';
import { startServer, type Server, type ServerOptions } from '../../main.ts';
import { publishModules, seedAccounts } from './seed.ts';
import { type DemoState, readDemoState, writeDemoState } from './state.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

export interface Demo {
  readonly server: Server;
  readonly cloud: FakeCloud;
  readonly state: DemoState;
  close(): Promise<void>;
}

/**
 * @param cloudOptions other than the fake cloud's defaults, for example shorter delays
 * @throws HostError for a demo that others could reach, or on a database that is not its own
 */
export async function startDemo(
  options: ServerOptions,
  cloudOptions: Partial<FakeCloudOptions> = {},
): Promise<Demo> {
  if (!LOOPBACK.has(options.host))
    throw new HostError(
      'BAD_INPUT',
      'The demo listens on loopback only: leave out --host, or start without --demo.',
    );
  if (options.databaseUrl !== undefined) {
    throw new HostError(
      'BAD_INPUT',
      'The demo seeds accounts and uses a database of its own: unset DATABASE_URL, or run "bulkhead start".',
    );
  }
  console.log('Starting Bulkhead …');
  const state = await readDemoState(options.dataDir);
  const cloud = await startCloud(state, cloudOptions);
  try {
    const kept: DemoState = {
      ...state,
      cloud: { ...state.cloud, port: portOf(cloud.cloud), smtpPort: cloud.smtp.port },
    };
    await writeDemoState(options.dataDir, kept);
    const server = await startServer(options);
    const demo: Demo = {
      server,
      cloud,
      state: kept,
      close: async () => {
        await server.close();
        await cloud.stop();
      },
    };
    await seed(demo);
    announce(demo);
    return demo;
  } catch (error) {
    await cloud.stop();
    throw error;
  }
}

/** The fake cloud's own ports again, so that settings saved earlier still lead to it; any others if those are taken. */
async function startCloud(state: DemoState, more: Partial<FakeCloudOptions>): Promise<FakeCloud> {
  const { token: cloudToken, controlToken, stripeKey, slackToken, smtpPassword } = state.cloud;
  const options = { ...more, cloudToken, controlToken, stripeKeys: [stripeKey], slackToken, smtpPassword };
  try {
    return await spawnFakeCloud({ ...options, port: state.cloud.port, smtpPort: state.cloud.smtpPort });
  } catch {
    return spawnFakeCloud(options);
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

async function seed({ server, cloud, state }: Demo): Promise<void> {
  try {
    await seedAccounts(server.bulkhead, state, [portOf(cloud.cloud), cloud.smtp.port]);
    await publishModules(server.bulkhead, state, (line) => console.log(`  ${line}`));
  } catch (error) {
    await server.close();
    throw error;
  }
}

function announce({ server, cloud, state }: Demo): void {
  const lines = [
    '',
    `  Bulkhead is ready: ${server.url ?? ''}`,
    '',
    ...state.tenants.flatMap((tenant) => [
      `  ${tenant.name}`,
      `    admin   ${server.url}/t/${tenant.slug}/admin    ${tenant.admin.email}   ${tenant.admin.password}`,
      `    client  ${server.url}/t/${tenant.slug}    ${tenant.client.email}   ${tenant.client.password}`,
    ]),
    '  Operator',
    `            ${server.url}/operator    ${state.operator.email}   ${state.operator.password}`,
    '  Fake cloud (what the modules provision; break it on purpose there)',
    `            ${cloud.cloud}`,
    `    VPS Hosting   API address ${cloud.cloud}   key ${state.cloud.token}`,
    `    Stripe        API and payment page ${cloud.cloud}   secret key ${state.cloud.stripeKey}`,
    `                  (its webhook: add the address that the panel shows on the fake cloud's page, and save the secret that it shows)`,
    `    Slack         webhook ${cloud.slack}`,
    `    Email         server 127.0.0.1, port ${cloud.smtp.port}, no encryption   user ${cloud.smtp.username}   password ${cloud.smtp.password}`,
    '',
    '  Ctrl-C stops everything.',
    '',
  ];
  console.log(lines.join('\n'));
}
