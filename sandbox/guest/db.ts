/**
 * `this.db`: Kysely with the host behind it. Kysely builds and compiles here, in the isolate; what crosses the boundary is a text with
 * parameters, which the host reads with PostgreSQL's own parser before it runs it. Nothing here is a wall: it only makes the
 * capability pleasant to use.
 */
import { Kysely, PostgresQueryCompiler } from 'kysely';
import type { DatabaseIntrospector, Dialect, Driver } from 'kysely';

import { ModuleAdapter } from './db/adapter.ts';
import { ModuleDriver } from './db/driver.ts';
import type { Env } from './env.ts';

/** Table names are the module's own knowledge: the host does not tell what is in its catalog. */
const introspector: DatabaseIntrospector = {
  getSchemas: refuseIntrospection,
  getTables: refuseIntrospection,
};

async function refuseIntrospection(): Promise<never> {
  throw new Error('this.db.introspection is not available: a module knows the tables it made.');
}

class ModuleDialect implements Dialect {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  createDriver(): Driver {
    return new ModuleDriver(this.#env);
  }

  createQueryCompiler(): PostgresQueryCompiler {
    return new PostgresQueryCompiler();
  }

  createAdapter(): ModuleAdapter {
    return new ModuleAdapter(this.#env);
  }

  createIntrospector(): DatabaseIntrospector {
    return introspector;
  }
}

/**
 * Kysely over the tables of this module. While a transaction is open every statement must go through its `trx`.
 * Failures are CapabilityErrors: DB_REFUSED, DB_ERROR, DB_UNIQUE (`data.columns`), DB_USE_TRX, DB_QUOTA, LIMIT, TIMEOUT.
 */
export function createDb<Tables>(env: Env): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new ModuleDialect(env) });
}
