/** The module's tables, as this.db knows them. */
import type { Generated } from 'bulkhead';

export interface Tables {
  cloud_server_groups: {
    uuid: Generated<string>;
    name: string;
    description: string | null;
    created_at: Generated<Date>;
    updated_at: Generated<Date>;
  };
  cloud_servers: {
    uuid: Generated<string>;
    group_uuid: string;
    name: string;
    host: string;
    username: string;
    /** Encrypted by the host. */
    password: string;
    /** Encrypted by the host. */
    api_key: string | null;
    active: Generated<boolean>;
    ssl: Generated<boolean>;
    port: Generated<number>;
    /** 0: as many as you like. */
    max_accounts: Generated<number>;
    created_at: Generated<Date>;
    updated_at: Generated<Date>;
  };
}
