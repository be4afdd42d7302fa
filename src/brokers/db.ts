/**
 * The broker of `db`. A session of an invocation is made with its first call and ends with it; everything else is in db/.
 */
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModulePools } from '../database/modules/pools.ts';
import type { Broker, Scope } from './broker.ts';
import { InstallationDatabases } from './db/installation.ts';
import { Session } from './db/session.ts';

export interface DbBrokerOptions {
  readonly pools: ModulePools;
  /** As given to installationNames() when the schema was made. */
  readonly deploymentId: string;
}

/**
 * What an activate() or update() did is committed in the scope's onEnd(true), which throws a HostError if that fails: the invocation
 * must count as failed then.
 */
export function createDbBroker({ pools, deploymentId }: DbBrokerOptions): Broker<'db'> {
  const databases = new InstallationDatabases(pools, deploymentId);
  const sessions = new Map<string, Session>();

  function sessionOf(scope: Scope, grant: Grant<'db'>): Session {
    const known = sessions.get(scope.invocationId);
    if (known !== undefined) return known;
    if (scope.signal.aborted) throw new HostError('ENDED', 'db: the invocation has ended.');
    if (scope.schemaName === null)
      throw new HostError('CONFLICT', 'db: the module was never enabled here: it has no tables.');
    const session = new Session(pools, scope, databases.of(scope.installationId), grant);
    sessions.set(scope.invocationId, session);
    scope.onEnd(async (ok) => {
      try {
        await session.finish(ok);
      } finally {
        sessions.delete(scope.invocationId);
      }
    });
    return session;
  }

  return {
    query: async (scope, input, grant) => sessionOf(scope, grant).query(input),
    begin: async (scope, _input, grant) => sessionOf(scope, grant).begin(),
    end: async (scope, input, grant) => {
      await sessionOf(scope, grant).end(input);
      return {};
    },
    open: async (scope, input, grant) => sessionOf(scope, grant).open(input),
    next: async (scope, input, grant) => sessionOf(scope, grant).next(input),
    close: async (scope, input, grant) => {
      await sessionOf(scope, grant).close(input);
      return {};
    },
  };
}
