/** Scopes for the tasks and steps brokers: what the channel would have told about the caller. */
import type { Scope } from '../../src/brokers/broker.ts';
import type { Deferred } from '../../src/catalog/scope.ts';
import type { Db } from '../../src/jobs/task.ts';
import type { Installed } from '../jobs/fixture.ts';

export interface TestScope {
  readonly scope: Scope;
  readonly used: readonly string[];
  /** Ends the invocation: cleanups in reverse order, and deferred work if it succeeded. */
  readonly end: (ok?: boolean, db?: Db) => Promise<void>;
}

/** A request of an installation's module whose class has the methods syncJob, checkJob and activate. */
export function scopeOf(
  { tenantId, installationId, versionId }: Installed,
  overrides: Partial<Scope> = {},
): TestScope {
  const cleanups: ((ok: boolean) => Promise<void> | void)[] = [];
  const deferred: Deferred[] = [];
  const used: string[] = [];
  const scope: Scope = {
    invocationId: 'i1',
    purpose: 'request',
    method: 'index',
    tenantId,
    installationId,
    versionId,
    publisher: 'test-house',
    timezone: 'UTC',
    moduleType: 'Plugin',
    moduleName: 'Fixture',
    schemaName: null,
    grants: {},
    instanceId: null,
    settings: {},
    egressAllow: [],
    methods: new Set(['syncJob', 'checkJob', 'activate', 'createCallback']),
    emits: [],
    serviceId: null,
    taskId: null,
    accountId: null,
    deadlineAt: performance.now() + 60_000,
    signal: new AbortController().signal,
    onEnd: (cleanup) => void cleanups.push(cleanup),
    afterSuccess: (work) => void deferred.push(work),
    record: () => {},
    used: (item) => void used.push(item),
    ...overrides,
  };
  return {
    scope,
    used,
    end: async (ok = true, db) => {
      for (const cleanup of cleanups.toReversed()) await cleanup(ok);
      if (!ok) return;
      await db?.transaction().execute(async (trx) => {
        for (const work of deferred) await work(trx);
      });
    },
  };
}
