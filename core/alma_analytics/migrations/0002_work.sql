-- What a run has fetched, joined and changed. The run itself, its stages and tasks are the job tables' (schema jobs).


-- Where the fetching of one report stands. The cursor lives at Alma and moves with every call, answered or not:
-- `calling` is set before a call and cleared with its answer, so that a call whose answer was lost is known by it.
create table alma.fetch (
    run_id    text not null,
    side      text not null check (side in ('main', 'other')),
    round     integer not null default 1,
    next_page integer not null default 1,
    token     text,
    calling   boolean not null default false,
    tries     integer not null default 0,
    reason    text,
    primary key (run_id, side)
);

-- Each page that was fetched, whatever came of its round.
create table alma.page (
    run_id     text not null,
    side       text not null,
    round      integer not null,
    page       integer not null,
    rows       integer not null,
    columns    text[] not null,
    digest     text not null,
    blob       text not null,
    fetched_at timestamptz not null default now(),
    primary key (run_id, side, round, page)
);

-- `joined` is the job's own dataset with the other's columns; without another report there is only `main`.
create table alma.dataset (
    run_id  text not null,
    side    text not null check (side in ('main', 'other', 'joined')),
    rows    bigint not null,
    columns text[] not null,
    blob    text not null,
    primary key (run_id, side)
);

-- What the run wants of each record, and what came of it.
create table alma.record (
    run_id   text not null,
    position integer not null,
    batch    integer not null,
    kind     text not null,
    ids      text[] not null,
    before   jsonb not null,
    after    jsonb not null,
    state    text not null check (state in ('pending', 'sent', 'updated', 'unchanged', 'conflict', 'gone', 'refused', 'dry')),
    reason   text,
    at       timestamptz,
    primary key (run_id, position)
);
comment on column alma.record.before is
    'pending: what the report says is there now, field by field, as far as it says it; afterwards: what was found there';
comment on column alma.record.state is
    'sent: the change left, its answer is not known yet; the record itself tells, at the next try';
create unique index record_ids on alma.record (run_id, kind, ids);
create index record_batch on alma.record (run_id, batch);

-- When the last requests to an outside service left, over all instances of all apps. The limit is one of any second:
-- each request waits for the one that left so many before it, and one that leaves late says so.
create table alma.pace (
    service text primary key,
    number  bigint not null default 0,
    sent    timestamptz[] not null default '{}'
);
comment on column alma.pace.number is 'of the last request, counted from 1';
comment on column alma.pace.sent is 'when the last ones left or are to leave, oldest first; as many as the limit allows';
insert into alma.pace (service) values ('alma');
