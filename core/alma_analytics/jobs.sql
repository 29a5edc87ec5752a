-- Report jobs and their schedule.

-- name: apply_job
-- A row says that it was created or changed. The next slot stays unless the change is one of the schedule: to apply the
-- same file again must not skip a slot that is due.
insert into alma.report_job as kept (name, job, next_slot)
values (%(name)s, %(job)s, %(next_slot)s)
on conflict (name) do update
set job = excluded.job,
    next_slot = case
      when kept.problem is null
       and row(kept.job -> 'schedule', kept.job -> 'time_zone', kept.job -> 'enabled')
           is not distinct from row(excluded.job -> 'schedule', excluded.job -> 'time_zone', excluded.job -> 'enabled')
      then kept.next_slot
      else excluded.next_slot
    end,
    problem = null,
    changed_at = now()
where kept.job is distinct from excluded.job or kept.problem is not null
returning (xmax = 0) as created;

-- name: find_job
select job
from alma.report_job
where name = %(name)s;

-- name: lock_job
-- Whoever begins a run of the job, has one go on or removes the job waits for whoever does so already.
select name
from alma.report_job
where name = %(name)s
for update;

-- name: open_run
-- The job's run that is not over, but for one; the oldest, should there be more.
select run_id, state, created_at, parked_until
from jobs.run
where system = %(system)s and job = %(name)s and finished_at is null and run_id <> %(but)s
order by created_at
limit 1;

-- name: remove_job
delete from alma.report_job
where name = %(name)s
returning name;

-- name: take_due
-- The job that is due the longest. One that another scheduler has in hand is passed over, and one whose last run is not
-- over: its slot stays due until then.
select name, job, next_slot
from alma.report_job
where next_slot <= %(now)s
  and not exists (
    select from jobs.run
    where run.system = %(system)s and run.job = report_job.name and run.finished_at is null
  )
order by next_slot, name
limit 1
for update skip locked;

-- name: due_and_waiting
-- Jobs that are due and whose last run is not over, each with that run.
select report_job.name, min(run.run_id) as run_id
from alma.report_job
join jobs.run on run.system = %(system)s and run.job = report_job.name and run.finished_at is null
where report_job.next_slot <= %(now)s
group by report_job.name
order by report_job.name;

-- name: set_next
update alma.report_job
set next_slot = %(next_slot)s
where name = %(name)s;

-- name: give_up
-- A job whose row no longer makes sense must not keep the others waiting.
update alma.report_job
set next_slot = null, problem = %(problem)s
where name = %(name)s;

-- name: over_since
-- Runs that ended before `before` and were never asked to be cleaned up.
select run_id
from jobs.run
where system = %(system)s and finished_at < %(before)s
  and not exists (select from jobs.stage where stage.run_id = run.run_id and stage.stage = %(stage)s)
order by finished_at
limit %(limit)s;
