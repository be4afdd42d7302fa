-- Events (what happened, who was told and what they made of it), schedules (what runs again and again), and hosts that a module asks for
-- while it runs.

create table events (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  name text not null,
  payload jsonb not null,
  -- 'host', or the module that dispatched it: publisher/Type/Name.
  source text not null,
  installation_id uuid references installations on delete set null,
  -- How many events led to it, each dispatched by a handler of the one before.
  depth integer not null default 0,
  at timestamptz not null default clock_timestamp(),
  -- When it was found out who listens; null: still to be done.
  delivered_at timestamptz
);
create index on events (tenant_id, at desc);
create index on events (tenant_id, name, at desc);
create index events_to_deliver on events (at) where delivered_at is null;

-- One row for each handler of an event: of a module (installation, number of the handler in its hooks.ts), or of the host (subscriber).
create table event_deliveries (
  id uuid primary key default gen_random_uuid(),
  event_id uuid not null references events on delete cascade,
  position integer not null,
  subscriber text,
  installation_id uuid references installations on delete cascade,
  handler integer,
  priority integer not null default 0,
  -- A module's handler runs as a task, which holds its attempts and its log.
  task_id uuid references tasks on delete set null,
  -- When its turn came; those before it had had theirs.
  released_at timestamptz,
  -- Of the host's own subscribers; a module's handler has its task's.
  attempts integer not null default 0,
  error text,
  wall_ms integer,
  retry_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  unique (event_id, position),
  check ((subscriber is null) <> (installation_id is null)),
  check ((installation_id is null) = (handler is null))
);
create index on event_deliveries (task_id) where task_id is not null;
create index event_deliveries_of_host on event_deliveries (retry_at) where subscriber is not null and finished_at is null;
create index event_deliveries_waiting on event_deliveries (event_id) where subscriber is null and released_at is null;

-- Handed on from a handler's task to the tasks it adds, so that modules that answer each other's events come to an end.
alter table tasks add column event_depth integer not null default 0;

create table schedules (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid not null references installations on delete cascade,
  -- In module.json, or asked for by the module's code.
  source text not null check (source in ('manifest', 'module')),
  -- Which of the installation's schedules it is: asking for the same again changes it.
  key text not null,
  method text not null,
  title text not null default '',
  -- In the tenant's time zone.
  cron text,
  every_s integer check (every_s >= 10),
  params jsonb not null default '{}',
  tags text[] not null default '{}',
  tries integer not null,
  backoff_s integer not null,
  timeout_s integer not null,
  max_exceptions integer not null,
  next_at timestamptz not null,
  paused_at timestamptz,
  last_task_id uuid references tasks on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  unique (installation_id, key),
  check ((cron is null) <> (every_s is null))
);
create index schedules_due on schedules (next_at) where paused_at is null;

create table schedule_runs (
  id bigint primary key generated always as identity,
  schedule_id uuid not null references schedules on delete cascade,
  due_at timestamptz not null,
  -- 'overlap': the run before was not over. 'caught_up': one run for those that were missed. 'manual': a person's.
  outcome text not null check (outcome in ('queued', 'caught_up', 'overlap', 'manual')),
  -- Due moments before this one that passed without a run.
  missed integer not null default 0,
  task_id uuid references tasks on delete set null,
  at timestamptz not null default clock_timestamp()
);
-- One run for one due moment, however many workers look.
create unique index schedule_runs_once on schedule_runs (schedule_id, due_at) where outcome <> 'manual';
create index on schedule_runs (schedule_id, at desc);

-- A host that a module keeps in a row of its own and asks for while it runs; the admin confirms it once.
create table host_requests (
  id uuid primary key default gen_random_uuid(),
  installation_id uuid not null references installations on delete cascade,
  capability text not null check (capability in ('http', 'net')),
  pattern text not null check (length(pattern) <= 300),
  status text not null default 'asked' check (status in ('asked', 'confirmed', 'refused')),
  asked_at timestamptz not null default clock_timestamp(),
  decided_at timestamptz,
  decided_by uuid references accounts on delete set null,
  unique (installation_id, capability, pattern)
);
