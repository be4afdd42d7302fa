-- What was left to chance: how deep in a chain of events a schedule was made, mails whose sending was never answered, addresses that nobody
-- confirmed, and failed sign-ins that each process counted for itself.

-- As for tasks: what a handler of an event schedules belongs to the chain that led to it.
alter table schedules add column event_depth integer not null default 0;

-- 'in_doubt': the mail server was given the message and its answer was never recorded; a person decides.
alter table deliveries
  drop constraint deliveries_status_check,
  add constraint deliveries_status_check check (status in ('queued', 'sent', 'failed', 'in_doubt'));

-- Whoever registered has not followed the link in the mail yet; null: nothing to confirm.
alter table accounts add column unconfirmed_since timestamptz;
create index accounts_unconfirmed on accounts (unconfirmed_since) where unconfirmed_since is not null;
alter table account_links
  drop constraint account_links_purpose_check,
  add constraint account_links_purpose_check check (purpose in ('password_reset', 'second_factor', 'confirm_email'));

-- One row for each failure that counts against a key (an account, a sender, a code), for all processes together. Unlogged: after a crash of
-- the database they are gone, and everybody has their tries again.
create unlogged table failures (
  id bigint primary key generated always as identity,
  key text not null,
  at timestamptz not null
);
create index on failures (key, at);
create index on failures (at);
