/** Groups of servers: a location, a data centre. */
import { model, type Kysely } from 'bulkhead';
import type { Tables } from './tables.ts';

export function cloudServerGroups(db: Kysely<Tables>) {
  return model(db, 'cloud_server_groups', { fillable: ['name', 'description'], timestamps: true });
}

/** The group of a name, made if it is not there yet. @returns its uuid */
export async function groupNamed(db: Kysely<Tables>, name: string): Promise<string> {
  const known = await cloudServerGroups(db).where('name', name).first();
  return (known ?? (await cloudServerGroups(db).create({ name, description: null }))).uuid;
}
