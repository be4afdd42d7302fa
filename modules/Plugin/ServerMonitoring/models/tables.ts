/** The module's two tables, as this.db knows them. What makes them is services/schema.ts. */
import type { Generated, Selectable } from 'bulkhead';

export const CHECK_TYPES = ['ping', 'http', 'port'] as const;
export type CheckType = (typeof CHECK_TYPES)[number];

/** Check-specific settings, as the guide's JSON column. */
export interface CheckConfig {
  /** Of a port check; of a ping, the port that is knocked on (443). */
  port?: number;
  /** Seconds until a check has failed (10). */
  timeout?: number;
  /** GET or HEAD. */
  method?: string;
  /** The one status that counts as up; 200 to 399 if absent. */
  expected_status?: number;
  /** Watched for this service: the check stops with it. */
  service_uuid?: string;
}

export interface ChecksTable {
  id: Generated<number>;
  name: string;
  type: CheckType;
  /** An address, a host name or a URL. */
  target: string;
  config: CheckConfig;
  /** Seconds. */
  interval: Generated<number>;
  active: Generated<boolean>;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

export interface ResultsTable {
  id: Generated<number>;
  check_id: number;
  /** Up or down. */
  status: boolean;
  /** Milliseconds. */
  response_time: number | null;
  error_message: string | null;
  checked_at: Date;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

export interface Tables {
  monitoring_checks: ChecksTable;
  monitoring_results: ResultsTable;
}

export type Check = Selectable<ChecksTable>;
export type Result = Selectable<ResultsTable>;
