-- Stores beside the host's own: where the operator lets modules come from. Who signed is judged by `publishers`, never by the store.
create table stores (
  id uuid primary key default gen_random_uuid(),
  name text not null unique,
  -- Its base address, without a slash at the end.
  url text not null unique,
  -- What becomes of what a tenant's admin brings from there: it waits for the operator, or is published at once.
  policy text not null default 'review' check (policy in ('review', 'publish')),
  added_at timestamptz not null default now(),
  added_by uuid references accounts on delete set null
);

-- Null: handed in here.
alter table module_versions add column store_id uuid references stores on delete set null;
