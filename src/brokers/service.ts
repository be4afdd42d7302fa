/** service: a tenant's own services of the calling module. Every query names the installation of the scope. */
import { sql } from 'kysely';
import * as v from 'valibot';
import type { OpOutput } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { setProvisionStatus } from '../billing/service-status.ts';
import { refuseUnstorable } from '../database/storable.ts';
import type { Db } from '../jobs/task.ts';
import type { Broker, Scope } from './broker.ts';
import { useClients } from './clients.ts';
import { pageOf, readClients, readProducts } from './records.ts';

type ServiceView = OpOutput<'service', 'get'>;

const Json = v.record(v.string(), v.unknown());
const COLUMNS = [
  'id',
  'name',
  'status',
  'provision_status',
  'data',
  'provision_data',
  'product_id',
  'client_id',
  'created_at',
] as const;
const ClientsGrant = v.object({ scopes: v.array(v.string()) });
const PROVISION_DATA_BYTES = 64 * 1024;

export function createServiceBroker({ db }: { readonly db: Db }): Broker<'service'> {
  function own(scope: Scope) {
    return db.selectFrom('services').select(COLUMNS).where('installation_id', '=', scope.installationId);
  }

  /** The service that was named, or the one the invocation is for; only if it is this module's. */
  async function find(scope: Scope, uuid: string | undefined): Promise<ServiceView> {
    const id = uuid ?? scope.serviceId;
    if (id === null)
      throw new HostError('BAD_INPUT', 'service: this invocation is for no service; name one by uuid.');
    const row = await own(scope).where('id', '=', id).executeTakeFirst();
    if (row === undefined) throw new HostError('NOT_FOUND', 'service: this module has no such service.');
    return view(row);
  }

  /** What was asked to come along with each row, read in one query a relation. */
  async function relatedTo(
    scope: Scope,
    rows: readonly Pick<Row, 'product_id' | 'client_id'>[],
    relations: readonly string[],
  ): Promise<Pick<OpOutput<'service', 'list'>['services'][number], 'product' | 'client'>[]> {
    const products = relations.includes('product')
      ? await readProducts(db, scope, idsOf(rows.map((row) => row.product_id)))
      : undefined;
    const clients = relations.includes('client') ? await clientsOf(scope, rows) : undefined;
    return rows.map((row) => ({
      ...(products === undefined
        ? {}
        : { product: products.find(({ uuid }) => uuid === row.product_id) ?? null }),
      ...(clients === undefined
        ? {}
        : { client: clients.find(({ uuid }) => uuid === row.client_id) ?? null }),
    }));
  }

  /** Who ordered is the clients capability's to tell, whichever way it is asked. */
  async function clientsOf(scope: Scope, rows: readonly Pick<Row, 'client_id'>[]) {
    const granted = v.safeParse(ClientsGrant, scope.grants['clients']);
    const grant = granted.success ? granted.output : { scopes: [] };
    useClients(scope, grant);
    return readClients(db, scope.tenantId, grant, idsOf(rows.map((row) => row.client_id)));
  }

  return {
    get: (scope, { uuid }) => find(scope, uuid),

    async list(scope, { after, size, with: relations }) {
      let query = own(scope)
        .orderBy('created_at')
        .orderBy('id')
        .limit(size + 1);
      // Compared where the instants are: they are finer there than a Date.
      if (after !== undefined)
        query = query.where(
          sql<boolean>`(created_at, id) > (select created_at, id from services where id = ${after} and installation_id = ${scope.installationId})`,
        );
      const found = await query.execute();
      const { rows, next } = pageOf(found.map(view), size);
      const related = await relatedTo(scope, found.slice(0, size), relations);
      const services = rows.map((service, index) => ({ ...service, ...related[index] }));
      return next === undefined ? { services } : { services, next };
    },

    async setProvisionStatus(scope, { uuid, status }) {
      const { uuid: id } = await find(scope, uuid);
      await setProvisionStatus(db, id, status, scope.method);
      return {};
    },

    async setProvisionData(scope, { uuid, data }) {
      const { uuid: id } = await find(scope, uuid);
      refuseUnstorable('service', data);
      if (JSON.stringify(data).length > PROVISION_DATA_BYTES)
        throw new HostError('LIMIT', `service: provision data may hold ${PROVISION_DATA_BYTES} bytes.`);
      await db.updateTable('services').set({ provision_data: data }).where('id', '=', id).execute();
      return {};
    },
  };
}

interface Row {
  readonly id: string;
  readonly product_id: string;
  readonly client_id: string;
  readonly name: string;
  readonly status: ServiceView['status'];
  readonly provision_status: ServiceView['provision_status'];
  readonly data: unknown;
  readonly provision_data: unknown;
}

function idsOf(ids: readonly string[]): { ids: readonly string[]; size: number } {
  const unique = [...new Set(ids)];
  return { ids: unique, size: unique.length };
}

function view(row: Row): ServiceView {
  return {
    uuid: row.id,
    name: row.name,
    status: row.status,
    provision_status: row.provision_status,
    data: v.parse(Json, row.data),
    provision_data: v.parse(Json, row.provision_data),
  };
}
