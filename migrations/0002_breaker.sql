-- The circuit breaker: which invocations had to be killed, for as long as they count, and where to go back to.

create table breaker_kills (
  installation_id uuid not null references installations on delete cascade,
  version_id uuid not null references module_versions on delete cascade,
  method text not null,
  code text not null,
  at timestamptz not null default clock_timestamp()
);
create index on breaker_kills (installation_id, version_id, at);

-- The version that ran before the last update, unless the breaker had stopped it.
alter table installations add column previous_version_id uuid references module_versions;
