-- What the host does with a service by itself: how often it tried, and since when it leaves it to a person.
alter table services add column host_action text;
alter table services add column host_tries integer not null default 0;
alter table services add column host_gave_up_at timestamptz;
