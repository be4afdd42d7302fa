-- Messages to people: which senders carry what (rules), what it looks like (layouts, templates), and what became of each (deliveries).
-- Layouts and templates are only what a tenant changed; the others come with the host.

create table notification_layouts (
  tenant_id uuid not null references tenants on delete cascade,
  name text not null,
  locale text not null,
  html text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, name, locale)
);

create table notification_templates (
  tenant_id uuid not null references tenants on delete cascade,
  name text not null,
  locale text not null,
  layout text not null,
  subject text not null,
  html text not null,
  -- For channels without HTML, and as the plain part of a mail.
  plain text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, name, locale)
);

-- What of a category (or of one event in it) goes to which senders. A tenant without any rule has the host's.
create table notification_rules (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  category text not null check (category in ('staff_administrative', 'staff_operational', 'client_administrative', 'client_operational')),
  -- Any event of the category if null.
  event text,
  min_level text not null default 'info' check (min_level in ('info', 'success', 'warning', 'error')),
  active boolean not null default true,
  created_at timestamptz not null default clock_timestamp()
);
create index on notification_rules (tenant_id);

create table notification_rule_senders (
  rule_id uuid not null references notification_rules on delete cascade,
  instance_id uuid not null references instances on delete cascade,
  primary key (rule_id, instance_id)
);
create index on notification_rule_senders (instance_id);

-- One send() of one sender to one recipient, with exactly what it was given.
create table deliveries (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  instance_id uuid references instances on delete set null,
  -- The sender as it was called then; it may be gone.
  sender text not null,
  channel text not null check (channel in ('email', 'chat', 'sms')),
  category text check (category in ('staff_administrative', 'staff_operational', 'client_administrative', 'client_operational')),
  event text,
  level text not null default 'info' check (level in ('info', 'success', 'warning', 'error')),
  account_id uuid references accounts on delete set null,
  -- The module that asked for it; null for the host's own.
  source_id uuid references installations on delete set null,
  recipient text not null,
  subject text not null,
  payload jsonb not null,
  status text not null default 'queued' check (status in ('queued', 'sent', 'failed')),
  attempts integer not null default 0,
  error_code text,
  error_message text,
  task_id uuid unique references tasks on delete set null,
  -- The same event tells the same person once through the same sender, however often it is delivered to us.
  once_key text,
  resent_of uuid references deliveries on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  unique (tenant_id, once_key)
);
create index on deliveries (tenant_id, created_at);
create index on deliveries (source_id, created_at);
create index on deliveries (instance_id);
create index on deliveries (account_id);
create index on deliveries (resent_of);
