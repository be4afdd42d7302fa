-- Foundation: who there is (tenants, accounts), what can run (publishers, packages, modules, versions),
-- where it runs (installations), what is sold (products, services), and what happened (tasks, logs, calls, flows).
-- Closed sets are checks here and become literal types in src/database/tables.ts, which is generated from this schema.

create table tenants (
  id uuid primary key default gen_random_uuid(),
  slug text not null unique check (slug ~ '^[a-z][a-z0-9-]{1,30}$'),
  name text not null,
  locale text not null default 'en',
  currency text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
  timezone text not null default 'UTC',
  -- A number of its own for each tenant: under root its runner processes get the uid (base + number).
  runner_number integer not null generated always as identity unique,
  -- Private addresses that the operator allows this tenant's modules to reach: [{"cidr": "10.0.0.0/24", "port": 443}].
  egress_allow jsonb not null default '[]',
  created_at timestamptz not null default now()
);

create table roles (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  name text not null,
  -- Keys such as 'services.manage' or 'Product-VPSHosting-view-servers'; '*' is everything.
  permissions text[] not null default '{}',
  unique (tenant_id, name)
);

create table accounts (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('operator', 'admin', 'client')),
  tenant_id uuid references tenants on delete cascade,
  role_id uuid references roles,
  email text not null check (email = lower(email)),
  name text not null,
  password_hash text not null,
  disabled_at timestamptz,
  created_at timestamptz not null default now(),
  check ((kind = 'operator') = (tenant_id is null)),
  unique nulls not distinct (kind, tenant_id, email)
);

create table sessions (
  token_sha256 bytea primary key,
  id uuid not null unique default gen_random_uuid(),
  account_id uuid not null references accounts on delete cascade,
  csrf_secret text not null,
  user_agent text not null default '',
  address text not null default '',
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index on sessions (account_id);

create table publishers (
  name text primary key check (name ~ '^[a-z][a-z0-9-]{1,38}$'),
  public_key text not null,
  fingerprint text not null,
  pinned_at timestamptz not null default now(),
  revoked_at timestamptz
);

create table packages (
  sha256 text primary key,
  bytes bytea not null,
  size_bytes integer not null,
  created_at timestamptz not null default now()
);

create table modules (
  id uuid primary key default gen_random_uuid(),
  publisher text not null references publishers,
  type text not null,
  name text not null,
  created_at timestamptz not null default now(),
  unique (publisher, type, name)
);

create table module_versions (
  id uuid primary key default gen_random_uuid(),
  module_id uuid not null references modules,
  version text not null,
  package_sha256 text not null references packages,
  manifest jsonb not null,
  -- What the module declared of itself when it was read in the throw-away sandbox (contract: declaration.ts).
  declaration jsonb not null,
  status text not null default 'published' check (status in ('in_review', 'published', 'revoked')),
  status_reason text,
  published_at timestamptz not null default now(),
  unique (module_id, version)
);

create table installations (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  module_id uuid not null references modules,
  version_id uuid not null references module_versions,
  -- A newer version that waits for the admin's consent; the old one goes on meanwhile (status restricted).
  pending_version_id uuid references module_versions,
  status text not null default 'inactive' check (status in ('inactive', 'active', 'restricted', 'error')),
  status_reason text,
  -- What the tenant's admin granted (contract: grant.ts, Grants). Empty until consent.
  grants jsonb not null default '{}',
  granted_by uuid references accounts on delete set null,
  granted_at timestamptz,
  settings jsonb not null default '{}',
  -- The schema and roles of this installation in the modules database; null until the first enable.
  schema_name text unique,
  -- Set when the circuit breaker paused it; cleared by a person.
  paused_at timestamptz,
  paused_reason text,
  installed_at timestamptz not null default now(),
  unique (tenant_id, module_id)
);

create table secrets (
  id uuid primary key default gen_random_uuid(),
  installation_id uuid not null references installations on delete cascade,
  name text not null,
  -- The opaque text that the module holds in place of the value.
  handle text not null unique,
  ciphertext bytea not null,
  -- host[:port] patterns towards which the value may be put in.
  hosts text[] not null default '{}',
  updated_at timestamptz not null default now(),
  unique (installation_id, name)
);

create table products (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid references installations,
  name text not null,
  description text not null default '',
  data jsonb not null default '{}',
  active boolean not null default true,
  created_at timestamptz not null default now(),
  unique (tenant_id, name)
);

create table prices (
  id uuid primary key default gen_random_uuid(),
  product_id uuid not null references products on delete cascade,
  period text not null check (period in ('one-time', 'hourly', 'daily', 'weekly', 'biweekly', 'monthly', 'quarterly', 'semiannually', 'annually', 'biennially', 'triennially')),
  setup_minor bigint not null default 0 check (setup_minor >= 0),
  amount_minor bigint not null check (amount_minor >= 0),
  unique (product_id, period)
);

create table services (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  client_id uuid not null references accounts,
  product_id uuid not null references products,
  installation_id uuid not null references installations,
  name text not null,
  status text not null default 'pending' check (status in ('pending', 'active', 'suspended', 'terminated', 'cancelled', 'fraud', 'manual')),
  provision_status text not null default 'pending' check (provision_status in ('pending', 'processing', 'completed', 'failed', 'suspended', 'terminated', 'cancelled', 'not_found', 'paused')),
  data jsonb not null default '{}',
  provision_data jsonb not null default '{}',
  period text not null,
  setup_minor bigint not null default 0,
  amount_minor bigint not null,
  currency text not null,
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  suspended_at timestamptz,
  terminated_at timestamptz
);
create index on services (tenant_id, client_id);
create index on services (installation_id);

-- One row for each change of a service's status, for its timeline.
create table service_changes (
  id bigint primary key generated always as identity,
  service_id uuid not null references services on delete cascade,
  field text not null check (field in ('status', 'provision_status', 'product')),
  old_value text,
  new_value text not null,
  -- Who did it: 'client', 'admin', 'host', or the module's method.
  actor text not null,
  at timestamptz not null default clock_timestamp()
);
create index on service_changes (service_id);

create table tasks (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid not null references installations on delete cascade,
  service_id uuid references services on delete cascade,
  parent_id uuid references tasks on delete set null,
  method text not null,
  params jsonb not null default '{}',
  tags text[] not null default '{}',
  tries integer not null default 1 check (tries between 1 and 100),
  backoff_s integer not null default 10 check (backoff_s between 0 and 86400),
  timeout_s integer not null default 600 check (timeout_s between 1 and 86400),
  max_exceptions integer not null default 2 check (max_exceptions between 1 and 100),
  run_at timestamptz not null default now(),
  status text not null default 'queued' check (status in ('queued', 'pending', 'processing', 'completed', 'failed', 'cancelled', 'duplicate')),
  attempts integer not null default 0,
  exceptions integer not null default 0,
  result jsonb,
  -- {code, message} of the last failure, fit for the admin to read.
  error jsonb,
  progress_percent integer check (progress_percent between 0 and 100),
  progress_note text,
  -- Same method + params + tags of one installation: equal keys are duplicates while one waits or runs.
  dedupe_key text not null,
  cpu_us bigint not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz
);
create index on tasks (installation_id, dedupe_key) where status in ('queued', 'pending', 'processing');
create index on tasks (tenant_id, created_at desc);
create index on tasks (service_id, created_at);
create index on tasks using gin (tags);

create table task_attempts (
  id bigint primary key generated always as identity,
  task_id uuid not null references tasks on delete cascade,
  number integer not null,
  -- 'interrupted' does not count against tries: the attempt ended for a reason outside the task.
  outcome text check (outcome in ('completed', 'failed', 'error', 'timeout', 'interrupted', 'cancelled')),
  error jsonb,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  cpu_us bigint not null default 0,
  wall_ms integer not null default 0
);
create index on task_attempts (task_id);

-- Named steps of a job and the answers they got: a retry resumes after the last finished one.
create table steps (
  task_id uuid not null references tasks on delete cascade,
  name text not null,
  -- The stable idempotency key sent with the step's requests.
  idempotency_key text not null,
  status text not null default 'running' check (status in ('running', 'done', 'in_doubt')),
  value jsonb,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  primary key (task_id, name)
);

create table step_requests (
  task_id uuid not null,
  step text not null,
  number integer not null,
  -- Method, URL and a hash of the body: a retry must ask for the same thing to be given the recorded answer.
  fingerprint text not null,
  response jsonb,
  sent_at timestamptz not null default clock_timestamp(),
  answered_at timestamptz,
  primary key (task_id, step, number),
  foreign key (task_id, step) references steps (task_id, name) on delete cascade
);

create table logs (
  id bigint primary key generated always as identity,
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid references installations on delete cascade,
  service_id uuid,
  task_id uuid,
  invocation text,
  account_id uuid,
  level text not null check (level in ('debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency')),
  action text not null,
  request jsonb,
  response jsonb,
  -- 'module' when the module wrote it, 'host' when we did (limits reached, refusals, kills).
  source text not null default 'module' check (source in ('module', 'host')),
  at timestamptz not null default clock_timestamp()
);
create index on logs (tenant_id, at desc);
create index on logs (installation_id, at desc);
create index on logs (service_id, at) where service_id is not null;
create index on logs (task_id) where task_id is not null;

-- One row for each outbound call of a module that a person wants to see: HTTP today.
create table calls (
  id bigint primary key generated always as identity,
  installation_id uuid not null references installations on delete cascade,
  service_id uuid,
  task_id uuid,
  invocation text,
  op text not null,
  target text not null,
  status integer,
  error_code text,
  duration_ms integer not null,
  at timestamptz not null default clock_timestamp()
);
create index on calls (installation_id, at desc);
create index on calls (task_id) where task_id is not null;

-- What an installation used, by minute: written in batches by the meter.
create table usage_minutes (
  installation_id uuid not null references installations on delete cascade,
  minute timestamptz not null,
  invocations integer not null default 0,
  errors integer not null default 0,
  killed integer not null default 0,
  refused integer not null default 0,
  capability_calls integer not null default 0,
  cpu_us bigint not null default 0,
  wall_ms bigint not null default 0,
  primary key (installation_id, minute)
);

-- Capabilities that were really used, so that the panel can suggest taking back what never is.
create table grant_use (
  installation_id uuid not null references installations on delete cascade,
  item text not null,
  uses bigint not null default 0,
  refusals bigint not null default 0,
  last_used_at timestamptz,
  primary key (installation_id, item)
);

-- Long doings (install, enable, …) as numbered idempotent steps; resumed at start.
create table flows (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  subject text not null,
  tenant_id uuid references tenants on delete cascade,
  state jsonb not null default '{}',
  next_step integer not null default 0,
  status text not null default 'running' check (status in ('running', 'done', 'failed')),
  error jsonb,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create unique index on flows (subject) where status = 'running';

-- Which worker processes live: graphile-worker's own recovery takes four hours, a missed heartbeat here takes seconds.
create table workers (
  id text primary key,
  host text not null,
  pid integer not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now()
);

create table settings (
  key text primary key,
  value jsonb not null,
  updated_at timestamptz not null default now()
);

-- Values that modules keep for a while. Unlogged: they may be lost at any time, by contract.
create unlogged table cache_entries (
  installation_id uuid not null references installations on delete cascade,
  key text not null,
  -- JSON as text: it comes back as it came, also what jsonb cannot hold.
  value text not null,
  size_bytes integer not null,
  tags text[] not null default '{}',
  expires_at timestamptz not null,
  primary key (installation_id, key)
);
create index on cache_entries using gin (tags);
