/**
 * `conformance('Product/X', …)`: what every module of a type must hold, as tests of the author's own. It knows no test runner: it is given
 * the functions that register a test and what comes after all of them, which node:test and vitest both have.
 *
 *     import { after, test } from 'node:test';
 *     conformance('Product/MyCloudService', { test, after, product: {…}, order: {…} });
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { parseManifest } from '../../../sandbox/contract/manifest.ts';
import { findModule } from '../folder.ts';
import { load } from '../load.ts';
import type { Case, ConformanceOptions, Subject } from './case.ts';
import { afterwards, everyType } from './every.ts';
import { notificationCases, paymentCases } from './others.ts';
import { productCases } from './product.ts';

/** A type of one's own is judged by what holds for all. */
const BY_TYPE: Readonly<Record<string, readonly Case[]>> = {
  Product: productCases,
  Payment: paymentCases,
  Notification: notificationCases,
};

export interface TestRunner {
  test(name: string, fn: () => Promise<void>): unknown;
  after(fn: () => Promise<void>): unknown;
}

function filesBelow(root: string, ending: string, leftOut: readonly string[] = []): Map<string, string> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [path.relative(root, file).split(path.sep).join('/'), file] as const)
      .filter(([name]) => !leftOut.some((folder) => name.startsWith(`${folder}/`)))
      .map(([name, file]) => [name, readFileSync(file, 'utf8')]),
  );
}

const below = (folder: string, name: string, ending: string): Map<string, string> =>
  readdirSync(folder).includes(name)
    ? filesBelow(path.join(folder, name), ending)
    : new Map<string, string>();

const Texts = v.record(v.string(), v.unknown());

async function open(name: string, options: ConformanceOptions): Promise<Subject> {
  const module = await load(name, options);
  const { folder, installationId, host } = module.installed;
  const row = await host.bulkhead.panel.db
    .selectFrom('installations as installation')
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select(['version.manifest', 'version.declaration'])
    .where('installation.id', '=', installationId)
    .executeTakeFirstOrThrow();
  const lang = [...below(folder, 'lang', '.json')].map(
    ([file, text]) => [file.slice(0, -'.json'.length), v.parse(Texts, JSON.parse(text))] as const,
  );
  return {
    module,
    options,
    manifest: parseManifest(row.manifest),
    declaration: v.parse(Declaration, row.declaration),
    source: filesBelow(folder, '.ts', ['test', 'node_modules']),
    views: below(folder, 'views', '.liquid'),
    lang: new Map(lang),
  };
}

/** Registers the suite of a module's type. What it needs is loaded with its first test and closed after the last. */
export function conformance(name: string, options: ConformanceOptions & TestRunner): void {
  const folder = options.folder ?? findModule(name);
  let opened: Promise<Subject> | undefined;
  const subject = (): Promise<Subject> => (opened ??= open(name, { ...options, folder }));
  for (const { name: sentence, applies, run } of [
    ...everyType,
    ...(BY_TYPE[name.split('/')[0] ?? ''] ?? []),
    ...afterwards,
  ]) {
    options.test(`${name} ${sentence}`, async () => {
      const at = await subject();
      if (applies?.(at) ?? true) await run(at);
    });
  }
  options.after(async () => {
    const at = await opened?.catch(() => undefined);
    await at?.module.close();
  });
}
