/** service: a tenant's own services of the calling module. Every query names the installation of the scope. */
import * as v from 'valibot';
import type { OpOutput } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { setProvisionStatus } from '../billing/service-status.ts';
import { refuseUnstorable } from '../database/storable.ts';
import type { Db } from '../jobs/task.ts';
import type { Broker, Scope } from './broker.ts';

type ServiceView = OpOutput<'service', 'get'>;

const Json = v.record(v.string(), v.unknown());
const COLUMNS = ['id', 'name', 'status', 'provision_status', 'data', 'provision_data', 'created_at'] as const;
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

  return {
    get: (scope, { uuid }) => find(scope, uuid),

    async list(scope, { after, size }) {
      let query = own(scope)
        .orderBy('created_at')
        .orderBy('id')
        .limit(size + 1);
      if (after !== undefined) {
        const last = await find(scope, after);
        const row = await own(scope).where('id', '=', last.uuid).executeTakeFirstOrThrow();
        query = query.where((eb) =>
          eb.or([
            eb('created_at', '>', row.created_at),
            eb.and([eb('created_at', '=', row.created_at), eb('id', '>', row.id)]),
          ]),
        );
      }
      const rows = await query.execute();
      const services = rows.slice(0, size).map(view);
      const next = rows.length > size ? services.at(-1)?.uuid : undefined;
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
  readonly name: string;
  readonly status: ServiceView['status'];
  readonly provision_status: ServiceView['provision_status'];
  readonly data: unknown;
  readonly provision_data: unknown;
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
