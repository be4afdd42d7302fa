-- A task's end asks which delivery it was.
create index on deliveries (task_id) where task_id is not null;
