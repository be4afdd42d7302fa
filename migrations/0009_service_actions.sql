-- What people and the clock have modules do with a service beside its lifecycle: renewals, buttons, new passwords, signing on, usage,
-- comparisons with the remote account, tests of a connection.

-- Time beyond a service's first period that was paid: its module is told of each once.
create table service_renewals (
  id bigint primary key generated always as identity,
  service_id uuid not null references services on delete cascade,
  invoice_id uuid not null references invoices on delete cascade,
  period_from timestamptz not null,
  period_to timestamptz not null,
  tries integer not null default 0,
  -- Null: its module was not told yet, or has refused so far.
  told_at timestamptz,
  unique (service_id, invoice_id)
);
create index service_renewals_open on service_renewals (service_id, id) where told_at is null;

-- One row for each thing that somebody had a module do on a page: the page says once how it went, and a service's timeline keeps it.
create table module_actions (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid not null references installations on delete cascade,
  service_id uuid references services on delete cascade,
  -- 'button', 'password', 'sign_on', 'reconcile', 'not_found', 'test'
  action text not null check (action in ('button', 'password', 'sign_on', 'reconcile', 'not_found', 'test')),
  -- The title of the button, where it was one.
  title text not null default '',
  ok boolean not null,
  -- What the module said; never a password.
  message text not null default '',
  duration_ms integer not null,
  -- Null: the host's clock.
  account_id uuid references accounts on delete set null,
  actor text not null check (actor in ('admin', 'client', 'host')),
  at timestamptz not null default clock_timestamp()
);
create index on module_actions (service_id, at desc) where service_id is not null;
create index on module_actions (installation_id, at desc);
create index on module_actions (at);

-- What usageUpdate() and reconcile() said last, and when they are asked again.
create table service_care (
  service_id uuid primary key references services on delete cascade,
  tenant_id uuid not null references tenants on delete cascade,
  usage jsonb,
  usage_at timestamptz,
  usage_error text,
  usage_due_at timestamptz not null default now(),
  report jsonb,
  report_at timestamptz,
  report_error text,
  report_due_at timestamptz not null default now()
);
