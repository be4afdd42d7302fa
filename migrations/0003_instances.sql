-- Instances: one set of settings, secrets and a webhook address of an installation (two Stripe accounts are two instances). Which types
-- have them is said by their kind. Types without have one webhook address an installation.

create table instances (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  installation_id uuid not null references installations on delete cascade,
  name text not null,
  settings jsonb not null default '{}',
  -- The unguessable part of the webhook's address: 244 random bits.
  hook_id text not null unique default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
  -- Whether it is offered (to clients who pay, to rules that send). Deliveries for what was begun before are taken all the same.
  active boolean not null default true,
  created_at timestamptz not null default clock_timestamp(),
  unique (installation_id, name)
);
create index on instances (tenant_id);

alter table installations
  add column hook_id text not null unique default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');

-- A secret belongs to an instance, or to the installation as a whole.
alter table secrets add column instance_id uuid references instances on delete cascade;
alter table secrets drop constraint secrets_installation_id_name_key;
alter table secrets add unique nulls not distinct (installation_id, instance_id, name);

-- A task of an instance runs with that instance's settings.
alter table tasks add column instance_id uuid references instances on delete cascade;
