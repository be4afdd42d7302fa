/** Generated from migrations/ by `npm run generate`: the host's tables as Kysely sees them. Not to be edited. */
import type { ColumnType } from 'kysely';

/** A column that the database fills when an insert leaves it out. */
type Defaulted<T> = [T] extends [ColumnType<infer S, infer I, infer U>]
  ? ColumnType<S, I | undefined, U>
  : ColumnType<T, T | undefined, T>;

/** A column that only the database fills. */
type Computed<T> = [T] extends [ColumnType<infer S, unknown, unknown>]
  ? ColumnType<S, never, never>
  : ColumnType<T, never, never>;

/** A column that may be null. */
type Nullable<T> = [T] extends [ColumnType<infer S, infer I, infer U>]
  ? ColumnType<S | null, I | null | undefined, U | null>
  : T | null;

/** Written as any JSON value but null; read as unknown, to be parsed. */
type Json = ColumnType<unknown, string | number | boolean | object, string | number | boolean | object>;

type Bytes = ColumnType<Buffer, Uint8Array, Uint8Array>;

export interface AccountLinksTable {
  token_sha256: Bytes;
  account_id: string;
  purpose: 'password_reset' | 'second_factor' | 'confirm_email';
  expires_at: Date;
  created_at: Defaulted<Date>;
}

export interface AccountsTable {
  id: Defaulted<string>;
  kind: 'operator' | 'admin' | 'client';
  tenant_id: Nullable<string>;
  role_id: Nullable<string>;
  email: string;
  name: string;
  password_hash: string;
  disabled_at: Nullable<Date>;
  created_at: Defaulted<Date>;
  country: Nullable<string>;
  locale: Nullable<string>;
  totp_secret: Nullable<Bytes>;
  totp_step: Defaulted<number>;
  recovery_codes: Defaulted<string[]>;
  unconfirmed_since: Nullable<Date>;
}

export interface BillingSettingsTable {
  tenant_id: string;
  invoice_prefix: Defaulted<string>;
  next_invoice_number: Defaulted<number>;
  pay_first: Defaulted<boolean>;
  due_days: Defaulted<number>;
  invoice_ahead_days: Defaulted<number>;
  suspend_after_days: Defaulted<number>;
  terminate_after_days: Nullable<number>;
  auto_credit: Defaulted<boolean>;
  orders_per_hour: Defaulted<number>;
  tax_rate_bp: Defaulted<number>;
  prices_include_tax: Defaulted<boolean>;
}

export interface BreakerKillsTable {
  installation_id: string;
  version_id: string;
  method: string;
  code: string;
  at: Defaulted<Date>;
}

export interface CacheEntriesTable {
  installation_id: string;
  key: string;
  value: string;
  size_bytes: number;
  tags: Defaulted<string[]>;
  expires_at: Date;
}

export interface CallsTable {
  id: Computed<number>;
  installation_id: string;
  service_id: Nullable<string>;
  task_id: Nullable<string>;
  invocation: Nullable<string>;
  op: string;
  target: string;
  status: Nullable<number>;
  error_code: Nullable<string>;
  duration_ms: number;
  at: Defaulted<Date>;
}

export interface CreditEntriesTable {
  id: Computed<number>;
  tenant_id: string;
  client_id: string;
  number: number;
  kind: 'overpayment' | 'manual' | 'applied' | 'returned' | 'refund' | 'change';
  amount_minor: number;
  balance_minor: number;
  currency: string;
  invoice_id: Nullable<string>;
  payment_id: Nullable<string>;
  note: Defaulted<string>;
  account_id: Nullable<string>;
  created_at: Defaulted<Date>;
}

export interface DeliveriesTable {
  id: Defaulted<string>;
  tenant_id: string;
  instance_id: Nullable<string>;
  sender: string;
  channel: 'email' | 'chat' | 'sms';
  category: Nullable<
    'staff_administrative' | 'staff_operational' | 'client_administrative' | 'client_operational'
  >;
  event: Nullable<string>;
  level: Defaulted<'info' | 'success' | 'warning' | 'error'>;
  account_id: Nullable<string>;
  source_id: Nullable<string>;
  recipient: string;
  subject: string;
  payload: Json;
  status: Defaulted<'queued' | 'sent' | 'failed' | 'in_doubt'>;
  attempts: Defaulted<number>;
  error_code: Nullable<string>;
  error_message: Nullable<string>;
  task_id: Nullable<string>;
  once_key: Nullable<string>;
  resent_of: Nullable<string>;
  created_at: Defaulted<Date>;
  finished_at: Nullable<Date>;
}

export interface EventDeliveriesTable {
  id: Defaulted<string>;
  event_id: string;
  position: number;
  subscriber: Nullable<string>;
  installation_id: Nullable<string>;
  handler: Nullable<number>;
  priority: Defaulted<number>;
  task_id: Nullable<string>;
  released_at: Nullable<Date>;
  attempts: Defaulted<number>;
  error: Nullable<string>;
  wall_ms: Nullable<number>;
  retry_at: Defaulted<Date>;
  finished_at: Nullable<Date>;
}

export interface EventsTable {
  id: Defaulted<string>;
  tenant_id: string;
  name: string;
  payload: Json;
  source: string;
  installation_id: Nullable<string>;
  depth: Defaulted<number>;
  at: Defaulted<Date>;
  delivered_at: Nullable<Date>;
}

export interface FailuresTable {
  id: Computed<number>;
  key: string;
  at: Date;
}

export interface FlowsTable {
  id: Defaulted<string>;
  kind: string;
  subject: string;
  tenant_id: Nullable<string>;
  state: Defaulted<Json>;
  next_step: Defaulted<number>;
  status: Defaulted<'running' | 'done' | 'failed'>;
  error: Nullable<Json>;
  created_at: Defaulted<Date>;
  updated_at: Defaulted<Date>;
}

export interface GrantUseTable {
  installation_id: string;
  item: string;
  uses: Defaulted<number>;
  refusals: Defaulted<number>;
  last_used_at: Nullable<Date>;
}

export interface HostRequestsTable {
  id: Defaulted<string>;
  installation_id: string;
  capability: 'http' | 'net';
  pattern: string;
  status: Defaulted<'asked' | 'confirmed' | 'refused'>;
  asked_at: Defaulted<Date>;
  decided_at: Nullable<Date>;
  decided_by: Nullable<string>;
}

export interface InstallationsTable {
  id: Defaulted<string>;
  tenant_id: string;
  module_id: string;
  version_id: string;
  pending_version_id: Nullable<string>;
  status: Defaulted<'inactive' | 'active' | 'restricted' | 'error'>;
  status_reason: Nullable<string>;
  grants: Defaulted<Json>;
  granted_by: Nullable<string>;
  granted_at: Nullable<Date>;
  settings: Defaulted<Json>;
  schema_name: Nullable<string>;
  paused_at: Nullable<Date>;
  paused_reason: Nullable<string>;
  installed_at: Defaulted<Date>;
  previous_version_id: Nullable<string>;
  hook_id: Defaulted<string>;
}

export interface InstancesTable {
  id: Defaulted<string>;
  tenant_id: string;
  installation_id: string;
  name: string;
  settings: Defaulted<Json>;
  hook_id: Defaulted<string>;
  active: Defaulted<boolean>;
  created_at: Defaulted<Date>;
}

export interface InvoiceItemsTable {
  id: Defaulted<string>;
  invoice_id: string;
  service_id: Nullable<string>;
  kind: 'setup' | 'period' | 'use' | 'change' | 'other';
  description: string;
  quantity: Defaulted<number>;
  amount_minor: number;
  period_from: Nullable<Date>;
  period_to: Nullable<Date>;
}

export interface InvoicesTable {
  id: Defaulted<string>;
  tenant_id: string;
  client_id: string;
  number: number;
  label: string;
  status: Defaulted<'unpaid' | 'paid' | 'cancelled' | 'refunded' | 'overdue'>;
  currency: string;
  total_minor: number;
  paid_minor: Defaulted<number>;
  refunded_minor: Defaulted<number>;
  due_at: Date;
  created_at: Defaulted<Date>;
  paid_at: Nullable<Date>;
  cancelled_at: Nullable<Date>;
  tax_rate_bp: Defaulted<number>;
  tax_included: Defaulted<boolean>;
  tax_minor: Defaulted<number>;
}

export interface LogsTable {
  id: Computed<number>;
  tenant_id: string;
  installation_id: Nullable<string>;
  service_id: Nullable<string>;
  task_id: Nullable<string>;
  invocation: Nullable<string>;
  account_id: Nullable<string>;
  level: 'debug' | 'info' | 'notice' | 'warning' | 'error' | 'critical' | 'alert' | 'emergency';
  action: string;
  request: Nullable<Json>;
  response: Nullable<Json>;
  source: Defaulted<'module' | 'host'>;
  at: Defaulted<Date>;
}

export interface ModuleActionsTable {
  id: Defaulted<string>;
  tenant_id: string;
  installation_id: string;
  service_id: Nullable<string>;
  action: 'button' | 'password' | 'sign_on' | 'reconcile' | 'not_found' | 'test';
  title: Defaulted<string>;
  ok: boolean;
  message: Defaulted<string>;
  duration_ms: number;
  account_id: Nullable<string>;
  actor: 'admin' | 'client' | 'host';
  at: Defaulted<Date>;
}

export interface ModuleVersionsTable {
  id: Defaulted<string>;
  module_id: string;
  version: string;
  package_sha256: string;
  manifest: Json;
  declaration: Json;
  status: Defaulted<'in_review' | 'published' | 'revoked'>;
  status_reason: Nullable<string>;
  published_at: Defaulted<Date>;
  store_id: Nullable<string>;
  taken_back_at: Nullable<Date>;
  taken_back_reason: Nullable<string>;
}

export interface ModulesTable {
  id: Defaulted<string>;
  publisher: string;
  type: string;
  name: string;
  created_at: Defaulted<Date>;
}

export interface NotificationLayoutsTable {
  tenant_id: string;
  name: string;
  locale: string;
  html: string;
  updated_at: Defaulted<Date>;
}

export interface NotificationRuleSendersTable {
  rule_id: string;
  instance_id: string;
}

export interface NotificationRulesTable {
  id: Defaulted<string>;
  tenant_id: string;
  category: 'staff_administrative' | 'staff_operational' | 'client_administrative' | 'client_operational';
  event: Nullable<string>;
  min_level: Defaulted<'info' | 'success' | 'warning' | 'error'>;
  active: Defaulted<boolean>;
  created_at: Defaulted<Date>;
}

export interface NotificationTemplatesTable {
  tenant_id: string;
  name: string;
  locale: string;
  layout: string;
  subject: string;
  html: string;
  plain: string;
  updated_at: Defaulted<Date>;
}

export interface PackagesTable {
  sha256: string;
  bytes: Bytes;
  size_bytes: number;
  created_at: Defaulted<Date>;
}

export interface PaymentsTable {
  id: Defaulted<string>;
  tenant_id: string;
  invoice_id: string;
  instance_id: Nullable<string>;
  transaction_id: string;
  amount_minor: number;
  fee_minor: Defaulted<number>;
  applied_minor: number;
  refunded_minor: Defaulted<number>;
  currency: string;
  payload: Nullable<Json>;
  account_id: Nullable<string>;
  created_at: Defaulted<Date>;
}

export interface PricesTable {
  id: Defaulted<string>;
  product_id: string;
  period:
    | 'one-time'
    | 'hourly'
    | 'daily'
    | 'weekly'
    | 'biweekly'
    | 'monthly'
    | 'quarterly'
    | 'semiannually'
    | 'annually'
    | 'biennially'
    | 'triennially';
  setup_minor: Defaulted<number>;
  amount_minor: number;
}

export interface ProductsTable {
  id: Defaulted<string>;
  tenant_id: string;
  installation_id: Nullable<string>;
  name: string;
  description: Defaulted<string>;
  data: Defaulted<Json>;
  active: Defaulted<boolean>;
  created_at: Defaulted<Date>;
  pay_first: Nullable<boolean>;
  service_name: Defaulted<string>;
}

export interface PublishersTable {
  name: string;
  public_key: string;
  fingerprint: string;
  pinned_at: Defaulted<Date>;
  revoked_at: Nullable<Date>;
}

export interface RefundsTable {
  id: Defaulted<string>;
  tenant_id: string;
  payment_id: string;
  amount_minor: number;
  credit_minor: Defaulted<number>;
  method: 'gateway' | 'manual';
  status: Defaulted<'pending' | 'done' | 'failed' | 'in_doubt'>;
  transaction_id: Nullable<string>;
  reason: Defaulted<string>;
  error: Nullable<string>;
  account_id: Nullable<string>;
  created_at: Defaulted<Date>;
  finished_at: Nullable<Date>;
}

export interface RolesTable {
  id: Defaulted<string>;
  tenant_id: string;
  name: string;
  permissions: Defaulted<string[]>;
}

export interface ScheduleRunsTable {
  id: Computed<number>;
  schedule_id: string;
  due_at: Date;
  outcome: 'queued' | 'caught_up' | 'overlap' | 'manual';
  missed: Defaulted<number>;
  task_id: Nullable<string>;
  at: Defaulted<Date>;
}

export interface SchedulesTable {
  id: Defaulted<string>;
  tenant_id: string;
  installation_id: string;
  source: 'manifest' | 'module';
  key: string;
  method: string;
  title: Defaulted<string>;
  cron: Nullable<string>;
  every_s: Nullable<number>;
  params: Defaulted<Json>;
  tags: Defaulted<string[]>;
  tries: number;
  backoff_s: number;
  timeout_s: number;
  max_exceptions: number;
  next_at: Date;
  paused_at: Nullable<Date>;
  last_task_id: Nullable<string>;
  created_at: Defaulted<Date>;
  event_depth: Defaulted<number>;
}

export interface SchemaMigrationsTable {
  number: number;
  name: string;
  sha256: string;
  applied_at: Defaulted<Date>;
}

export interface SecretsTable {
  id: Defaulted<string>;
  installation_id: string;
  name: string;
  handle: string;
  ciphertext: Bytes;
  hosts: Defaulted<string[]>;
  updated_at: Defaulted<Date>;
  instance_id: Nullable<string>;
}

export interface ServiceCareTable {
  service_id: string;
  tenant_id: string;
  usage: Nullable<Json>;
  usage_at: Nullable<Date>;
  usage_error: Nullable<string>;
  usage_due_at: Defaulted<Date>;
  report: Nullable<Json>;
  report_at: Nullable<Date>;
  report_error: Nullable<string>;
  report_due_at: Defaulted<Date>;
}

export interface ServiceChangesTable {
  id: Computed<number>;
  service_id: string;
  field: 'status' | 'provision_status' | 'product';
  old_value: Nullable<string>;
  new_value: string;
  actor: string;
  at: Defaulted<Date>;
}

export interface ServiceRenewalsTable {
  id: Computed<number>;
  service_id: string;
  invoice_id: string;
  period_from: Date;
  period_to: Date;
  tries: Defaulted<number>;
  told_at: Nullable<Date>;
}

export interface ServicesTable {
  id: Defaulted<string>;
  tenant_id: string;
  client_id: string;
  product_id: string;
  installation_id: string;
  name: string;
  status: Defaulted<'pending' | 'active' | 'suspended' | 'terminated' | 'cancelled' | 'fraud' | 'manual'>;
  provision_status: Defaulted<
    | 'pending'
    | 'processing'
    | 'completed'
    | 'failed'
    | 'suspended'
    | 'terminated'
    | 'cancelled'
    | 'not_found'
    | 'paused'
  >;
  data: Defaulted<Json>;
  provision_data: Defaulted<Json>;
  period: string;
  setup_minor: Defaulted<number>;
  amount_minor: number;
  currency: string;
  created_at: Defaulted<Date>;
  activated_at: Nullable<Date>;
  suspended_at: Nullable<Date>;
  terminated_at: Nullable<Date>;
  order_invoice_id: Nullable<string>;
  order_token: Nullable<string>;
  billing_anchor_at: Nullable<Date>;
  periods_billed: Defaulted<number>;
  billed_until: Nullable<Date>;
  cancel_at: Nullable<Date>;
  overdue_since: Nullable<Date>;
  host_acts_at: Nullable<Date>;
  host_action: Nullable<string>;
  host_tries: Defaulted<number>;
  host_gave_up_at: Nullable<Date>;
}

export interface SessionsTable {
  token_sha256: Bytes;
  id: Defaulted<string>;
  account_id: string;
  csrf_secret: string;
  user_agent: Defaulted<string>;
  address: Defaulted<string>;
  created_at: Defaulted<Date>;
  last_seen_at: Defaulted<Date>;
  expires_at: Date;
}

export interface SettingsTable {
  key: string;
  value: Json;
  updated_at: Defaulted<Date>;
}

export interface StepRequestsTable {
  task_id: string;
  step: string;
  number: number;
  fingerprint: string;
  response: Nullable<Json>;
  sent_at: Defaulted<Date>;
  answered_at: Nullable<Date>;
}

export interface StepsTable {
  task_id: string;
  name: string;
  idempotency_key: string;
  status: Defaulted<'running' | 'done' | 'in_doubt'>;
  value: Nullable<Json>;
  started_at: Defaulted<Date>;
  finished_at: Nullable<Date>;
}

export interface StoresTable {
  id: Defaulted<string>;
  name: string;
  url: string;
  policy: Defaulted<'review' | 'publish'>;
  added_at: Defaulted<Date>;
  added_by: Nullable<string>;
  asked_at: Nullable<Date>;
}

export interface TaskAttemptsTable {
  id: Computed<number>;
  task_id: string;
  number: number;
  outcome: Nullable<'completed' | 'failed' | 'error' | 'timeout' | 'interrupted' | 'cancelled'>;
  error: Nullable<Json>;
  started_at: Defaulted<Date>;
  ended_at: Nullable<Date>;
  cpu_us: Defaulted<number>;
  wall_ms: Defaulted<number>;
}

export interface TaskLanesTable {
  installation_id: string;
  worker_id: string;
  places: number;
  until: Date;
}

export interface TasksTable {
  id: Defaulted<string>;
  tenant_id: string;
  installation_id: string;
  service_id: Nullable<string>;
  parent_id: Nullable<string>;
  method: string;
  params: Defaulted<Json>;
  tags: Defaulted<string[]>;
  tries: Defaulted<number>;
  backoff_s: Defaulted<number>;
  timeout_s: Defaulted<number>;
  max_exceptions: Defaulted<number>;
  run_at: Defaulted<Date>;
  status: Defaulted<'queued' | 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled' | 'duplicate'>;
  attempts: Defaulted<number>;
  exceptions: Defaulted<number>;
  result: Nullable<Json>;
  error: Nullable<Json>;
  progress_percent: Nullable<number>;
  progress_note: Nullable<string>;
  dedupe_key: string;
  cpu_us: Defaulted<number>;
  created_at: Defaulted<Date>;
  started_at: Nullable<Date>;
  finished_at: Nullable<Date>;
  instance_id: Nullable<string>;
  event_depth: Defaulted<number>;
  taken_by: Nullable<string>;
}

export interface TenantsTable {
  id: Defaulted<string>;
  slug: string;
  name: string;
  locale: Defaulted<string>;
  currency: Defaulted<string>;
  timezone: Defaulted<string>;
  runner_number: Computed<number>;
  egress_allow: Defaulted<Json>;
  created_at: Defaulted<Date>;
  client_registration: Defaulted<boolean>;
}

export interface UsageMinutesTable {
  installation_id: string;
  minute: Date;
  invocations: Defaulted<number>;
  errors: Defaulted<number>;
  killed: Defaulted<number>;
  refused: Defaulted<number>;
  capability_calls: Defaulted<number>;
  cpu_us: Defaulted<number>;
  wall_ms: Defaulted<number>;
}

export interface WorkersTable {
  id: string;
  host: string;
  pid: number;
  started_at: Defaulted<Date>;
  heartbeat_at: Defaulted<Date>;
}

export interface Tables {
  account_links: AccountLinksTable;
  accounts: AccountsTable;
  billing_settings: BillingSettingsTable;
  breaker_kills: BreakerKillsTable;
  cache_entries: CacheEntriesTable;
  calls: CallsTable;
  credit_entries: CreditEntriesTable;
  deliveries: DeliveriesTable;
  event_deliveries: EventDeliveriesTable;
  events: EventsTable;
  failures: FailuresTable;
  flows: FlowsTable;
  grant_use: GrantUseTable;
  host_requests: HostRequestsTable;
  installations: InstallationsTable;
  instances: InstancesTable;
  invoice_items: InvoiceItemsTable;
  invoices: InvoicesTable;
  logs: LogsTable;
  module_actions: ModuleActionsTable;
  module_versions: ModuleVersionsTable;
  modules: ModulesTable;
  notification_layouts: NotificationLayoutsTable;
  notification_rule_senders: NotificationRuleSendersTable;
  notification_rules: NotificationRulesTable;
  notification_templates: NotificationTemplatesTable;
  packages: PackagesTable;
  payments: PaymentsTable;
  prices: PricesTable;
  products: ProductsTable;
  publishers: PublishersTable;
  refunds: RefundsTable;
  roles: RolesTable;
  schedule_runs: ScheduleRunsTable;
  schedules: SchedulesTable;
  schema_migrations: SchemaMigrationsTable;
  secrets: SecretsTable;
  service_care: ServiceCareTable;
  service_changes: ServiceChangesTable;
  service_renewals: ServiceRenewalsTable;
  services: ServicesTable;
  sessions: SessionsTable;
  settings: SettingsTable;
  step_requests: StepRequestsTable;
  steps: StepsTable;
  stores: StoresTable;
  task_attempts: TaskAttemptsTable;
  task_lanes: TaskLanesTable;
  tasks: TasksTable;
  tenants: TenantsTable;
  usage_minutes: UsageMinutesTable;
  workers: WorkersTable;
}
