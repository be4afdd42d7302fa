/** From a folder to a script: what is bundled, what is shipped, and how an author's mistakes are told. */
import { symlink, truncate, utimes } from 'node:fs/promises';
import path from 'node:path';
import { compileFunction } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { readArchive } from '../../../src/store/package/archive.ts';
import { PACKAGE_LIMITS } from '../../../src/store/package/limits.ts';
import { packModule } from '../../../src/store/package/pack.ts';
import { readPackage } from '../../../src/store/package/read.ts';
import { packFiles, signTiny, TINY, withFolder } from './fixture.ts';
import { refused } from './refused.ts';

interface Evaluated {
  default: new () => { answer(): number };
  controllers: Record<string, new () => unknown>;
}

/** Runs a script as the sandbox will. */
function evaluate(script: string, heard: string[] = []): Evaluated {
  class Base {
    isBase = true;
  }
  const module: { exports: unknown } = { exports: {} };
  const require = (name: string): unknown => {
    if (name !== 'bulkhead') throw new Error(`required ${name}`);
    return { Plugin: Base, Controller: Base, on: (event: string) => heard.push(event) };
  };
  compileFunction(script, ['require', 'module', 'exports'])(require, module, module.exports);
  return module.exports as Evaluated;
}

async function scriptOf(files: typeof TINY): Promise<string> {
  return (await readPackage(await signTiny(await packFiles(files)))).script;
}

describe('the bundled script', () => {
  it('exports the entry, every controller and the hooks, and requires nothing but bulkhead', async () => {
    const heard: string[] = [];
    const exported = evaluate(await scriptOf(TINY), heard);
    expect(new exported.default().answer()).toBe(42);
    expect(exported.default.name).toBe('Tiny');
    expect(Object.keys(exported.controllers)).toEqual(['ApiController', 'PageController']);
    expect(exported.controllers.PageController?.name).toBe('PageController');
    expect(heard).toEqual(['ServiceCreated']);
  });

  it('has no hooks when there is no hooks.ts', async () => {
    const { 'hooks.ts': _, ...files } = TINY;
    const heard: string[] = [];
    evaluate(await scriptOf(files), heard);
    expect(heard).toEqual([]);
  });

  it('holds npm packages from node_modules, resolved as for a browser', async () => {
    const script = await scriptOf({
      ...TINY,
      'services/math.ts': `import { triple } from 'triple'; export const double = triple;\n`,
      'node_modules/triple/package.json':
        '{"name":"triple","version":"1.0.0","main":"node.js","browser":"web.js"}',
      'node_modules/triple/node.js': `require('node:fs');`,
      'node_modules/triple/web.js': `const n = require('./three'); exports.triple = (x) => x * n;`,
      'node_modules/triple/three.js': 'module.exports = 3;',
    });
    expect(new (evaluate(script).default)().answer()).toBe(63);
  });

  it('is not changed by a tsconfig.json around the module', async () => {
    const tsconfig =
      '{"compilerOptions":{"useDefineForClassFields":false,"target":"es5","alwaysStrict":false,"paths":{"bulkhead":["./Tiny.ts"]}}}';
    const entry = `${String(TINY['Tiny.ts'])}class Field { x; }\nTiny.keys = Object.keys(new Field());\n`;
    const files = { ...TINY, 'Tiny.ts': entry };
    expect(await scriptOf({ ...files, 'tsconfig.json': tsconfig })).toBe(await scriptOf(files));
  });

  it('does not follow an alias of a tsconfig.json, which another machine may not have', async () => {
    const { message } = await refused(
      packFiles({
        ...TINY,
        'Tiny.ts': String(TINY['Tiny.ts']).replace('./services/', '~/'),
        'tsconfig.json': '{"compilerOptions":{"paths":{"~/*":["./services/*"]}}}',
      }),
    );
    expect(message).toMatch(/^Tiny\.ts:2:24: “~\/math\.ts” is no package’s name; write the file’s path/);
  });

  it('has a source map whose sources are relative to the module, wherever a package was found', async () => {
    const pkg = await withFolder(
      {
        'node_modules/up/index.js': 'export const up = 1;',
        ...Object.fromEntries(Object.entries(TINY).map(([name, text]) => [`deep/Tiny/${name}`, text])),
        'deep/Tiny/services/math.ts': `import { up } from 'up'; export const double = (n: number) => n + up;\n`,
      },
      async (folder) => readPackage(await signTiny(await packModule(path.join(folder, 'deep/Tiny')))),
    );
    const map: { sources: string[] } = JSON.parse(pkg.sourceMap);
    expect(map.sources).toContain('Tiny.ts');
    expect(map.sources).toContain('services/math.ts');
    expect(map.sources).toContain('node_modules/up/index.js');
    expect(map.sources.filter((source) => source.startsWith('..') || path.isAbsolute(source))).toEqual([]);
    expect(map).not.toHaveProperty('sourcesContent');
    expect(pkg.script).not.toContain('sourceMappingURL');
    expect([...pkg.source.keys()]).not.toContain('node_modules/up/index.js');
  });
});

describe('the archive', () => {
  it('holds the module’s files and source, and nothing that lies beside them', async () => {
    const pkg = await readPackage(await signTiny(await packFiles(TINY)));
    expect(pkg.views).toEqual({
      'admin_area/page.liquid': '<p>{{ title }} żółw</p>\n',
      'client_area.liquid': '<p>client</p>\n',
    });
    expect([...pkg.assets.keys()]).toEqual(['css/style.css', 'img/logo.svg']);
    expect(pkg.lang).toEqual({ en: { hello: 'Hello' }, pl: { hello: 'Cześć' } });
    expect(pkg.readme).toBe('# Tiny\n');
    expect([...pkg.source.keys()]).toEqual([
      'Tiny.ts',
      'controllers/ApiController.ts',
      'controllers/PageController.ts',
      'hooks.ts',
      'models/types.ts',
      'services/math.ts',
    ]);
    expect(pkg.source.get('Tiny.ts')).toBe(TINY['Tiny.ts']);
    expect(Buffer.from(pkg.logo?.bytes ?? []).toString()).toBe(TINY['views/assets/img/logo.svg']);
    expect(pkg.manifest).toEqual(JSON.parse(String(TINY['module.json'])));
  });

  it('holds its files in the order of their paths', async () => {
    const paths = (await readArchive(await packFiles(TINY), PACKAGE_LIMITS)).map((file) => file.path);
    expect(paths).toEqual(paths.toSorted());
  });

  it('is the same bytes for the same files, whatever their place, order and time', async () => {
    const once = await packFiles(TINY);
    const again = await withFolder(Object.fromEntries(Object.entries(TINY).reverse()), async (folder) => {
      await utimes(path.join(folder, 'Tiny.ts'), 1, 1);
      return packModule(folder);
    });
    expect(Buffer.compare(once, again)).toBe(0);
    expect(Buffer.compare(await signTiny(once), await signTiny(again))).toBe(0);
  });

  it('may name a logo outside of views/assets', async () => {
    const manifest = JSON.stringify({ ...JSON.parse(String(TINY['module.json'])), logo: 'logo.png' });
    const pkg = await readPackage(
      await signTiny(await packFiles({ ...TINY, 'module.json': manifest, 'logo.png': 'png' })),
    );
    expect(pkg.logo?.path).toBe('logo.png');
  });
});

describe('packing refuses', () => {
  const outside = `import { double } from '../outside.ts';\nexport { double };\n`;
  it.each([
    [
      'an import that leaves the folder',
      { 'services/math.ts': `\n${outside.replace('../', '../../')}` },
      'services/math.ts:2:24: “../../outside.ts” leaves',
    ],
    [
      'an absolute import',
      { 'services/math.ts': `import x from '/etc/hosts.json';\nexport const double = x;\n` },
      'services/math.ts:1:15: ',
    ],
    [
      'a Node built-in',
      { 'services/math.ts': `import fs from 'node:fs';\nexport const double = fs;\n` },
      'services/math.ts:1:16: “node:fs” is part of Node',
    ],
    [
      'a bare Node built-in',
      { 'services/math.ts': `import fs from 'fs';\nexport const double = fs;\n` },
      'services/math.ts:1:16: “fs” is part of Node',
    ],
    [
      'an unknown package',
      { 'services/math.ts': `import x from 'nowhere';\nexport const double = x;\n` },
      'services/math.ts:1:15: “nowhere” is not installed',
    ],
    [
      'an import from an address',
      { 'services/math.ts': `import x from 'https://a.b/c.js';\nexport const double = x;\n` },
      'services/math.ts:1:15: “https://a.b/c.js” is an address',
    ],
    [
      'an import of a data: address',
      { 'services/math.ts': `import x from 'data:text/javascript,1';\nexport const double = x;\n` },
      'is an address',
    ],
    [
      'a part of bulkhead',
      { 'services/math.ts': `import x from 'bulkhead/host';\nexport const double = x;\n` },
      'everything is exported by “bulkhead”',
    ],
    [
      'an imported style',
      { 'services/math.ts': `import '../views/assets/css/style.css';\nexport const double = 1;\n` },
      'is not code',
    ],
    [
      'a syntax error',
      { 'services/math.ts': 'export const double = ;\n' },
      'services/math.ts:1:23: Unexpected ";"',
    ],
    [
      'an entry without default export',
      { 'Tiny.ts': 'export class Tiny {}\n' },
      'Tiny.ts: has no default export; write “export default class …”',
    ],
    [
      'an entry of another name',
      { 'module.json': String(TINY['module.json']).replace('"Tiny"', '"Other"') },
      'Other.ts: is missing',
    ],
    [
      'a helper among the controllers',
      { 'controllers/util.ts': '' },
      'controllers/util.ts: is not a controller',
    ],
    [
      'a redeclared inherited property',
      {
        'Tiny.ts': `import { Plugin } from 'bulkhead';\nexport default class Tiny extends Plugin {\n  private product_data = {};\n}\n`,
      },
      'Tiny.ts:3: the field “product_data” hides',
    ],
    [
      'one without a value',
      {
        'Tiny.ts': `import { Plugin } from 'bulkhead';\nexport default class Tiny extends Plugin {\n  service_uuid?: string;\n  constructor() { super(); }\n}\n`,
      },
      'Tiny.ts:3: the field “service_uuid” hides',
    ],
  ])('%s, naming file and line', async (_, change, text) => {
    const { reason, message } = await refused(packFiles({ ...TINY, ...change }));
    expect(reason).toBe('BUILD_FAILED');
    expect(message).toContain(text);
  });

  it('an import that leaves the folder by a file that exists', async () => {
    const files = Object.fromEntries(Object.entries(TINY).map(([name, text]) => [`Tiny/${name}`, text]));
    const { message } = await withFolder(
      {
        ...files,
        'outside.ts': 'export const double = 1;',
        'Tiny/services/math.ts': outside.replace('../', '../../'),
      },
      (folder) => refused(packModule(path.join(folder, 'Tiny'))),
    );
    expect(message).toMatch(/^services\/math\.ts:1:24: “\.\.\/\.\.\/outside\.ts” leaves the module’s folder/);
  });

  it.each([
    ['a file that has no place in views/', { 'views/page.html': '' }, 'UNKNOWN_FILE', 'views/page.html'],
    ['an unknown kind of asset', { 'views/assets/run.exe': '' }, 'UNKNOWN_FILE', 'views/assets/run.exe'],
    ['a language that is not a locale', { 'lang/english.json': '{}' }, 'UNKNOWN_FILE', 'lang/english.json'],
    ['nested translations', { 'lang/en.json': '{"a":{"b":"c"}}' }, 'BAD_JSON', 'lang/en.json'],
    [
      'a view that is not UTF-8',
      { 'views/a.liquid': Buffer.from([0x61, 0xff]) },
      'NOT_UTF8',
      'views/a.liquid',
    ],
    [
      'a missing logo',
      { 'module.json': JSON.stringify({ name: 'Tiny', type: 'Plugin', version: '1.0.0', logo: 'no.png' }) },
      'MISSING_FILE',
      'no.png',
    ],
    [
      'a logo outside the folder',
      { 'module.json': JSON.stringify({ name: 'Tiny', type: 'Plugin', version: '1.0.0', logo: '../x.png' }) },
      'PATH_TRAVERSAL',
      '../x.png',
    ],
    [
      'a logo that is no image',
      {
        'module.json': JSON.stringify({ name: 'Tiny', type: 'Plugin', version: '1.0.0', logo: 'notes.txt' }),
      },
      'UNKNOWN_FILE',
      'notes.txt',
    ],
    [
      'a version that is not semantic',
      { 'module.json': JSON.stringify({ name: 'Tiny', type: 'Plugin', version: 'v1' }) },
      'BAD_JSON',
      'module.json',
    ],
    ['a manifest that is not JSON', { 'module.json': '{' }, 'BAD_JSON', 'module.json'],
    [
      'a path that is too long',
      { [`views/${'b'.repeat(120)}.liquid`]: '' },
      'PATH_TOO_LONG',
      `views/${'b'.repeat(120)}.liquid`,
    ],
    [
      'names that differ by case',
      { 'views/A.liquid': '', 'views/a.liquid': '' },
      'COLLISION',
      'views/a.liquid',
    ],
    [
      'a huge file',
      { 'views/big.liquid': Buffer.alloc(4 * 1024 * 1024 + 1, 97) },
      'FILE_TOO_LARGE',
      'views/big.liquid',
    ],
  ])('%s, naming it', async (_, change, reason, file) => {
    expect(await refused(packFiles({ ...TINY, ...change }))).toMatchObject({ reason, path: file });
  });

  it('a file of 3 GiB, without reading it', async () => {
    const { reason } = await withFolder({ ...TINY, 'views/big.liquid': '' }, async (folder) => {
      await truncate(path.join(folder, 'views/big.liquid'), 3 * 1024 ** 3);
      return refused(packModule(folder));
    });
    expect(reason).toBe('FILE_TOO_LARGE');
  });

  it('a folder without module.json', async () => {
    expect(await refused(packFiles({ 'Tiny.ts': '' }))).toMatchObject({
      reason: 'MISSING_FILE',
      path: 'module.json',
    });
  });

  it.each(['views/hosts.liquid', 'README.md', 'services/hosts.ts', 'lang/en.json'])(
    'a link at %s',
    async (name) => {
      const { [name]: __, ...files } = TINY;
      const { reason, path: at } = await withFolder({ ...files, 'other.txt': '{}' }, async (folder) => {
        await symlink(path.join(folder, 'other.txt'), path.join(folder, name));
        return refused(packModule(folder));
      });
      expect({ reason, at }).toEqual({ reason: 'NOT_A_FILE', at: name });
    },
  );

  it('an import through a linked folder', async () => {
    const { message } = await withFolder({ 'shared/x.ts': 'export const double = 1;' }, (shared) =>
      withFolder(
        { ...TINY, 'services/math.ts': `export { double } from '../linked/x.ts';\n` },
        async (folder) => {
          await symlink(path.join(shared, 'shared'), path.join(folder, 'linked'));
          return refused(packModule(folder));
        },
      ),
    );
    expect(message).toMatch(/^services\/math\.ts:1:24: .* leaves the module’s folder/);
  });
});

it('packing allows a declared inherited property, and one of the same name in a class of the author’s own [MC-03]', async () => {
  const entry = `import { Plugin } from 'bulkhead';
class Client { config = 1; }
export default class Tiny extends Plugin {
  constructor() { super(); }
  declare module_name: string;
  client = new Client();
  mine = 2;
}
export class Other { db = 1; constructor() { this.db = 2; } }
`;
  await expect(packFiles({ ...TINY, 'Tiny.ts': entry })).resolves.toBeInstanceOf(Uint8Array);
});

it('packing hands on the bundler’s warnings', async () => {
  const warnings: string[] = [];
  await packFiles(
    {
      ...TINY,
      'services/math.ts': 'export function double(n: number) { return typeof n === "numbr" ? 1 : 2; }\n',
    },
    (text) => warnings.push(text),
  );
  expect(warnings).toEqual([
    expect.stringMatching(/^services\/math\.ts:1:\d+: The "typeof" operator will never/),
  ]);
});
