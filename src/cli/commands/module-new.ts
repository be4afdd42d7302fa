/**
 * `bulkhead module new`: a module to begin with. It is one of the folders in ../scaffold with its name replaced: real code that
 * this project checks with the rest of itself, so that it cannot fall behind what a module may import. A Product begins as the module
 * that ships as the model of one; its folder in ../scaffold holds only what differs.
 */
import { Command } from 'commander';
import { mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { nearest } from '../../../sandbox/contract/grant.ts';
import { parseManifest } from '../../../sandbox/contract/manifest.ts';
import { MANIFEST_SCHEMA, manifestSchema } from '../manifest-schema.ts';
import { linkForEditor, TSCONFIG, TSCONFIG_TEXT } from '../editor.ts';
import type { Say } from './module-files.ts';

const SCAFFOLD = fileURLToPath(new URL('../scaffold/', import.meta.url));
/** What a scaffold is laid over, where it does not stand alone. */
const GROUND: Readonly<Record<string, string>> = {
  Product: fileURLToPath(new URL('../../../modules/Product/MyCloudService/', import.meta.url)),
};
const MODULE_JSON = 'module.json';
/** What the scaffolds' own modules are called, and the words for it. */
const MODEL = { name: 'MyCloudService', title: 'My Cloud Service' } as const;

interface ScaffoldFile {
  readonly name: string;
  readonly text: string;
}

/** 'MyCloudService' → 'My Cloud Service', 'DNSZones' → 'DNS Zones' */
export function titleOf(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2');
}

async function types(): Promise<string[]> {
  const entries = await readdir(SCAFFOLD, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** @throws HostError BAD_INPUT naming what is expected */
async function readName(typeAndName: string): Promise<{ type: string; name: string }> {
  const [type = '', name = '', ...rest] = typeAndName.split('/');
  if (name === '' || rest.length > 0)
    throw new HostError(
      'BAD_INPUT',
      `"${typeAndName}": a type and a name are expected, such as Product/MyCloudService.`,
    );
  const known = await types();
  if (known.includes(type)) return { type, name };
  const guess = nearest(type, known);
  const hint = guess === undefined ? `There are ${known.join(', ')}.` : `Did you mean "${guess}"?`;
  throw new HostError('BAD_INPUT', `There is no module type "${type}" to begin with. ${hint}`);
}

/** Path below the folder → path. */
async function filesBelow(root: string): Promise<[string, string][]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => [path.relative(root, file), file]);
}

async function scaffoldFiles(type: string, name: string): Promise<ScaffoldFile[]> {
  const own = path.join(SCAFFOLD, type);
  const ground = GROUND[type];
  const files = new Map([
    ...(ground === undefined ? [] : await filesBelow(ground)),
    ...(await filesBelow(own)),
  ]);
  const named = (text: string): string =>
    text
      .replaceAll(MODEL.name, name)
      .replaceAll(MODEL.title, titleOf(name))
      .replace(/"\$schema": "[^"]*"/, `"$schema": "./${MANIFEST_SCHEMA}"`);
  const made = await Promise.all(
    [...files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(async ([relative, file]) => ({
        name: named(relative),
        text: named(await readFile(file, 'utf8')),
      })),
  );
  // So that an editor knows module.json's keys and what 'bulkhead' is, wherever the folder stands; they are not packed.
  return [
    ...made,
    { name: TSCONFIG, text: TSCONFIG_TEXT },
    { name: MANIFEST_SCHEMA, text: `${JSON.stringify(manifestSchema(), null, 2)}\n` },
  ];
}

/** @throws HostError CONFLICT for anything but an empty folder or nothing */
async function refuseUnlessFree(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') return ['a file'];
    throw error;
  });
  if (found.length > 0) throw new HostError('CONFLICT', `${folder} is not empty; give another folder.`);
}

/** Puts all files in place at once: they are written beside, and the folder is renamed. */
async function writeFolder(folder: string, files: readonly ScaffoldFile[]): Promise<void> {
  const unfinished = `${folder}.${process.pid}.part`;
  try {
    for (const { name, text } of files) {
      const file = path.join(unfinished, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    await rmdir(folder).catch(() => undefined);
    await rename(unfinished, folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Makes a module's folder.
 * @param typeAndName `Product/MyCloudService`
 * @param dir where; `modules/{Type}/{Name}` below the present folder otherwise
 * @returns the folder's path
 * @throws HostError BAD_INPUT for a bad type or name, CONFLICT for a folder that is not empty
 */
export async function newModule(typeAndName: string, dir: string | undefined, say: Say): Promise<string> {
  const { type, name } = await readName(typeAndName);
  const files = await scaffoldFiles(type, name);
  // Judges the name as a panel would, before anything is written.
  parseManifest(JSON.parse(files.find((file) => file.name === MODULE_JSON)?.text ?? ''));
  const folder = path.resolve(dir ?? path.join('modules', type, name));
  await refuseUnlessFree(folder);
  await writeFolder(folder, files);
  await linkForEditor(folder);
  say(folder);
  for (const file of files) say(`  ${file.name}`);
  const where = path.relative(process.cwd(), folder) || '.';
  say(`Next: bulkhead module dev ${where} opens a panel with it; README.md there says the rest.`);
  return folder;
}

/** The subcommand, for `bulkhead module`. */
export function moduleNewCommand(): Command {
  return new Command('new')
    .description('Make a module to begin with')
    .argument('<type/name>', 'such as Product/MyCloudService')
    .argument('[dir]', 'the folder to make; modules/{Type}/{Name} if absent')
    .action(async (typeAndName: string, dir: string | undefined) => {
      await newModule(typeAndName, dir, (text) => console.log(text));
    });
}
