-- Taking tasks away looks for those that they queued: without this, a hundred thousand of them took a quarter of an hour.
create index on tasks (parent_id) where parent_id is not null;
