/** The module's two tables, as this.db knows them. What makes them is services/schema.ts. */
import type { Generated, Selectable } from 'bulkhead';

export const SERVER_STATUSES = ['creating', 'active', 'suspended', 'terminated'] as const;
export type ServerStatus = (typeof SERVER_STATUSES)[number];

export interface VpsServersTable {
  id: Generated<number>;
  service_uuid: string;
  /** The provider's id. */
  server_id: string | null;
  ip_address: string | null;
  hostname: string;
  /** Encrypted by the host. */
  root_password: string;
  status: ServerStatus;
  /** The product's data when the server was created or last resized. */
  server_specs: Record<string, unknown>;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

export interface VpsImagesTable {
  id: Generated<number>;
  /** The provider's name of the image, sent as it is. */
  image_id: string;
  name: string;
  os_family: string;
  version: string;
  active: Generated<boolean>;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

export interface Tables {
  vps_servers: VpsServersTable;
  vps_images: VpsImagesTable;
}

export type VpsServer = Selectable<VpsServersTable>;
export type VpsImage = Selectable<VpsImagesTable>;
