-- What runs or stands in the queue of an installation is counted whenever a place may be free. Those that wait are in the other index too:
-- with 100,000 of them each count read them all.
create index tasks_standing on tasks (installation_id, status, run_at) where status in ('queued', 'processing');

-- A worker that runs an installation's waiting tasks without having noted which (docs/decisions/0041): it has so many of its places until then.
create table task_lanes (
  installation_id uuid primary key references installations on delete cascade,
  worker_id text not null,
  places integer not null,
  until timestamptz not null
);
