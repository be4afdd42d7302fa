/** clients: the tenant's own, with as much of each as its admin granted. Which ones were read is counted as a use of the grant. */
import type { Kysely } from 'kysely';
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';
import type { Broker, Scope } from './broker.ts';
import { pageOf, readClients } from './records.ts';

/** Asked by every op: "contact" alone tells nothing about whom. @throws HostError NOT_GRANTED */
export function useClients(scope: Scope, grant: Grant<'clients'>): void {
  if (!grant.scopes.includes('read')) throw refusal('clients', 'reading', 'clients: ["read"]');
  for (const item of grant.scopes) scope.used(`clients.scopes:${item}`);
}

export function createClientsBroker({ db }: { readonly db: Kysely<Tables> }): Broker<'clients'> {
  return {
    async get(scope, { uuid }, grant) {
      useClients(scope, grant);
      const [client] = await readClients(db, scope.tenantId, grant, { ids: [uuid], size: 1 });
      if (client === undefined) throw new HostError('NOT_FOUND', 'clients: there is no such client.');
      return client;
    },
    async list(scope, paging, grant) {
      useClients(scope, grant);
      const { rows, next } = pageOf(await readClients(db, scope.tenantId, grant, paging), paging.size);
      return next === undefined ? { clients: rows } : { clients: rows, next };
    },
  };
}
