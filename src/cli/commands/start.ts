/** `bulkhead start`: the server until Ctrl-C. `--demo` seeds two tenants on loopback, starts the fake cloud and prints the logins. */
import { Command, Option } from 'commander';
import { resolve } from 'node:path';
import { startServer } from '../../main.ts';
import { startDemo } from '../demo/start.ts';
import { createConsoleLog } from '../log.ts';

interface StartOptions {
  readonly host: string;
  readonly port: string;
  readonly data: string;
  readonly publicUrl?: string;
  readonly role: 'both' | 'serve' | 'work';
  readonly demo?: boolean;
  readonly verbose?: boolean;
}

const DEFAULT_PORT = '4300';

export function startCommand(): Command {
  return new Command('start')
    .description('Start the panel and its workers')
    .option('--host <address>', 'address to listen on', process.env['HOST'] ?? '127.0.0.1')
    .option('--port <number>', 'port to listen on', process.env['PORT'] ?? DEFAULT_PORT)
    .option(
      '--data <folder>',
      'where the embedded database and the master key are kept',
      process.env['BULKHEAD_DATA'] ?? '.bulkhead',
    )
    .option('--public-url <url>', 'where browsers reach the panel', process.env['PUBLIC_URL'])
    .addOption(
      new Option('--role <role>', 'what this process does')
        .choices(['both', 'serve', 'work'])
        .default('both'),
    )
    .option('--demo', 'seed two demo tenants and start the fake cloud (loopback only)')
    .option('--verbose', 'log what happens inside')
    .action((options: StartOptions) => run(options));
}

async function run(options: StartOptions): Promise<void> {
  const log = createConsoleLog(options.verbose === true);
  const settings = {
    dataDir: resolve(options.data),
    host: options.host,
    port: Number(options.port),
    publicUrl: options.publicUrl,
    databaseUrl: process.env['DATABASE_URL'],
    modulesDatabaseUrl: process.env['MODULES_DATABASE_URL'],
    roles: { serve: options.role !== 'work', work: options.role !== 'serve' },
    log,
  };
  // From here on Ctrl-C means: as soon as what is being started can be stopped again.
  let stop: (() => Promise<void>) | undefined;
  let stopping = false;
  const onSignal = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    console.log('\nStopping …');
    void stop?.();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const running = options.demo === true ? await startDemo(settings) : await startPlain(settings);
  stop = async () => {
    await running.close();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    console.log('Stopped.');
  };
  if (stopping) await stop();
}

async function startPlain(settings: Parameters<typeof startServer>[0]): Promise<{ close(): Promise<void> }> {
  const server = await startServer(settings);
  console.log(`Bulkhead runs at ${server.url ?? 'no address: this process only works'}`);
  const token = await server.bulkhead.panel.auth.operatorLinks.create();
  if (token !== undefined && server.url !== undefined) {
    console.log(
      `There is no operator yet. Open this link once to become it:\n  ${server.url}/operator/first/${token}`,
    );
  }
  return server;
}
