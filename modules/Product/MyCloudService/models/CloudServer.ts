/** Servers: what may be filled in from outside, and what only the host's key opens. */
import { model, type Kysely, type Selectable } from 'bulkhead';
import type { Tables } from './tables.ts';

export type CloudServer = Selectable<Tables['cloud_servers']>;

export function cloudServers(db: Kysely<Tables>) {
  return model(db, 'cloud_servers', {
    fillable: [
      'group_uuid',
      'name',
      'host',
      'username',
      'password',
      'api_key',
      'active',
      'ssl',
      'port',
      'max_accounts',
    ],
    encrypted: ['password', 'api_key'],
    timestamps: true,
  });
}
