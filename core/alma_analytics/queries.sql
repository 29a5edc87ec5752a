-- name: alone
-- The turn at one piece of work, for as long as this transaction lasts: a process that dies gives it back at once. The
-- transaction waits while the work is done elsewhere, as long as that takes.
select pg_try_advisory_xact_lock(hashtextextended(%(what)s, 0)) as mine,
       set_config('idle_in_transaction_session_timeout', '0', true);

-- name: put_fetch
-- The first message of a report begins its row.
insert into alma.fetch (run_id, side) values (%(run_id)s, %(side)s) on conflict do nothing;

-- name: get_fetch
-- With what is kept of the page before the next one.
select here.round, here.next_page, here.token, here.calling, here.tries, last.digest, last.columns
from alma.fetch as here
left join alma.page as last
  on last.run_id = here.run_id and last.side = here.side and last.round = here.round and last.page = here.next_page - 1
where here.run_id = %(run_id)s and here.side = %(side)s
for update of here;

-- name: begin_call
-- From here the cursor may move: whoever finds `calling` set, with nobody at it, knows that an answer was lost.
update alma.fetch set calling = true where run_id = %(run_id)s and side = %(side)s;

-- name: end_call
-- Answered, and the cursor did not move: the same page is asked again.
update alma.fetch set calling = false, tries = tries + 1, reason = %(reason)s where run_id = %(run_id)s and side = %(side)s;

-- name: keep_page
insert into alma.page (run_id, side, round, page, rows, columns, digest, blob)
values (%(run_id)s, %(side)s, %(round)s, %(page)s, %(rows)s, %(columns)s, %(digest)s, %(blob)s);

-- name: next_page
update alma.fetch
set calling = false, tries = 0, reason = null, next_page = next_page + 1, token = coalesce(token, %(token)s)
where run_id = %(run_id)s and side = %(side)s;

-- name: new_round
-- The cursor is lost: the report begins anew, from its first page and with a cursor of its own.
update alma.fetch
set round = round + 1, next_page = 1, token = null, calling = false, tries = 0, reason = %(reason)s
where run_id = %(run_id)s and side = %(side)s
returning round;

-- name: rows_so_far
select coalesce(sum(rows), 0)::bigint as rows from alma.page
where run_id = %(run_id)s and side = %(side)s and round = %(round)s;

-- name: pages
select page, rows, columns, blob from alma.page
where run_id = %(run_id)s and side = %(side)s and round = %(round)s order by page;

-- name: put_dataset
insert into alma.dataset (run_id, side, rows, columns, blob)
values (%(run_id)s, %(side)s, %(rows)s, %(columns)s, %(blob)s) on conflict do nothing;

-- name: get_datasets
select side, rows, columns, blob from alma.dataset where run_id = %(run_id)s;

-- name: copy_records
copy alma.record (run_id, position, batch, kind, ids, before, after, state, reason) from stdin;

-- name: open_records
select position, kind, ids, before, after, state from alma.record
where run_id = %(run_id)s and batch = %(batch)s and state in ('pending', 'sent') order by position;

-- name: mark_sent
-- Only by the batch's latest attempt: whoever lost its turn with its connection may find another one at work.
update alma.record set state = 'sent', before = %(before)s, at = clock_timestamp()
where run_id = %(run_id)s and position = %(position)s and state in ('pending', 'sent')
  and exists (
    select from jobs.task
    where run_id = %(run_id)s and stage = %(stage)s and task = %(task)s and attempt = %(attempt)s and state = 'running'
  );

-- name: settle_record
-- Likewise: one that lost its turn does not know what another did since it read the record's state.
update alma.record
set state = %(state)s, reason = %(reason)s, before = coalesce(%(before)s, before), at = clock_timestamp()
where run_id = %(run_id)s and position = %(position)s and state in ('pending', 'sent')
  and exists (
    select from jobs.task
    where run_id = %(run_id)s and stage = %(stage)s and task = %(task)s and attempt = %(attempt)s and state = 'running'
  );

-- name: outcomes
select state, coalesce(reason, '') as reason, count(*)::int as records from alma.record
where run_id = %(run_id)s group by 1, 2 order by 3 desc, 1, 2;  -- always the same: a letter tried twice must be the same one

-- name: records
select position, kind, ids, before, after, state, reason from alma.record where run_id = %(run_id)s order by position;

-- name: reserve
-- The next moment at which a request may leave: a second after the one that left `most` requests before, and a little
-- after the last one. The row's lock puts all instances in one line. Nobody waits for the disk: when a server that
-- crashed is back, the second is over.
update alma.pace
set number = number + 1,
    sent = (sent || greatest(clock_timestamp(),
                             sent[cardinality(sent)] + make_interval(secs => %(gap)s),
                             sent[cardinality(sent) + 1 - %(most)s] + make_interval(secs => %(second)s))
           )[cardinality(sent) + 2 - %(most)s:]
where service = 'alma'
returning number, extract(epoch from sent[cardinality(sent)] - clock_timestamp())::float8 as wait_s,
          set_config('synchronous_commit', 'off', true);

-- name: leave_late
-- A request leaves now and not at its moment. No row: the one that counts on that moment has its own already.
update alma.pace
set sent[cardinality(sent) - (number - %(number)s)::int] = clock_timestamp()
where service = 'alma' and number - %(number)s < least(cardinality(sent), %(most)s)
returning set_config('synchronous_commit', 'off', true);
