/** The module's tables, as this.db knows them. */
import type { Generated } from 'bulkhead';

export interface Tables {
  notes: { id: Generated<number>; text: string; created_at: Generated<Date>; updated_at: Generated<Date> };
}
