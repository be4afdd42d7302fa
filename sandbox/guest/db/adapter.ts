/** Kysely's adapter for PostgreSQL, which also remembers whose database it is: model() finds the way to the host through it. */
import { PostgresAdapter } from 'kysely';
import type { Kysely } from 'kysely';

import type { Env } from '../env.ts';

export class ModuleAdapter extends PostgresAdapter {
  readonly env: Env;

  constructor(env: Env) {
    super();
    this.env = env;
  }
}

/** The Env behind `this.db` or a transaction of it. */
export function envOf<Tables>(db: Kysely<Tables>): Env {
  const { adapter } = db.getExecutor();
  if (adapter instanceof ModuleAdapter) return adapter.env;
  throw new TypeError('model() takes this.db or a transaction of it.');
}
