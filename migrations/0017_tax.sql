-- Tax on invoices: one rate of the tenant, as it was when the invoice was made. No rate, no tax: what was there stays as it is.
alter table billing_settings
  -- Hundredths of a percent: 2300 is 23 %.
  add column tax_rate_bp integer not null default 0 check (tax_rate_bp between 0 and 10000),
  -- Whether prices and what is typed hold the tax already; else it comes on top.
  add column prices_include_tax boolean not null default false;

alter table invoices
  add column tax_rate_bp integer not null default 0 check (tax_rate_bp between 0 and 10000),
  add column tax_included boolean not null default false,
  -- Of the total: the sum of the items and this, or of the sum of the items, as tax_included says.
  add column tax_minor bigint not null default 0,
  add check (tax_minor between 0 and total_minor);
