"""What becomes of a message when its last file ended: deleted, dead-lettered, or given back."""

from __future__ import annotations

from core.log_ingest.dead_letters import EXCERPT_BYTES, DeadLetters
from core.log_ingest.notices import File, Notice
from core.log_ingest.ports import Clients, Message, Rules
from core.log_ingest.progress import MessageProgress
from core.log_ingest.redrive import Letter
from core.log_ingest.rows import file_id
from core.log_ingest.tally import Tally
from core.log_ingest.verdict import End, Verdict
from core.runtime.log import Log

Verdicts = list[tuple[File, Verdict]]


def settle(
    message: Message,
    notice: Notice,
    verdicts: Verdicts,
    past: MessageProgress,
    *,
    clients: Clients,
    rules: Rules,
    letters: DeadLetters,
    tally: Tally,
    log: Log,
    letter: Letter | None = None,
) -> None:
    """`letter`: what the message brings back. Raises Fault when the queue or a blob container cannot be reached: the
    message then comes back by itself.
    """
    open_ = [(file, verdict) for file, verdict in verdicts if verdict.end in {End.PAUSED, End.FAILED}]
    if open_:
        moved = any(verdict.moved or verdict.end is End.SETTLED for _, verdict in verdicts)
        if moved or all(verdict.passing for _, verdict in open_):
            past.state.moved_at = past.state.runs
        if rules.lenient and letter is None:  # what comes back from the dead-letter place stays there until it is in
            open_ = _give_up(open_, past, message, rules, letters, tally)
    if open_ and past.still() >= rules.stall_runs:
        reason = f"no progress in {past.still()} runs; last: {open_[0][1].reason}"
        verdicts = [*verdicts, (open_[0][0], Verdict(End.DEAD, reason))]
        open_ = []
    if open_:
        _keep(message, open_, past, clients, rules, tally)
        return
    reasons = notice.faults + [verdict.reason for _, verdict in verdicts if verdict.end is End.DEAD]
    if reasons:
        reason = "; ".join(dict.fromkeys(reasons))[: 10 * EXCERPT_BYTES]
        if letter is None:
            letters.message(message, reason)
            tally.add(messages_dead=1, records_dead=1)
        else:
            letter.still_dead(reason)
        tally.failure(reasons[0])
        log.warning("message_dead", message_id=message.id, reason=reasons[0])
    elif letter is not None:
        tally.add(entries_redriven=letter.settled())
    clients.queue.delete(message)
    tally.add(messages_deleted=1)
    past.forget()


def _give_up(
    open_: Verdicts, past: MessageProgress, message: Message, rules: Rules, letters: DeadLetters, tally: Tally
) -> Verdicts:
    """Lenient: files that failed often enough go to the dead-letter place; the others remain."""
    remain: Verdicts = []
    for file, verdict in open_:
        name = file_id(file.bucket, file.key, file.version or file.etag)
        tries = past.state.tries.get(name, 0) + (verdict.end is End.FAILED)
        past.state.tries[name] = tries
        if tries < rules.lenient_tries:
            remain.append((file, verdict))
            continue
        reason = f"gave up after {tries} tries: {verdict.reason}"
        letters.given_up(file, file_id=name, message_id=message.id, reason=reason)
        tally.add(files_dead=1, records_dead=1)
        tally.failure("gave up")
    return remain


def _keep(
    message: Message, open_: Verdicts, past: MessageProgress, clients: Clients, rules: Rules, tally: Tally
) -> None:
    """Remembers how it stands and makes the message visible again: at once when time ran out, later after a failure."""
    failed = [verdict for _, verdict in open_ if verdict.end is End.FAILED]
    past.state.last = (failed or [open_[0][1]])[0].reason
    past.save()
    delay = min(rules.retry_s * 2 ** min(message.receives - 1, 10), rules.visibility_s) if failed else 0
    clients.queue.hide(message, delay)
    tally.add(messages_returned=1)
