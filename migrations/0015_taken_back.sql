-- What a store said of a version after it was brought from there: that it took it back, why, and when that was seen. It goes on running: what
-- becomes of it is its tenant's to decide.
alter table module_versions add column taken_back_at timestamptz;
alter table module_versions add column taken_back_reason text;
create index on module_versions (store_id) where store_id is not null;

-- When it was last asked: of several processes one asks.
alter table stores add column asked_at timestamptz;
