-- The limit is one of any second, so the last departures are kept, not only the next moment: each request waits for the
-- one that left so many before it, and one that leaves late says so.
alter table alma.pace
    drop column next_at,
    add column number bigint not null default 0,
    add column sent timestamptz[] not null default '{}';
comment on column alma.pace.number is 'of the last request, counted from 1';
comment on column alma.pace.sent is 'when the last ones left or are to leave, oldest first; as many as the limit allows';
