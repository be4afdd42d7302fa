#!/usr/bin/env node
/** `bulkhead`: the one command for operators and authors. Each subcommand stands in a file of its own under commands/. */
import { Command } from 'commander';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { backupCommand, restoreCommand } from './commands/backup.ts';
import { doctorCommand } from './commands/doctor.ts';
import { keysCommand } from './commands/keys.ts';
import { startCommand } from './commands/start.ts';
import { moduleCommand } from './commands/module.ts';
import { ownVersion } from './version.ts';

const program = new Command('bulkhead')
  .description('A host for sandboxed modules.')
  .version(ownVersion())
  .showHelpAfterError();
program.addCommand(startCommand());
program.addCommand(moduleCommand());
program.addCommand(doctorCommand());
program.addCommand(keysCommand());
program.addCommand(backupCommand());
program.addCommand(restoreCommand());

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof HostError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
