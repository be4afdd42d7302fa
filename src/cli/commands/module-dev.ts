/** `bulkhead module dev`: a panel with the module in it, loaded again on every save, until Ctrl-C. */
import { once } from 'node:events';
import path from 'node:path';
import { Command } from 'commander';
import { startDev } from '../dev/dev.ts';
import { createConsoleLog } from '../log.ts';

interface DevCommandOptions {
  readonly port: string;
  readonly data: string;
  readonly cloud?: boolean;
  readonly verbose?: boolean;
}

/** The subcommand, for `bulkhead module`. */
export function moduleDevCommand(): Command {
  return new Command('dev')
    .description('Try a module in a panel on this machine, loaded again on every save')
    .argument('[folder]', 'the folder with module.json in it', '.')
    .option('--port <number>', 'port to listen on; 0 takes any free one', '4310')
    .option('--data <folder>', 'where the database is kept', '.bulkhead/dev')
    .option('--cloud', 'also start the fake cloud, and let the module reach it')
    .option('--verbose', 'log what happens inside')
    .action(async (folder: string, { port, data, cloud = false, verbose = false }: DevCommandOptions) => {
      const dev = await startDev({
        folder: path.resolve(folder),
        dataDir: path.resolve(data),
        port: Number(port),
        cloud,
        say: (line) => console.log(line),
        log: createConsoleLog(verbose),
      });
      await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
      console.log('\nStopping …');
      await dev.close();
    });
}
