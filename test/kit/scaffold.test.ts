/**
 * What `module new` makes, in a folder outside this repository with nothing installed beside it, and its own tests as its author runs them:
 * `bulkhead module test`. Each scaffold brings the guide's three tests and the conformance suite of its type.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { newModule } from '../../src/cli/commands/module-new.ts';
import { withFolder } from '../store/package/fixture.ts';
import { kitDatabases } from '../support/kit.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const TIMEOUT_MS = 120_000;
const run = promisify(execFile);

const databases = await kitDatabases();
const env = {
  PATH: process.env['PATH'],
  BULKHEAD_KIT_DATABASE_URL: databases.databaseUrl,
  BULKHEAD_KIT_MODULES_DATABASE_URL: databases.modulesDatabaseUrl,
  BULKHEAD_KIT_DATA: databases.dataDir,
};

async function moduleTest(folder: string): Promise<{ code: number; text: string }> {
  return run(process.execPath, [MAIN, 'module', 'test', folder], { env }).then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      text: error.stdout + error.stderr,
    }),
  );
}

it.each(['Product', 'Plugin', 'Payment', 'Notification'])(
  'a new %s passes its own tests and the conformance of its type outside the repository (A33)',
  async (type) => {
    await withFolder({}, async (parent) => {
      const folder = await newModule(`${type}/Fresh`, path.join(parent, 'fresh'), () => undefined);
      const { code, text } = await moduleTest(folder);
      expect(text).toMatch(/fail 0/);
      expect(text).toContain(`${type}/Fresh asks for what it uses`);
      expect(code).toBe(0);
    });
  },
  TIMEOUT_MS,
);

it('a test that fails is told, and the command fails with it', async () => {
  await withFolder(
    {
      'module.json': '{"type":"Plugin","name":"Bad"}',
      'test/bad.test.ts':
        "import { load } from 'bulkhead/kit';\nimport { test } from 'node:test';\ntest('loads', async () => { await load('Plugin/Bad'); });\n",
    },
    async (folder) => {
      const { code, text } = await moduleTest(folder);
      expect(code).toBe(1);
      expect(text).toContain('module.json: version');
    },
  );
});

it('a folder that is no module is told as such', async () => {
  await withFolder({}, async (folder) => {
    expect(await moduleTest(folder)).toEqual({
      code: 1,
      text: expect.stringContaining('is no module: it has no module.json'),
    });
  });
});
