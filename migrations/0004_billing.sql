-- Billing: what is asked for (invoices and their items), what came in (payments), what went back (refunds), and what a client has in
-- hand (credit). Amounts are integer minor units. Sums that must hold are checks here, so that no path of the code can break them.

create table billing_settings (
  tenant_id uuid primary key references tenants on delete cascade,
  invoice_prefix text not null default 'INV-' check (length(invoice_prefix) <= 20),
  -- Taken in the transaction that makes the invoice: what is rolled back leaves no gap.
  next_invoice_number bigint not null default 1 check (next_invoice_number >= 1),
  -- Whether a priced order waits for its payment; a product may differ (products.pay_first).
  pay_first boolean not null default false,
  -- Days until the first invoice of a service is due; those that follow are due when their period begins.
  due_days integer not null default 7 check (due_days between 0 and 365),
  -- Days before a period begins that its invoice is made; short periods: at most half of one.
  invoice_ahead_days integer not null default 7 check (invoice_ahead_days between 0 and 365),
  suspend_after_days integer not null default 3 check (suspend_after_days between 0 and 365),
  -- Null: nothing is ever terminated for not being paid.
  terminate_after_days integer check (terminate_after_days between 1 and 3650),
  -- Whether a client's credit pays new invoices by itself.
  auto_credit boolean not null default true,
  orders_per_hour integer not null default 20 check (orders_per_hour between 1 and 10000)
);

-- ISO 3166, for the names of services ({COUNTRY}).
alter table accounts add column country text check (country ~ '^[A-Z]{2}$');

-- Null: as the tenant's setting says.
alter table products add column pay_first boolean;
-- With macros, such as 'vps-{YEAR}-{RAND:4}'; empty: the product's name.
alter table products add column service_name text not null default '' check (length(service_name) <= 200);

create table invoices (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  client_id uuid not null references accounts,
  number bigint not null,
  -- As printed: the prefix of its time and the number.
  label text not null,
  status text not null default 'unpaid' check (status in ('unpaid', 'paid', 'cancelled', 'refunded', 'overdue')),
  currency text not null,
  -- The sum of its items.
  total_minor bigint not null check (total_minor >= 0),
  -- By payments and credit together; what was paid beyond the total is the client's credit.
  paid_minor bigint not null default 0,
  refunded_minor bigint not null default 0,
  due_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  paid_at timestamptz,
  cancelled_at timestamptz,
  unique (tenant_id, number),
  check (paid_minor between 0 and total_minor),
  check (refunded_minor between 0 and paid_minor),
  check (status <> 'paid' or paid_minor = total_minor)
);
create index on invoices (tenant_id, created_at desc);
create index on invoices (client_id, created_at desc);
create index on invoices (due_at) where status in ('unpaid', 'overdue');

create table invoice_items (
  id uuid primary key default gen_random_uuid(),
  invoice_id uuid not null references invoices on delete cascade,
  service_id uuid references services on delete set null,
  kind text not null check (kind in ('setup', 'period', 'change', 'other')),
  description text not null,
  quantity integer not null default 1 check (quantity >= 1),
  -- The whole line; only a change takes away.
  amount_minor bigint not null check (amount_minor >= 0 or kind = 'change'),
  -- A period of an order that waits for its payment begins when the service does: null until then.
  period_from timestamptz,
  period_to timestamptz,
  check (period_from < period_to)
);
create index on invoice_items (invoice_id);
create index on invoice_items (service_id);

create table payments (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  invoice_id uuid not null references invoices,
  -- Null: booked by a person. No key: what was paid outlives the gateway's settings.
  instance_id uuid,
  transaction_id text not null check (length(transaction_id) between 1 and 200),
  amount_minor bigint not null check (amount_minor > 0),
  fee_minor bigint not null default 0 check (fee_minor >= 0),
  -- What of it paid the invoice; the rest became credit.
  applied_minor bigint not null check (applied_minor between 0 and amount_minor),
  -- Given back, or being given back.
  refunded_minor bigint not null default 0,
  currency text not null,
  payload jsonb,
  account_id uuid references accounts on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  check (refunded_minor between 0 and amount_minor)
);
-- Exactly once: a gateway that tells twice, in parallel or after a crash, is booked once.
create unique index payments_once on payments (instance_id, transaction_id) where instance_id is not null;
create unique index payments_by_hand_once on payments (tenant_id, transaction_id) where instance_id is null;
create index on payments (invoice_id);
create index on payments (tenant_id, created_at desc);

create table refunds (
  id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references tenants on delete cascade,
  payment_id uuid not null references payments,
  amount_minor bigint not null check (amount_minor > 0),
  -- What of it comes out of the client's credit, because it was paid beyond the invoice or given back as credit before.
  credit_minor bigint not null default 0 check (credit_minor between 0 and amount_minor),
  -- 'gateway' through the module's refund(); 'manual' a person sent the money.
  method text not null check (method in ('gateway', 'manual')),
  -- 'in_doubt': the gateway was asked and no answer is recorded; a person decides.
  status text not null default 'pending' check (status in ('pending', 'done', 'failed', 'in_doubt')),
  transaction_id text,
  reason text not null default '',
  error text,
  account_id uuid references accounts on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
create index on refunds (payment_id);

-- A ledger by client: rows are only added. The balance stands on each, and never falls below nothing.
create table credit_entries (
  id bigint primary key generated always as identity,
  tenant_id uuid not null references tenants on delete cascade,
  client_id uuid not null references accounts,
  number integer not null,
  kind text not null check (kind in ('overpayment', 'manual', 'applied', 'returned', 'refund', 'change')),
  amount_minor bigint not null check (amount_minor <> 0),
  balance_minor bigint not null check (balance_minor >= 0),
  currency text not null,
  invoice_id uuid references invoices,
  payment_id uuid references payments,
  note text not null default '',
  account_id uuid references accounts on delete set null,
  created_at timestamptz not null default clock_timestamp(),
  unique (client_id, number)
);

alter table services
  -- The invoice of an order that waits for its payment.
  add column order_invoice_id uuid references invoices,
  -- What a second press of the order's button carries again.
  add column order_token uuid,
  -- When its first period began; every other is counted from here, so that the 31st comes back after February.
  add column billing_anchor_at timestamptz,
  add column periods_billed integer not null default 0 check (periods_billed >= 0),
  -- Where what was billed ends; null: nothing more will be billed.
  add column billed_until timestamptz,
  -- The client's (or an admin's) wish: it ends then, and no period after it is billed.
  add column cancel_at timestamptz,
  -- Suspended by the host for not being paid; only such a service resumes by itself.
  add column overdue_since timestamptz,
  -- The host does not act on it again before.
  add column host_acts_at timestamptz;
create unique index services_order_once on services (client_id, order_token);
create index services_to_bill on services (billed_until) where status = 'active' and billed_until is not null;
create index services_to_create on services (order_invoice_id) where status = 'pending' and provision_status = 'pending';
create index services_to_cancel on services (cancel_at) where cancel_at is not null;
create index services_overdue on services (overdue_since) where overdue_since is not null;
