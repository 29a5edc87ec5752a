-- One role an app, with what its steps do and nothing else; a worker's identity becomes a member of its own.
-- Roles belong to the server: another database on it may have them already.
do $$
declare
    name text;
begin
    foreach name in array array['alma_scheduler', 'alma_apifetcher', 'alma_dataprep', 'alma_updater', 'alma_notifier', 'alma_operator'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
end $$;

-- Every app moves runs, stages and tasks, and has messages of its own to send.
grant usage on schema jobs, alma to alma_scheduler, alma_apifetcher, alma_dataprep, alma_updater, alma_notifier, alma_operator;
grant select, insert, update on jobs.run, jobs.stage, jobs.task
    to alma_scheduler, alma_apifetcher, alma_dataprep, alma_updater, alma_notifier, alma_operator;
grant delete on jobs.task to alma_apifetcher;  -- a report that begins anew
grant delete on jobs.stage, jobs.task to alma_operator;  -- a run that is tried again
grant select, insert, update, delete on jobs.outbox
    to alma_scheduler, alma_apifetcher, alma_dataprep, alma_updater, alma_notifier, alma_operator;
grant usage on all sequences in schema jobs
    to alma_scheduler, alma_apifetcher, alma_dataprep, alma_updater, alma_notifier, alma_operator;

grant select, update on alma.report_job to alma_scheduler;
grant select, insert, update on alma.fetch to alma_apifetcher;
grant select, insert on alma.page to alma_apifetcher;
grant select on alma.page to alma_dataprep;
grant select, insert on alma.dataset, alma.record to alma_dataprep;
grant select, update on alma.record to alma_updater;
grant select, update on alma.pace to alma_apifetcher, alma_updater;
grant select on alma.record, alma.dataset to alma_notifier;

-- People: report jobs are theirs; everything else they look at, and a run that stands still they set going again.
grant select, insert, update, delete on alma.report_job to alma_operator;
grant select on all tables in schema alma to alma_operator;
grant update on alma.fetch to alma_operator;
