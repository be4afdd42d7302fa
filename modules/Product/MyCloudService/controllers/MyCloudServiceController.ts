/** The admin's pages. Routes in services/routes.ts name these methods; permissions are checked before they run. */
import { Controller, json, view_admin_module, type IncomingRequest, type Reply } from 'bulkhead';
import { cloudServers } from '../models/CloudServer.ts';
import { cloudServerGroups, groupNamed } from '../models/CloudServerGroup.ts';
import type { Tables } from '../models/tables.ts';
import { detail } from '../services/provision.ts';
import { ServerRules } from '../services/rules.ts';

const ROWS = 200;
const DEFAULT_PORT = 443;
const UUID = /^[0-9a-f-]{36}$/;

export default class MyCloudServiceController extends Controller<Tables> {
  async servers(): Promise<string> {
    const servers = await this.db
      .selectFrom('cloud_servers as server')
      .innerJoin('cloud_server_groups as group', 'group.uuid', 'server.group_uuid')
      .select([
        'server.uuid',
        'server.name',
        'server.host',
        'server.port',
        'server.active',
        'group.name as location',
      ])
      .orderBy('server.name')
      .limit(ROWS)
      .execute();
    const may_manage =
      this.auth?.hasPermission(`${this.module_type}-${this.module_name}-manage-servers`) ?? false;
    return view_admin_module('Product', 'MyCloudService', 'admin_area.servers', { servers, may_manage });
  }

  async configuration(): Promise<string> {
    const groups = await cloudServerGroups(this.db).orderBy('name').get();
    return this.view('admin_area.configuration', { groups, api_url: this.config('api_url') });
  }

  async createServer(request: IncomingRequest): Promise<Reply> {
    const checked = this.validate(ServerRules, request.all());
    if (checked.status === 'error') return json({ success: false, errors: checked.errors }, 422);
    const { name, ip, location, username, password, api_key, port, ssl, max_accounts } = checked.data;
    try {
      await cloudServers(this.db).create({
        group_uuid: await groupNamed(this.db, location),
        name,
        host: ip,
        username: username ?? '',
        password: password ?? '',
        api_key: api_key ?? null,
        ssl,
        port: port ?? DEFAULT_PORT,
        max_accounts: max_accounts ?? 0,
      });
      this.logInfo('createServer', { name, ip, location });
      return json({ success: true, message: this.t('servers.created') });
    } catch (error) {
      this.logError('createServer', { name }, detail(error));
      return json({ success: false, message: this.t('servers.not_created') }, 500);
    }
  }

  async toggleServer(request: IncomingRequest): Promise<Reply> {
    const uuid = request.params['uuid'] ?? '';
    const server = UUID.test(uuid) ? await cloudServers(this.db).where('uuid', uuid).first() : undefined;
    if (server === undefined) return json({ success: false, message: this.t('servers.none') }, 404);
    await cloudServers(this.db).where('uuid', uuid).update({ active: !server.active });
    return json({ success: true, message: this.t(server.active ? 'servers.is_off' : 'servers.is_on') });
  }
}
