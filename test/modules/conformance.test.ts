/**
 * Every module that ships holds what its type asks for. The folder says which there are: a new one is judged as soon as it is there, with
 * what its own test/conformance.ts gives to try it with.
 */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { conformance, type ConformanceOptions } from '../../src/kit/index.ts';
import { kitDatabases } from '../support/kit.ts';

const MODULES = fileURLToPath(new URL('../../modules', import.meta.url));

// A service's whole life with real waiting: on a busy machine more than a test is given.
vi.setConfig({ testTimeout: 120_000 });

const names = readdirSync(MODULES).flatMap((type) =>
  readdirSync(join(MODULES, type)).map((name) => `${type}/${name}`),
);

async function optionsOf(folder: string): Promise<ConformanceOptions> {
  const file = join(folder, 'test/conformance.ts');
  if (!existsSync(file)) return {};
  const { options } = (await import(pathToFileURL(file).href)) as { options: ConformanceOptions };
  return options;
}

it('there are modules to judge', () => {
  expect(names).toContain('Product/VPSHosting');
});

const databases = await kitDatabases();
for (const name of names) {
  const folder = join(MODULES, name);
  conformance(name, { ...(await optionsOf(folder)), databases, folder, test: it, after: afterAll });
}
