/** A small module written to a folder that the test owns, and a publisher to sign it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { generateKeyPair } from '../../../src/store/package/keys.ts';
import { packModule } from '../../../src/store/package/pack.ts';
import { signPackage } from '../../../src/store/package/sign.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

export const MANIFEST = {
  name: 'Tiny',
  title: 'Tiny',
  description: 'The smallest module',
  version: '1.2.0',
  type: 'Plugin',
  host: '^1',
  logo: 'views/assets/img/logo.svg',
  events: { listens: ['ServiceCreated'] },
};

export const TINY: Files = {
  'module.json': JSON.stringify(MANIFEST),
  'Tiny.ts': `import { Plugin } from 'bulkhead';
import { double } from './services/math.ts';
export default class Tiny extends Plugin {
  declare module_name: string;
  answer(): number { return double(21); }
}
`,
  'hooks.ts': `import { on } from 'bulkhead';\non('ServiceCreated', () => undefined);\n`,
  'controllers/PageController.ts': `import { Controller } from 'bulkhead';
export default class PageController extends Controller { show(): string { return 'page'; } }
`,
  'controllers/ApiController.ts': `import { Controller } from 'bulkhead';
export default class ApiController extends Controller { list(): number[] { return [1]; } }
`,
  'services/math.ts': `export function double(n: number): number { return n * 2; }\n`,
  'models/types.ts': 'export interface Row { id: number }\n',
  'views/admin_area/page.liquid': '<p>{{ title }} żółw</p>\n',
  'views/client_area.liquid': '<p>client</p>\n',
  'views/assets/img/logo.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
  'views/assets/css/style.css': 'p { color: red }\n',
  'lang/en.json': '{"hello":"Hello"}',
  'lang/pl.json': '{"hello":"Cześć"}',
  'README.md': '# Tiny\n',
  'test/tiny.test.ts': 'throw new Error("never shipped");\n',
  'Tiny.test.ts': 'throw new Error("never shipped");\n',
  '.env': 'SECRET=1\n',
  '.git/hook.ts': 'never shipped\n',
  'views/.DS_Store': 'never shipped\n',
  'services/.old/math.ts': 'never shipped\n',
  'notes.txt': 'never shipped\n',
  'node_modules/left/index.ts': 'export const left = 1;\n',
};

export const PUBLISHER = { publisher: 'acme-hosting', keys: generateKeyPair() } as const;

/** Signs with the fixture's publisher. */
export function signTiny(unsigned: Uint8Array): Promise<Uint8Array> {
  return signPackage(unsigned, { publisher: PUBLISHER.publisher, privateKey: PUBLISHER.keys.privateKeyPem });
}

/** Runs a function with a folder that holds these files and is removed afterwards. */
export async function withFolder<T>(files: Files, run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'bulkhead-package-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), content);
    }
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Packs a module made of these files, unsigned. */
export function packFiles(files: Files, onWarning?: (text: string) => void): Promise<Uint8Array> {
  return withFolder(files, (folder) => packModule(folder, onWarning === undefined ? {} : { onWarning }));
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same bytes as base64url with one of the spare bits of its last character set. */
export function respell(text: string): string {
  return `${text.slice(0, -1)}${ALPHABET[ALPHABET.indexOf(text.slice(-1)) + 1]}`;
}
