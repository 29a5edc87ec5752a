-- A run that goes on after it broke.

-- name: cursors
-- Where the fetching of each report stands.
select side, round, next_page
from alma.fetch
where run_id = %(run_id)s;

-- name: begin_anew
-- The report's next round: from its first page, with a cursor of its own.
update alma.fetch
set round = round + 1, next_page = 1, token = null, calling = false, tries = 0, reason = null
where run_id = %(run_id)s and side = %(side)s;
