-- The job tables that all systems share: a run has stages, a stage has tasks; the outbox holds messages that a
-- committed transaction wants sent. State moves only by the statements of core/jobs/queries.sql.
-- Rights to them are granted by each system's own migrations, which know its roles.

create schema jobs;

-- One execution of one job of one system, for one slot of its schedule or because a person asked.
create table jobs.run (
  run_id       text        primary key,            -- says job and slot, so that two starters of one slot collide
  system       text        not null,               -- 'alma_analytics'
  job          text        not null,
  slot         timestamptz not null,               -- the moment it stands for, not when it began
  trigger      text        not null,               -- 'schedule', 'person', …
  state        text        not null default 'running' check (state in ('running', 'parked', 'done', 'failed')),
  params       jsonb       not null,               -- the job as it was when the run began
  traceparent  text        not null,               -- of whoever started it
  error        text,                               -- failed: the first reason; parked: why it waits
  parked_until timestamptz,
  created_at   timestamptz not null default now(),
  finished_at  timestamptz,
  requests     bigint      not null default 0,     -- sent to outside APIs, those in vain too
  counts       jsonb       not null default '{}',  -- the system's own units: {"rows": 2000, "updated": 17}
  retries      integer     not null default 0,     -- how often it went on after it had failed
  check ((state = 'parked') = (parked_until is not null)),
  check ((state in ('done', 'failed')) = (finished_at is not null)),
  check (state not in ('parked', 'failed') or error is not null)
);

create index run_latest on jobs.run (system, job, slot desc);
create index run_over on jobs.run (system, finished_at) where finished_at is not null;
create index run_open on jobs.run (system, state) where finished_at is null;

-- A part of a run that is whole before the next one begins. The counters are kept beside the tasks, so that the end of
-- a stage of 100,000 tasks is seen without counting them.
create table jobs.stage (
  run_id    text        not null references jobs.run on delete cascade,
  stage     text        not null,
  position  integer     not null,                  -- in order of opening
  state     text        not null default 'open' check (state in ('open', 'done')),
  sealed    boolean     not null,                  -- no more tasks will come
  round     integer     not null default 1,        -- how often it was begun anew, from 1
  tasks     integer     not null default 0,
  settled   integer     not null default 0,        -- done and failed
  failed    integer     not null default 0,
  opened_at timestamptz not null default now(),
  done_at   timestamptz,
  primary key (run_id, stage),
  check (settled between 0 and tasks and failed between 0 and settled),
  check ((state = 'done') = (sealed and settled = tasks)),
  check ((state = 'done') = (done_at is not null))
);

-- A piece of work that one message asks for.
create table jobs.task (
  run_id      text        not null,
  stage       text        not null,
  task        text        not null,                -- a page's or batch's number, or '1'
  state       text        not null default 'waiting' check (state in ('waiting', 'running', 'done', 'failed')),
  attempt     integer     not null default 0,      -- how often it was begun
  started_at  timestamptz,                         -- the last time
  finished_at timestamptz,
  requests    integer     not null default 0,
  result      jsonb,
  reason      text,                                -- why it failed
  primary key (run_id, stage, task),
  foreign key (run_id, stage) references jobs.stage on delete cascade,
  check ((state in ('done', 'failed')) = (finished_at is not null)),
  check ((state = 'failed') = (reason is not null))
);

-- "Commit and send": written in the transaction that moves state, removed once the queue has taken the message.
create table jobs.outbox (
  id         bigint      generated always as identity primary key,
  run_id     text        not null references jobs.run on delete cascade,
  queue      text        not null,                 -- the queue's own name: 'api-fetch'
  body       bytea       not null,                 -- as it goes onto the queue, envelope and all
  not_before timestamptz,                          -- null: at once
  put_at     timestamptz not null default now()
);

create index outbox_of_run on jobs.outbox (run_id, queue, id);
create index outbox_left on jobs.outbox (queue, put_at);
