/**
 * The npm package as a stranger gets it: built, packed by npm, unpacked below another folder's node_modules with nothing beside it but what
 * it names as its dependencies, and worked with there. They are linked from this checkout instead of fetched: a test needs no network.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as v from 'valibot';
import { buildPackage } from '../../src/cli/package.ts';
import { startCli } from '../support/cli.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/embedded.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const Manifest = v.object({
  dependencies: v.record(v.string(), v.string()),
  optionalDependencies: v.record(v.string(), v.string()),
});
const MODULE = 'modules/Plugin/Hello';

let folder: TemporaryFolder;
const at = (...names: string[]): string => join(folder.path, 'app', ...names);

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

const bulkhead = (...args: string[]): string =>
  run(process.execPath, [at('node_modules/bulkhead/src/cli/main.js'), ...args], at());
const tsc = (cwd: string): string => {
  const { stdout } = spawnSync(join(MODULES, '.bin/tsc'), ['--noEmit'], { cwd, encoding: 'utf8' });
  return stdout;
};

beforeAll(async () => {
  folder = temporaryFolder();
  const dist = join(folder.path, 'dist');
  await buildPackage(dist);
  const [packed = ''] = run('npm', ['pack', '--silent', '--pack-destination', folder.path], dist)
    .trim()
    .split('\n')
    .slice(-1);
  mkdirSync(at('node_modules'), { recursive: true });
  run('tar', ['xzf', join(folder.path, packed), '-C', at('node_modules')], folder.path);
  renameSync(at('node_modules/package'), at('node_modules/bulkhead'));
  const { dependencies, optionalDependencies } = v.parse(
    Manifest,
    JSON.parse(readFileSync(at('node_modules/bulkhead/package.json'), 'utf8')),
  );
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    if (!existsSync(join(MODULES, name))) continue;
    mkdirSync(dirname(at('node_modules', name)), { recursive: true });
    symlinkSync(join(MODULES, name), at('node_modules', name), 'junction');
  }
  bulkhead('module', 'new', 'Plugin/Hello', MODULE);
});
afterAll(() => folder[Symbol.dispose]());

describe('the package', () => {
  test('holds JavaScript where the checkout has TypeScript, which Node does not run under node_modules', () => {
    const sources = globSync('node_modules/bulkhead/{src,sandbox}/**/*.ts', { cwd: at() }).filter(
      (name) => !name.endsWith('.d.ts') && !name.includes('/cli/scaffold/'),
    );
    expect(sources).toEqual([]);
    expect(existsSync(at('node_modules/bulkhead/src/cli/package.js'))).toBe(false);
  });

  test('runs bulkhead doctor', () => {
    expect(bulkhead('doctor', '--data', at('data'))).toContain('Database: Embedded');
  });

  test('checks, tests and packs a module', () => {
    expect(bulkhead('module', 'check', MODULE)).toContain('nothing to mend');
    expect(bulkhead('module', 'test', MODULE)).toMatch(/\n\S* ?fail 0\n/);
    bulkhead('module', 'pack', MODULE);
    expect(existsSync(at('Hello.tgz'))).toBe(true);
  });

  test('has the types that a module is written with', () => {
    expect(tsc(at(MODULE))).toBe('');
    writeFileSync(
      at(MODULE, 'wrong.ts'),
      `import { Plugin } from 'bulkhead';\nexport const name: number = Plugin.name;\n`,
    );
    expect(tsc(at(MODULE))).toMatch(/^wrong\.ts\(2,14\): error TS2322/);
  });

  test('starts the demo, whose panel answers, and stops', async () => {
    const main = at('node_modules/bulkhead/src/cli/main.js');
    await using demo = startCli(['start', '--demo', '--port', '0', '--data', at('demo')], {
      main,
      cwd: at(),
    });
    const [url = ''] = await demo.says(/http:\/\/\S+\/t\/acme(?=\s)/);
    const page = await fetch(`${url}/sign-in`);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('id="password"')]);
    demo.kill('SIGTERM');
    expect(await demo.ended).toEqual({ code: 0, signal: null });
  });

  test('is embedded in an application of its own', async () => {
    writeFileSync(
      at('app.ts'),
      `import { createBulkhead } from 'bulkhead/host';
const bulkhead = await createBulkhead({ dataDir: 'own', publicUrl: 'http://127.0.0.1:1/hosting' });
const answer: Response = await bulkhead.app.fetch(new Request('http://127.0.0.1:1/hosting/operator/sign-in'));
console.log('answered', answer.status);
await bulkhead.close();
`,
    );
    writeFileSync(
      at('tsconfig.json'),
      readFileSync(at(MODULE, 'tsconfig.json'), 'utf8').replace(
        '"exclude": [',
        '"include": ["app.ts"],\n  "exclude": [',
      ),
    );
    expect(tsc(at())).toBe('');
    expect(run(process.execPath, ['app.ts'], at())).toContain('answered 200');
  });
});
