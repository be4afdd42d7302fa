/**
 * The db capability from end to end without a sandbox: a modules' database, installations in it, and a guest whose calls go
 * through the op's schemas and JSON to the real broker, as they would over the socket.
 */
import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { afterAll, beforeAll } from 'vitest';

import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { findOp } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Env } from '../../sandbox/guest/env.ts';
import { capabilityError } from '../../sandbox/guest/errors.ts';
import type { Broker, Purpose, Scope } from '../../src/brokers/broker.ts';
import { createDbBroker } from '../../src/brokers/db.ts';
import { createInstallationSchema } from '../../src/database/modules/installation-schema.ts';
import { installationNames } from '../../src/database/modules/names.ts';
import type { InstallationNames } from '../../src/database/modules/names.ts';
import { derivedRolePassword } from '../../src/database/modules/passwords.ts';
import { ModulePools } from '../../src/database/modules/pools.ts';
import type { PoolLimits } from '../../src/database/modules/pools.ts';
import { prepareModulesDatabase } from '../../src/database/modules/prepare.ts';
import { testModulesDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';

export const DEPLOYMENT = 'test1';
export const rolePassword = derivedRolePassword(new TextEncoder().encode('a key of the tests'));
const WALL_MS = 10_000;

export interface Installation {
  readonly id: string;
  readonly names: InstallationNames;
}

export interface Invocation {
  readonly env: Env;
  readonly scope: Scope;
  readonly grant: Grant<'db'>;
  readonly used: string[];
  /** As the invoker does it: abort, then the cleanups in reverse order. */
  readonly end: (ok?: boolean) => Promise<void>;
}

export interface InvocationOptions {
  readonly purpose?: Purpose;
  readonly method?: string;
  readonly grant?: Partial<Grant<'db'>>;
  readonly wallMs?: number;
  readonly installed?: boolean;
  readonly broker?: Broker<'db'>;
}

type Call = (scope: Scope, input: unknown, grant: Grant<'db'>) => Promise<unknown>;

/** Everything a file of tests needs. */
export class ModulesFixture {
  readonly database: TestDatabase;
  readonly pools: ModulePools;
  readonly broker: Broker<'db'>;

  constructor(database: TestDatabase, limits: Partial<PoolLimits> = {}) {
    this.database = database;
    this.pools = new ModulePools({ endpoint: database.endpoint, rolePassword, limits });
    this.broker = createDbBroker({ pools: this.pools, deploymentId: DEPLOYMENT });
  }

  async install(): Promise<Installation> {
    const id = randomUUID();
    const names = installationNames(DEPLOYMENT, id);
    await createInstallationSchema(this.database.sql, names, rolePassword);
    return { id, names };
  }

  invoke(installation: Installation, options: InvocationOptions = {}): Invocation {
    const cleanups: ((ok: boolean) => Promise<void> | void)[] = [];
    const used: string[] = [];
    const controller = new AbortController();
    const grant = { tables: 10, storage_mb: 50, ...options.grant };
    const scope: Scope = {
      invocationId: randomUUID(),
      purpose: options.purpose ?? 'request',
      method: options.method ?? 'anything',
      tenantId: randomUUID(),
      installationId: installation.id,
      instanceId: null,
      versionId: randomUUID(),
      publisher: 'test-house',
      timezone: 'UTC',
      moduleType: 'Plugin',
      moduleName: 'Tested',
      schemaName: options.installed === false ? null : installation.names.schema,
      grants: { db: grant },
      settings: {},
      egressAllow: [],
      methods: new Set(),
      emits: [],
      serviceId: null,
      taskId: null,
      accountId: null,
      deadlineAt: performance.now() + (options.wallMs ?? WALL_MS),
      signal: controller.signal,
      onEnd: (cleanup) => cleanups.push(cleanup),
      afterSuccess: () => undefined,
      record: () => undefined,
      used: (item) => used.push(item),
    };
    const end = async (ok = true): Promise<void> => {
      controller.abort();
      for (const cleanup of cleanups.splice(0).toReversed()) await cleanup(ok);
    };
    return { env: guestEnv(scope, options.broker ?? this.broker, grant), scope, grant, used, end };
  }

  /** One invocation around `work`; it ends well if `work` does. */
  async run<T>(
    installation: Installation,
    options: InvocationOptions,
    work: (env: Env) => Promise<T>,
  ): Promise<T> {
    const invocation = this.invoke(installation, options);
    try {
      const result = await work(invocation.env);
      await invocation.end(true);
      return result;
    } catch (error) {
      await invocation.end(false);
      throw error;
    }
  }

  /** activate() of a module. */
  async activate<T>(
    installation: Installation,
    work: (env: Env) => Promise<T>,
    grant: Partial<Grant<'db'>> = {},
  ): Promise<T> {
    return this.run(installation, { purpose: 'lifecycle', method: 'activate', grant }, work);
  }

  async close(): Promise<void> {
    await this.pools.close();
    await this.database.close();
  }
}

function json(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Stands for the crypt broker: reversible, and recognisable in a table. */
function crypt(op: string, input: unknown): unknown {
  const { text, sealed } = v.parse(
    v.object({ text: v.optional(v.string()), sealed: v.optional(v.string()) }),
    input,
  );
  return op === 'encrypt'
    ? { sealed: `sealed:${btoa(text ?? '')}` }
    : { text: atob((sealed ?? '').slice('sealed:'.length)) };
}

function guestEnv(scope: Scope, broker: Broker<'db'>, grant: Grant<'db'>): Env {
  const answer = async (capability: string, name: string, input: unknown): Promise<unknown> => {
    const found = findOp(`${capability}.${name}`);
    if (found === undefined) throw new Error(`no op ${capability}.${name}`);
    const parsed = v.safeParse(found.op.input, json(input));
    if (!parsed.success) throw new HostError('BAD_INPUT', parsed.issues[0].message);
    if (capability === 'crypt') return crypt(name, parsed.output);
    const handler = broker[name as keyof Broker<'db'>] as Call;
    return v.parse(found.op.output, json(await handler(scope, parsed.output, grant)));
  };
  const call = async (capability: string, name: string, input: unknown): Promise<unknown> => {
    try {
      return await answer(capability, name, input);
    } catch (error) {
      if (error instanceof HostError) throw capabilityError(error.toWire());
      throw error;
    }
  };
  return {
    call,
    notify: () => undefined,
    setTimer: () => 0,
    clearTimer: () => undefined,
    step: undefined,
  } as unknown as Env;
}

/** A fixture for a file of tests. */
export function useModules(limits: Partial<PoolLimits> = {}): () => ModulesFixture {
  let fixture: ModulesFixture | undefined;
  beforeAll(async () => {
    const database = await testModulesDatabase();
    await prepareModulesDatabase(database.sql);
    fixture = new ModulesFixture(database, limits);
  });
  afterAll(async () => fixture?.close());
  return () => {
    if (fixture === undefined) throw new Error('the modules database is there inside tests only');
    return fixture;
  };
}
