/** Modules made for a test: a few lines of TypeScript and a manifest become a signed package. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeyPair } from '../../src/store/package/keys.ts';
import { packModule } from '../../src/store/package/pack.ts';
import { signPackage } from '../../src/store/package/sign.ts';

export interface Publisher {
  readonly publisher: string;
  readonly privateKey: string;
}

export interface ModuleSource {
  readonly name: string;
  readonly type?: 'Product' | 'Plugin' | 'Payment' | 'Notification';
  readonly version?: string;
  /** The body of the module's class. */
  readonly members?: string;
  /** Above the class: helpers, more imports. */
  readonly prelude?: string;
  readonly manifest?: Readonly<Record<string, unknown>>;
  /** More files, or others in place of the generated ones: path → text. */
  readonly files?: Readonly<Record<string, string>>;
}

export const PUBLISHER: Publisher = { publisher: 'test-house', privateKey: generateKeyPair().privateKeyPem };

/** A publisher with a key of its own. */
export function newPublisher(publisher: string): Publisher {
  return { publisher, privateKey: generateKeyPair().privateKeyPem };
}

export function fixtureFolder(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

export function shippedFolder(path: string): string {
  return fileURLToPath(new URL(`../../modules/${path}`, import.meta.url));
}

export async function packFolder(folder: string, publisher: Publisher = PUBLISHER): Promise<Uint8Array> {
  return signPackage(await packModule(folder), publisher);
}

export async function packSource(
  source: ModuleSource,
  publisher: Publisher = PUBLISHER,
): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'bulkhead-module-'));
  try {
    for (const [path, text] of Object.entries(filesOf(source))) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return await packFolder(folder, publisher);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The package of a folder with some files changed: path → text. */
export async function packChanged(
  folder: string,
  files: Readonly<Record<string, string>>,
  publisher: Publisher = PUBLISHER,
): Promise<Uint8Array> {
  const copy = await mkdtemp(join(tmpdir(), 'bulkhead-module-'));
  try {
    await cp(folder, copy, { recursive: true });
    for (const [path, text] of Object.entries(files)) await writeFile(join(copy, path), text);
    return await packFolder(copy, publisher);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function filesOf(source: ModuleSource): Record<string, string> {
  const { name, type = 'Product', version = '1.0.0', members = '', prelude = '' } = source;
  const manifest = { name, type, title: name, description: '', version, ...source.manifest };
  return {
    'module.json': JSON.stringify(manifest),
    [`${name}.ts`]: `import { ${type}, sql } from 'bulkhead';\n${prelude}\nexport default class ${name} extends ${type} {\n${members}\n}\nvoid sql;\n`,
    ...source.files,
  };
}
