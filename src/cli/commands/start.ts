/** `bulkhead start`: the server until Ctrl-C. `--demo` seeds two tenants on loopback, starts the fake cloud and prints the logins. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { resolve } from 'node:path';
import { startServer, type ServerOptions } from '../../main.ts';
import { startDemo } from '../demo/start.ts';
import { createConsoleLog } from '../log.ts';

interface StartOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly publicUrl?: string;
  readonly role: 'both' | 'serve' | 'work';
  readonly demo?: boolean;
  readonly verbose?: boolean;
}

const DEFAULT_PORT = '4300';
const LAST_PORT = 65_535;

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > LAST_PORT)
    throw new InvalidArgumentError(`A number from 0 to ${LAST_PORT} is expected; 0 takes any free port.`);
  return port;
}

export function startCommand(): Command {
  return new Command('start')
    .description('Start the panel and its workers')
    .option('--host <address>', 'address to listen on', process.env['HOST'] ?? '127.0.0.1')
    .addOption(
      new Option('--port <number>', `port to listen on (default: ${DEFAULT_PORT})`)
        .env('PORT')
        .argParser(parsePort)
        .default(parsePort(DEFAULT_PORT), DEFAULT_PORT),
    )
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

interface Running {
  close(): Promise<void>;
}

async function run(options: StartOptions): Promise<void> {
  const log = createConsoleLog(options.verbose === true);
  const settings: ServerOptions = {
    dataDir: resolve(options.data),
    host: options.host,
    port: options.port,
    publicUrl: options.publicUrl,
    databaseUrl: process.env['DATABASE_URL'],
    modulesDatabaseUrl: process.env['MODULES_DATABASE_URL'],
    roles: { serve: options.role !== 'work', work: options.role !== 'serve' },
    log,
  };
  // From here on Ctrl-C means: as soon as what is being started can be stopped again.
  const asked = Promise.withResolvers<void>();
  let stopping = false;
  const onSignal = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    console.log('\nStopping …');
    asked.resolve();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const running = await start(settings, options.demo === true);
  await asked.promise;
  await running.close();
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  console.log('Stopped.');
}

/** A database of one's own is never seeded, so `npm start` with DATABASE_URL is a plain start. */
async function start(settings: ServerOptions, demo: boolean): Promise<Running> {
  if (!demo) return startPlain(settings);
  if (settings.databaseUrl !== undefined) {
    console.log('DATABASE_URL is set: that database is used and nothing is seeded; the demo is left out.');
    return startPlain(settings);
  }
  return startDemo(settings);
}

async function startPlain(settings: ServerOptions): Promise<Running> {
  const server = await startServer(settings);
  const token = await server.bulkhead.panel.auth.operatorLinks.create();
  // Last of all: whoever waits for this line may take everything as done.
  console.log(`Bulkhead runs at ${server.url ?? 'no address: this process only works'}`);
  if (token !== undefined && server.url !== undefined) {
    console.log(
      `There is no operator yet. Open this link once to become it:\n  ${server.url}/operator/first/${token}`,
    );
  }
  return server;
}
