/** `bulkhead module check`: every mistake a store would refuse the module for, and what it would regret later, without packing or a database. */
import path from 'node:path';
import { Command } from 'commander';
import type { Sandbox } from '../../../sandbox/supervisor/sandbox.ts';
import { packModule } from '../../store/package/pack.ts';
import { checkPackage, doubtsOf } from '../check.ts';
import type { Say } from './module-files.ts';
import { checkManifest } from './module-pack.ts';

/** @returns how many things are to be mended that a store would take. @throws HostError BAD_INPUT for what it would refuse */
export async function checkModule(folder: string, say: Say, sandbox?: Sandbox): Promise<number> {
  await checkManifest(folder);
  const checked = await checkPackage(await packModule(folder, { onWarning: say }), sandbox);
  const doubts = await doubtsOf(folder, checked);
  for (const doubt of doubts) say(`warning: ${doubt}`);
  const { manifest } = checked;
  if (doubts.length === 0) say(`${manifest.type}/${manifest.name} ${manifest.version}: nothing to mend.`);
  return doubts.length;
}

/** The subcommand, for `bulkhead module`. */
export function moduleCheckCommand(): Command {
  return new Command('check')
    .description('Say what a store would refuse, and what would not work')
    .argument('[folder]', 'the folder with module.json in it', '.')
    .action(async (folder: string) => {
      if ((await checkModule(path.resolve(folder), (text) => console.log(text))) > 0) process.exitCode = 1;
    });
}
