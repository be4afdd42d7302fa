-- A run that ends hands its place straight to the next waiting task of its installation (docs/decisions/0040). Such a task has no job of its
-- own in the queue: the worker that took it stands here until the task has ended or is queued again.
alter table tasks add column taken_by text;
create index on tasks (taken_by) where taken_by is not null;

-- The oldest waiting task of an installation, without sorting all that wait.
create index on tasks (installation_id, run_at, created_at) where status = 'pending';
