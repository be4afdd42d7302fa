/** `bulkhead doctor`: what an operator should know and mend before trusting this host. Exits 1 if something must be mended. */
import { Command } from 'commander';
import { resolve } from 'node:path';
import { runChecks, type Verdict } from '../doctor/checks.ts';

const MARKS: Readonly<Record<Verdict, string>> = { ok: '✓', warning: '!', failed: '✗' };

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check whether this machine and its settings fit')
    .option('--data <folder>', 'the data folder', process.env['BULKHEAD_DATA'] ?? '.bulkhead')
    .action(async (options: { readonly data: string }) => {
      const findings = await runChecks({
        dataDir: resolve(options.data),
        env: process.env,
        nodeVersion: process.versions.node,
        isRoot: process.getuid?.() === 0,
        platform: process.platform,
      });
      for (const { name, verdict, text } of findings) console.log(`${MARKS[verdict]} ${name}: ${text}`);
      if (findings.some((finding) => finding.verdict === 'failed')) process.exitCode = 1;
    });
}
