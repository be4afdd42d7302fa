-- What a person's account has beside its password: the language chosen, a second factor, links sent by mail; and whether a tenant lets
-- clients register themselves.

alter table accounts
  -- A language of the panel ('pl'); null: the tenant's, else what the browser asks for.
  add column locale text,
  -- The key of the authenticator app, sealed by the keyring; null: no second factor.
  add column totp_secret bytea,
  -- The time step of the last code that was taken: none works twice.
  add column totp_step bigint not null default 0,
  -- SHA-256 of the codes that stand in for a lost app, each once.
  add column recovery_codes text[] not null default '{}';

-- Single-use links and half-done sign-ins: the token's SHA-256, as with sessions.
create table account_links (
  token_sha256 bytea primary key,
  account_id uuid not null references accounts on delete cascade,
  purpose text not null check (purpose in ('password_reset', 'second_factor')),
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index on account_links (account_id);

alter table tenants add column client_registration boolean not null default false;
