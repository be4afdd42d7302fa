/** `bulkhead module …`: what a module's author does. */
import { Command } from 'commander';
import { moduleCheckCommand } from './module-check.ts';
import { moduleDevCommand } from './module-dev.ts';
import { moduleKeygenCommand } from './module-keygen.ts';
import { moduleNewCommand } from './module-new.ts';
import { modulePackCommand } from './module-pack.ts';
import { modulePublishCommand } from './module-publish.ts';
import { moduleSignCommand } from './module-sign.ts';
import { moduleTestCommand } from './module-test.ts';
import { moduleVerifyCommand } from './module-verify.ts';

export function moduleCommand(): Command {
  return new Command('module')
    .description('Write, pack and sign modules')
    .addCommand(moduleNewCommand())
    .addCommand(moduleDevCommand())
    .addCommand(moduleCheckCommand())
    .addCommand(modulePackCommand())
    .addCommand(moduleKeygenCommand())
    .addCommand(moduleSignCommand())
    .addCommand(modulePublishCommand())
    .addCommand(moduleTestCommand())
    .addCommand(moduleVerifyCommand());
}
