/** The module's tables, as this.db knows them. */
import type { Generated } from 'bulkhead';

export const ACCOUNT_STATUSES = ['active', 'suspended', 'terminated'] as const;

export interface Tables {
  cloud_accounts: {
    id: Generated<number>;
    service_uuid: string;
    /** The account's id at the API. */
    external_id: string;
    domain: string;
    username: string;
    status: (typeof ACCOUNT_STATUSES)[number];
    created_at: Generated<Date>;
    updated_at: Generated<Date>;
  };
}
