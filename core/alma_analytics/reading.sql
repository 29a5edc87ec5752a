-- What people look at: jobs, runs, and everything of one run.

-- name: jobs
-- Each with its latest run.
select report_job.name, report_job.job ->> 'schedule' as schedule, report_job.job ->> 'time_zone' as time_zone,
       (report_job.job ->> 'enabled')::boolean as enabled, (report_job.job ->> 'dry_run')::boolean as dry_run,
       report_job.next_slot, report_job.problem, last.run_id as last_run, last.state as last_state,
       (select min(run_id) from jobs.run
        where system = %(system)s and job = report_job.name and finished_at is null
          and report_job.next_slot <= %(now)s) as waits_for
from alma.report_job
left join lateral (
  select run_id, state
  from jobs.run
  where system = %(system)s and job = report_job.name
  order by created_at desc
  limit 1
) as last on true
order by report_job.name;

-- name: runs
-- The latest first; null for `job` or `state` means any.
select run_id, job, state, trigger, slot, created_at, finished_at, parked_until, error, requests, counts, retries
from jobs.run
where system = %(system)s
  and job = coalesce(%(job)s::text, job) and state = coalesce(%(state)s::text, state)
order by created_at desc, run_id
limit %(limit)s;

-- name: stages
select stage, state, tasks, settled, failed, opened_at, done_at
from jobs.stage
where run_id = %(run_id)s
order by position;

-- name: pages
-- Of the last round of each report: earlier ones were given up.
select side, round, page, rows, columns, blob, fetched_at
from alma.page
where run_id = %(run_id)s
  and round = (select max(round) from alma.page as of_side where of_side.run_id = page.run_id and of_side.side = page.side)
order by side, page;

-- name: datasets
select side, rows, columns, blob
from alma.dataset
where run_id = %(run_id)s
order by side;

-- name: outcomes
select state, count(*)::integer as records
from alma.record
where run_id = %(run_id)s
group by state
order by state;

-- name: records
-- Null for `states` means all.
select position, kind, ids, before, after, state, reason, at
from alma.record
where run_id = %(run_id)s and (%(states)s::text[] is null or state = any(%(states)s::text[]))
order by position
limit %(limit)s;

-- name: messages
-- Committed and not sent yet.
select queue, count(*)::integer as messages, min(put_at) as since
from jobs.outbox
where run_id = %(run_id)s
group by queue
order by queue;
