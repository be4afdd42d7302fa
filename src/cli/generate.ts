/**
 * Writes what is derived from other files: the tables' types from the migrations, and the reference pages from the contract. With
 * --check it writes nothing and fails if something on disk differs.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectHost } from '../database/connect.ts';
import { startEmbedded } from '../database/embedded/start.ts';
import { renderTables } from '../database/generate-tables.ts';
import { migrate } from '../database/migrate.ts';
import { renderReference } from './reference.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

async function renderTablesFromMigrations(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bulkhead-generate-'));
  try {
    await using postgres = await startEmbedded({ dataDir });
    const endpoint = postgres.endpoint();
    await migrate(endpoint, join(ROOT, 'migrations'));
    await using connection = connectHost(endpoint, { max: 1 });
    return await renderTables(connection.sql);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function formatted(path: string, text: string): string {
  const result = spawnSync('oxfmt', ['--stdin-filepath', path], { input: text, encoding: 'utf8', cwd: ROOT });
  if (result.status !== 0) throw new Error(`oxfmt: ${result.stderr}`);
  return result.stdout;
}

const outputs = new Map([
  ['src/database/tables.ts', await renderTablesFromMigrations()],
  ...renderReference(),
]);
const check = process.argv.includes('--check');
let different = 0;
for (const [name, text] of outputs) {
  const path = join(ROOT, name);
  const wanted = formatted(path, text);
  const present = await readFile(path, 'utf8').catch(() => '');
  if (present === wanted) continue;
  different++;
  console.log(`${check ? 'differs' : 'written'}: ${relative(ROOT, path)}`);
  if (check) continue;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, wanted);
}
if (check && different > 0) {
  console.error('Generated files differ from what they are generated from. Run: npm run generate');
  process.exitCode = 1;
}
