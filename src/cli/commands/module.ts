/** `bulkhead module …`: what a module's author does. */
import { Command } from 'commander';
import { modulePackCommand } from './module-pack.ts';

export function moduleCommand(): Command {
  return new Command('module').description('Write, pack and sign modules').addCommand(modulePackCommand());
}
