/** The images the module starts with. An admin switches them on and off; activating again keeps that choice. */
import { sql, type Kysely } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

export const DEFAULT_IMAGE = 'ubuntu-20.04';

export const DEFAULT_IMAGES = [
  { image_id: 'ubuntu-20.04', name: 'Ubuntu 20.04 LTS', os_family: 'Ubuntu', version: '20.04' },
  { image_id: 'ubuntu-22.04', name: 'Ubuntu 22.04 LTS', os_family: 'Ubuntu', version: '22.04' },
  { image_id: 'ubuntu-24.04', name: 'Ubuntu 24.04 LTS', os_family: 'Ubuntu', version: '24.04' },
  { image_id: 'debian-11', name: 'Debian 11', os_family: 'Debian', version: '11' },
  { image_id: 'debian-12', name: 'Debian 12', os_family: 'Debian', version: '12' },
  { image_id: 'centos-stream-9', name: 'CentOS Stream 9', os_family: 'CentOS', version: '9' },
  { image_id: 'almalinux-9', name: 'AlmaLinux 9', os_family: 'AlmaLinux', version: '9' },
  { image_id: 'rocky-9', name: 'Rocky Linux 9', os_family: 'Rocky Linux', version: '9' },
] as const;

/** Inserts the default images, and corrects the names of those that are there. `active` stays as the admin left it. */
export async function seedImages(db: Kysely<Tables>): Promise<void> {
  await db
    .insertInto('vps_images')
    .values(DEFAULT_IMAGES.map((image) => ({ ...image })))
    .onConflict((conflict) =>
      conflict.column('image_id').doUpdateSet((row) => ({
        name: row.ref('excluded.name'),
        os_family: row.ref('excluded.os_family'),
        version: row.ref('excluded.version'),
        updated_at: sql<Date>`now()`,
      })),
    )
    .execute();
}

/** What clients may choose now, for the order's form. */
export async function activeImages(db: Kysely<Tables>): Promise<{ value: string; title: string }[]> {
  return db
    .selectFrom('vps_images')
    .select(['image_id as value', 'name as title'])
    .where('active', '=', true)
    .orderBy('id')
    .execute();
}

/** True if clients may choose the image now. */
export async function isImageActive(db: Kysely<Tables>, imageId: string): Promise<boolean> {
  const row = await db
    .selectFrom('vps_images')
    .select('id')
    .where('image_id', '=', imageId)
    .where('active', '=', true)
    .executeTakeFirst();
  return row !== undefined;
}
