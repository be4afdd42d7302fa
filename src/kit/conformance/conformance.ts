/**
 * `conformance('Product/X', …)`: what every module of a type must hold, as tests of the author's own. It knows no test runner: it is given
 * the functions that register a test and what comes after all of them, which node:test and vitest both have.
 *
 *     import { after, test } from 'node:test';
 *     conformance('Product/MyCloudService', { test, after, product: {…}, order: {…} });
 */
import * as v from 'valibot';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { parseManifest } from '../../../sandbox/contract/manifest.ts';
import { findModule } from '../folder.ts';
import { load } from '../load.ts';
import type { Case, ConformanceOptions, Subject } from './case.ts';
import { afterwards, everyType } from './every.ts';
import { notificationCases, paymentCases } from './others.ts';
import { productCases } from './product.ts';
import { readFolder } from './readable.ts';

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

async function open(name: string, options: ConformanceOptions): Promise<Subject> {
  const module = await load(name, options);
  const { folder, installationId, host } = module.installed;
  const row = await host.bulkhead.panel.db
    .selectFrom('installations as installation')
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select(['version.manifest', 'version.declaration'])
    .where('installation.id', '=', installationId)
    .executeTakeFirstOrThrow();
  return {
    module,
    options,
    manifest: parseManifest(row.manifest),
    declaration: v.parse(Declaration, row.declaration),
    ...readFolder(folder),
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
