-- Report jobs: what a person wants done, and when it is next to be done.

create schema alma;

create table alma.report_job (
  name       text        primary key,
  job        jsonb       not null,               -- core.messages.alma_analytics.ReportJob, validated
  next_slot  timestamptz,                        -- null: it has no schedule, is not enabled, or has a problem
  problem    text,                               -- why the scheduler gave it up, until somebody changes it
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  check (job ->> 'name' = name)
);

create index report_job_due on alma.report_job (next_slot) where next_slot is not null;
