/**
 * `bulkhead module verify`: reads a package as a panel would and says what it is: who signed it, what is in it, and what it asks for in
 * the words that the consent page uses. What comes out of the package is a stranger's text and is shown with its control characters visible.
 */
import { Command } from 'commander';
import { capabilities } from '../../../sandbox/contract/capabilities.ts';
import { wordsOf, type Ask } from '../../../sandbox/contract/grant.ts';
import { parseManifest, type Manifest } from '../../../sandbox/contract/manifest.ts';
import { readArchive } from '../../store/package/archive.ts';
import { PACKAGE_LIMITS } from '../../store/package/limits.ts';
import { readPackage } from '../../store/package/read.ts';
import { visible } from '../../store/package/refusal.ts';
import { readInput, type Say } from './module-files.ts';

function askLine(ask: Ask): string {
  const { text, risk } = wordsOf(ask, capabilities);
  const notes = [risk === 'low' ? '' : `${risk} risk`, ask.optional ? 'optional' : ''].filter(
    (note) => note !== '',
  );
  const reason = ask.reason === '' ? '' : `\n      Why: ${visible(ask.reason)}`;
  return `  - ${visible(text)}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}${reason}`;
}

function permissionLines({ asks }: Manifest): string[] {
  if (asks.length === 0) return ['It asks for nothing.'];
  const names = [...new Set(asks.map((ask) => ask.capability))];
  const titleOf = new Map<string, string>(
    Object.entries(capabilities).map(([name, { title }]) => [name, title]),
  );
  return [
    'It asks for:',
    ...names.flatMap((name) => [
      `  ${titleOf.get(name) ?? name}`,
      ...asks.filter((ask) => ask.capability === name).map(askLine),
    ]),
  ];
}

/** Checks a package file and says what it is. @throws HostError BAD_INPUT with the reason, NOT_FOUND */
export async function verifyFile(file: string, say: Say): Promise<void> {
  const bytes = await readInput(file);
  const contents = await readPackage(bytes);
  const manifest = parseManifest(contents.manifest);
  const files = await readArchive(bytes, PACKAGE_LIMITS);
  say(`${contents.publisher}/${contents.name} ${contents.version}: ${visible(manifest.title)}`);
  say(`signed by    ${contents.publisher}, key ${contents.fingerprint}`);
  say(`sha256       ${contents.sha256}`);
  say(`host         ${visible(manifest.host)}`);
  say(`files        ${files.length}`);
  for (const entry of files) say(`  ${String(entry.bytes.length).padStart(8)}  ${visible(entry.path)}`);
  for (const line of permissionLines(manifest)) say(line);
}

/** The subcommand, for `bulkhead module`. */
export function moduleVerifyCommand(): Command {
  return new Command('verify')
    .description('Check a package and say what it is and asks for')
    .argument('<file>', 'a signed package')
    .action(async (file: string) => {
      await verifyFile(file, (text) => console.log(text));
    });
}
