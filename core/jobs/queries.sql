-- Every move of a run, stage or task, and the outbox. A move names the state it starts from and returns a row only if
-- it happened. Whoever moves anything of a run locks the run's row first (lock_run): one order of locks, no deadlocks,
-- and the counters of a stage are never changed by two at once.

-- name: start_run
-- A row only for the first of those who start the same run.
insert into jobs.run (run_id, system, job, slot, trigger, params, traceparent)
values (%(run_id)s, %(system)s, %(job)s, %(slot)s, %(trigger)s, %(params)s, %(traceparent)s)
on conflict (run_id) do nothing
returning run_id;

-- name: find_run
select run_id, system, job, slot, trigger, state, params, traceparent, error, parked_until,
       created_at, finished_at, requests, counts, retries
from jobs.run
where run_id = %(run_id)s;

-- name: lock_run
-- "no key": new stages, tasks and outbox rows of others may still point at the run meanwhile.
select state
from jobs.run
where run_id = %(run_id)s
for no key update;

-- name: count_run
-- Adds to the run's cost and to its counts, whatever its state: what was spent was spent.
update jobs.run
set requests = requests + %(requests)s,
    counts = counts || coalesce(
      (select jsonb_object_agg(key, coalesce((jobs.run.counts ->> key)::bigint, 0) + value::bigint)
       from jsonb_each_text(%(counts)s)),
      '{}')
where run_id = %(run_id)s
returning state;

-- name: park_run
update jobs.run
set state = 'parked', parked_until = %(until)s, error = %(reason)s
where run_id = %(run_id)s and state = 'running'
returning run_id;

-- name: resume_run
-- Going on after a failure is counted; the end of a wait is not.
update jobs.run
set state = 'running', parked_until = null, error = null, finished_at = null,
    retries = retries + case state when 'failed' then 1 else 0 end
where run_id = %(run_id)s and state in ('parked', 'failed')
returning run_id;

-- name: fail_run
-- Whoever comes second finds it failed: the first reason stays.
update jobs.run
set state = 'failed', error = %(reason)s, parked_until = null, finished_at = clock_timestamp()
where run_id = %(run_id)s and state in ('running', 'parked')
returning run_id;

-- name: finish_run
update jobs.run
set state = 'done', finished_at = clock_timestamp()
where run_id = %(run_id)s and state = 'running'
returning run_id;

-- name: open_stage
-- With no task to come (sealed and empty) it is done as it opens.
insert into jobs.stage (run_id, stage, position, sealed, tasks, state, done_at)
select %(run_id)s, %(stage)s, coalesce(max(position), 0) + 1, %(sealed)s, %(tasks)s,
       case when %(sealed)s and %(tasks)s = 0 then 'done' else 'open' end,
       case when %(sealed)s and %(tasks)s = 0 then clock_timestamp() end
from jobs.stage
where run_id = %(run_id)s
on conflict (run_id, stage) do nothing
returning state;

-- name: insert_tasks
insert into jobs.task (run_id, stage, task)
select %(run_id)s, %(stage)s, task
from unnest(%(tasks)s::text[]) as task;

-- name: find_stage
select run_id, stage, state, sealed, round, tasks, settled, failed, opened_at, done_at
from jobs.stage
where run_id = %(run_id)s and stage = %(stage)s;

-- name: add_task
-- Only to a stage that still takes tasks, which counts it.
with added as (
  insert into jobs.task (run_id, stage, task)
  select run_id, stage, %(task)s
  from jobs.stage
  where run_id = %(run_id)s and stage = %(stage)s and not sealed
  on conflict (run_id, stage, task) do nothing
  returning task
)
update jobs.stage
set tasks = tasks + 1
from added
where stage.run_id = %(run_id)s and stage.stage = %(stage)s
returning stage.stage;

-- name: seal_stage
update jobs.stage
set sealed = true,
    state = case when settled = tasks then 'done' else state end,
    done_at = case when settled = tasks then clock_timestamp() end
where run_id = %(run_id)s and stage = %(stage)s and not sealed
returning state;

-- name: begin_task
-- `over`: also when its run is over.
update jobs.task
set state = 'running', attempt = attempt + 1, started_at = clock_timestamp()
from jobs.stage
where task.run_id = %(run_id)s and task.stage = %(stage)s and task.task = %(task)s
  and task.state in ('waiting', 'running')
  and stage.run_id = task.run_id and stage.stage = task.stage
  and (%(over)s or exists (
    select from jobs.run
    where run.run_id = task.run_id and run.state in ('running', 'parked')
  ))
returning task.run_id, task.stage, task.task, task.state, task.attempt, stage.round, task.started_at,
          task.finished_at, task.requests, task.result, task.reason;

-- name: settle_task
-- `state` is done or failed; a task is settled once. The one that makes settled equal to tasks of a sealed stage ends the
-- stage.
with moved as (
  update jobs.task
  set state = %(state)s, finished_at = clock_timestamp(), requests = requests + %(requests)s, result = %(result)s,
      reason = %(reason)s
  where run_id = %(run_id)s and stage = %(stage)s and task = %(task)s
    and state in ('waiting', 'running')
  returning task
)
update jobs.stage
set settled = settled + 1,
    failed = failed + case %(state)s when 'failed' then 1 else 0 end,
    state = case when sealed and settled + 1 = tasks then 'done' else state end,
    done_at = case when sealed and settled + 1 = tasks then clock_timestamp() end
from moved
where stage.run_id = %(run_id)s and stage.stage = %(stage)s and stage.state = 'open'
returning stage.state;

-- name: reset_stage
-- The next round of a stage that is not done; null for `round` means whatever round it is in.
update jobs.stage
set sealed = false, round = round + 1, tasks = 0, settled = 0, failed = 0
where run_id = %(run_id)s and stage = %(stage)s and state = 'open'
  and round = coalesce(%(round)s::integer, round)
returning round;

-- name: forget_tasks
delete from jobs.task
where run_id = %(run_id)s and stage = %(stage)s;

-- name: reopen_tasks
-- What failed waits again.
update jobs.task
set state = 'waiting', finished_at = null, reason = null, result = null
where run_id = %(run_id)s and stage = %(stage)s and state = 'failed'
returning task;

-- name: reopen_stage
update jobs.stage
set state = 'open', done_at = null, settled = settled - failed, failed = 0
where run_id = %(run_id)s and stage = %(stage)s and failed > 0
returning stage;

-- name: forget_stage
delete from jobs.stage
where run_id = %(run_id)s and stage = %(stage)s
returning stage;

-- name: stages
-- In order of opening.
select run_id, stage, state, sealed, round, tasks, settled, failed, opened_at, done_at
from jobs.stage
where run_id = %(run_id)s
order by position;

-- name: tasks
-- Numbers in their order, whatever their width.
select task.run_id, task.stage, task.task, task.state, task.attempt, stage.round, task.started_at, task.finished_at,
       task.requests, task.result, task.reason
from jobs.task
join jobs.stage on stage.run_id = task.run_id and stage.stage = task.stage
where task.run_id = %(run_id)s
  and (%(unsettled)s is false or task.state in ('waiting', 'running'))
order by stage.position, length(task.task), task.task;

-- name: put_message
insert into jobs.outbox (run_id, queue, body, not_before)
values (%(run_id)s, %(queue)s, %(body)s, %(not_before)s);

-- name: take_message
-- The next one to send, and whether others wait behind it. What another flusher has in hand is passed over; what lies
-- further ahead than a queue can hide a message stays here until then.
select id, queue, body, greatest(0, ceil(extract(epoch from not_before - %(now)s)))::integer as delay_s,
  exists (select from jobs.outbox behind where behind.run_id = %(run_id)s and behind.id > waiting.id) as more
from jobs.outbox waiting
where run_id = %(run_id)s and queue = any(%(queues)s)
  and (not_before is null or not_before < %(now)s + make_interval(secs => %(ahead_s)s))
order by id
limit 1
for update skip locked;

-- name: drop_message
-- Nobody waits until it is on disk: a row that comes back after a crash is sent once more, as after any kill here.
delete from jobs.outbox
where id = %(id)s
returning set_config('synchronous_commit', 'off', true);

-- name: left_messages
-- Runs whose messages nobody sent for a while: their flusher died.
select distinct run_id
from jobs.outbox
where queue = any(%(queues)s)
  and put_at < clock_timestamp() - make_interval(secs => %(older_s)s)
  and (not_before is null or not_before < %(now)s + make_interval(secs => %(ahead_s)s))
limit %(limit)s;
