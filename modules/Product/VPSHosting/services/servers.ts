/** Rows of vps_servers. A terminated server stays as history and is found no more. */
import type { Kysely } from 'bulkhead';
import type { ServerStatus, Tables, VpsServer } from '../models/tables.ts';

type NewRow = Pick<VpsServer, 'service_uuid' | 'server_id' | 'hostname' | 'root_password' | 'server_specs'>;
type Change = Partial<Pick<VpsServer, 'ip_address' | 'status' | 'server_specs' | 'root_password'>>;

export class Servers {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  /** The service's newest server, whatever its status. */
  async latest(serviceUuid: string | null): Promise<VpsServer | undefined> {
    if (serviceUuid === null) return undefined;
    return this.#db
      .selectFrom('vps_servers')
      .selectAll()
      .where('service_uuid', '=', serviceUuid)
      .orderBy('id', 'desc')
      .executeTakeFirst();
  }

  /** The service's server, unless it is terminated or was never created at the provider. */
  async current(serviceUuid: string | null): Promise<(VpsServer & { server_id: string }) | undefined> {
    const server = await this.latest(serviceUuid);
    if (server === undefined || server.status === 'terminated') return undefined;
    return server.server_id === null ? undefined : { ...server, server_id: server.server_id };
  }

  /** Stores a server that is being created; once, however often it is called. */
  async store(row: NewRow): Promise<void> {
    const now = new Date();
    await this.#db
      .insertInto('vps_servers')
      .values({ ...row, status: 'creating', created_at: now, updated_at: now })
      .onConflict((conflict) => conflict.column('server_id').doNothing())
      .execute();
  }

  async change(id: number, change: Change): Promise<void> {
    await this.#db
      .updateTable('vps_servers')
      .set({ ...change, updated_at: new Date() })
      .where('id', '=', id)
      .execute();
  }

  /** Newest first, a page at a time. */
  async page(options: {
    status: ServerStatus | undefined;
    page: number;
    size: number;
  }): Promise<{ rows: Omit<VpsServer, 'root_password'>[]; total: number }> {
    const { status, page, size } = options;
    const chosen = this.#db
      .selectFrom('vps_servers')
      .$if(status !== undefined, (query) => query.where('status', '=', status ?? 'active'));
    const { total } = await chosen
      .select((eb) => eb.fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow();
    const rows = await chosen
      .select([
        'id',
        'service_uuid',
        'server_id',
        'ip_address',
        'hostname',
        'status',
        'server_specs',
        'created_at',
        'updated_at',
      ])
      .orderBy('id', 'desc')
      .limit(size)
      .offset((page - 1) * size)
      .execute();
    return { rows, total };
  }
}
