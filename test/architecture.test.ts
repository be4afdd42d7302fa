/**
 * Who may import whom. The rules stand in one table; a fixture proves that breaking one is noticed. Type-only imports count like any
 * other, but for the pages' use-case interface (src/web/deps.ts), which the parts it names implement.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Rule {
  readonly from: RegExp;
  /** What files that match `from` may import, beside their own folder. */
  readonly may: readonly RegExp[];
}

const RULES: readonly Rule[] = [
  { from: /^sandbox\/contract\//, may: [/^sandbox\/contract\//, /^valibot$/] },
  {
    from: /^sandbox\/guest\//,
    may: [/^sandbox\/(guest|contract)\//, /^(valibot|kysely|liquidjs)$/, /^@noble\/hashes/],
  },
  { from: /^sandbox\/runner\//, may: [/^sandbox\/(runner|contract)\//, /^node:/, /^isolated-vm$/] },
  {
    from: /^sandbox\/supervisor\//,
    may: [/^sandbox\/(supervisor|contract)\//, /^node:/, /^(valibot|esbuild)$/],
  },
  { from: /^src\/fakecloud\//, may: [/^src\/fakecloud\//, /^node:/, /^hono/, /^@hono\//] },
  { from: /^src\/database\//, may: [/^src\/database\//, /^sandbox\/contract\//, /^(?!src\/|sandbox\/)/] },
  { from: /^src\/store\//, may: [/^src\/store\//, /^sandbox\/contract\//, /^(?!src\/|sandbox\/)/] },
  {
    from: /^src\/(brokers|secrets)\//,
    may: [
      /^src\/(brokers|secrets|database|jobs|billing)\//,
      /^src\/events\/emit\.ts$/,
      /^src\/schedules\/store\.ts$/,
      /^sandbox\/contract\//,
      /^(?!src\/|sandbox\/)/,
    ],
  },
  { from: /^modules\//, may: [/^modules\//, /^bulkhead$/] },
];

/** Imports that are forbidden wherever they stand, with the places that may. */
const EXCLUSIVE: readonly { readonly what: RegExp; readonly only: RegExp; readonly why: string }[] = [
  {
    what: /^isolated-vm$/,
    only: /^sandbox\/runner\/isolate\.ts$/,
    why: 'only runner/isolate.ts holds isolates',
  },
  {
    what: /^src\/web\/(?!deps\.ts)/,
    only: /^src\/(web\/|host\.ts)/,
    why: 'nothing imports the pages but the composition root',
  },
  { what: /^src\/cli\//, only: /^src\/cli\//, why: 'commands are the outermost layer' },
  {
    what: /^src\/host\.ts$/,
    only: /^src\/(main\.ts|cli\/|kit\/)/,
    why: 'the composition root is used by the server, the commands and the author’s kit',
  },
  {
    what: /^sandbox\/(guest|runner)\//,
    only: /^sandbox\/(guest|runner)\//,
    why: 'the host never runs guest or runner code',
  },
];

interface Import {
  readonly file: string;
  readonly target: string;
}

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function importsOf(file: string, text: string): Import[] {
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^'"]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  );
  return [...found].map((match) => {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    const target = name.startsWith('.')
      ? relative(ROOT, join(ROOT, dirname(file), name))
          .split(sep)
          .join('/')
      : name;
    return { file, target };
  });
}

function violations(imports: readonly Import[]): string[] {
  return imports.flatMap(({ file, target }) => {
    const rule = RULES.find((candidate) => candidate.from.test(file));
    const broken =
      rule !== undefined && !rule.may.some((allowed) => allowed.test(target))
        ? [`${file} may not import ${target}`]
        : [];
    const exclusive = EXCLUSIVE.filter(({ what, only }) => what.test(target) && !only.test(file)).map(
      ({ why }) => `${file} imports ${target}: ${why}`,
    );
    return [...broken, ...exclusive];
  });
}

const all = ['sandbox', 'src', 'modules']
  .flatMap((folder) => filesUnder(folder))
  .filter((file) => !file.includes('/test/'));

describe('imports', () => {
  it('go in the directions the architecture allows', () => {
    const imports = all.flatMap((file) => importsOf(file, readFileSync(join(ROOT, file), 'utf8')));
    expect(imports.length).toBeGreaterThan(300);
    expect(violations(imports)).toEqual([]);
  });

  it.each([
    ['sandbox/contract/x.ts', "import { readFileSync } from 'node:fs';"],
    ['sandbox/guest/x.ts', "import { randomBytes } from 'node:crypto';"],
    ['sandbox/supervisor/x.ts', "import ivm from 'isolated-vm';"],
    ['src/brokers/x.ts', "import { createCatalog } from '../catalog/catalog.ts';"],
    ['src/catalog/x.ts', "import { createApp } from '../web/app.ts';"],
    ['src/jobs/x.ts', "import { boot } from '../../sandbox/guest/boot.ts';"],
    ['modules/Product/X/X.ts', "import { connectHost } from '../../../src/database/connect.ts';"],
  ])('in %s that break a rule are noticed', (file, text) => {
    expect(violations(importsOf(file, text))).not.toEqual([]);
  });
});
