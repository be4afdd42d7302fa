/** Databases for the kit in our own suite: the run's PostgreSQL, so that not every file makes one of its own. */
import { afterAll } from 'vitest';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import type { KitDatabases } from '../../src/kit/index.ts';
import { testDatabase, testModulesDatabase } from './database.ts';
import { temporaryFolder } from './embedded.ts';

/** For one test file; dropped after its last test. */
export async function kitDatabases(): Promise<KitDatabases> {
  const host = await testDatabase();
  const modules = await testModulesDatabase();
  const folder = temporaryFolder();
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await modules[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });
  return {
    dataDir: folder.path,
    databaseUrl: formatEndpoint(host.endpoint),
    modulesDatabaseUrl: formatEndpoint(modules.endpoint),
  };
}
