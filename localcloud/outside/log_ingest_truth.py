"""What a campaign put into log_ingest, and what must therefore come out: known before, compared without its help.

Every record carries its own id, so each row that arrived is traced to what was put, and each record that did not arrive
must be named by a dead letter.
"""

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote_plus

import msgspec

SMALL_FILES, LARGE_FILES = 20, 2
LARGE_RECORDS, LARGE_BYTES = 50, 50_000
"""Three uploads a large file: with the small ones more than 25 a run."""
_BLOCK_BYTES = 2 * LARGE_BYTES
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 ,;-äß資"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One object: its records' texts by position (from 1), and the positions that are no JSON."""

    key: str
    body: bytes
    texts: dict[int, str]
    broken: set[int] = set()
    announced_again: bool = False
    """A second message tells of it."""


def inputs(seed: int) -> Iterator[Input]:
    """The files of one run."""
    chance = random.Random(seed)  # noqa: S311 - reproducible data
    block = "".join(chance.choices(_LETTERS, k=_BLOCK_BYTES))
    for number in range(SMALL_FILES + LARGE_FILES):
        large = number >= SMALL_FILES
        count = LARGE_RECORDS if large else chance.randint(5, 60)
        lines = [_record(chance, block, f"{seed}-{number}-{at}", large=large) for at in range(1, count + 1)]
        if number == 0:
            lines[0] = _record(chance, block, f"{seed}-{number}-1", large=True, size=70_000)  # two parts
        broken = {3} if number % 7 == 5 else set()
        yield _file(f"campaign/{seed}/{number:02d}", lines, broken, form=number % 4, again=number % 5 == 1)


def _record(chance: random.Random, block: str, name: str, *, large: bool, size: int = LARGE_BYTES) -> str:
    size = size if large else chance.randint(50, 900)
    start = chance.randrange(_BLOCK_BYTES - size) if size < _BLOCK_BYTES else 0
    return json.dumps({"id": name, "text": block[start : start + size]}, ensure_ascii=False)


def _file(key: str, lines: list[str], broken: set[int], *, form: int, again: bool) -> Input:
    """Lines, packed lines, one array, CloudTrail's form packed; only lines can hold what is no JSON."""
    texts = dict(enumerate(lines, 1))
    if form in (2, 3):
        body = ("[" + ",\n".join(lines) + "]").encode()
        body = body if form == 2 else gzip.compress(b'{"Records": ' + body + b"}", 1, mtime=0)
        return Input(key=f"{key}.json", body=body, texts=texts, announced_again=again)
    text = "".join('{"cut off\n' if at in broken else f"{line}\n" for at, line in texts.items()).encode()
    kept = {at: line for at, line in texts.items() if at not in broken}
    body = gzip.compress(text, 1, mtime=0) if form == 1 else text
    return Input(key=f"{key}.log", body=body, texts=kept, broken=broken, announced_again=again)


class Row(msgspec.Struct, frozen=True, array_like=True):
    """One row of the table; `COLUMNS` asks for them in this order."""

    key: str
    text: str
    record_id: str
    part: int
    parts: int


COLUMNS = "Key, Raw_Data, Record_Id, Part, Parts"


class Findings(msgspec.Struct, kw_only=True):
    """What came of a run's records."""

    records_in: int = 0
    rows: int = 0
    records_out: int = 0
    """Different records that arrived whole."""
    dead: int = 0
    """Records that never were JSON, each in the dead-letter place."""
    lost: list[str] = []
    """Neither a row nor a dead letter."""
    died: dict[str, int] = {}
    """Healthy records that ended as dead letters, by reason."""
    doubled_unanswered: int = 0
    """Rows that are there again, of uploads whose answer never arrived."""
    doubled_killed: int = 0
    """Rows that are there again because their process was killed before it could note the answer."""
    doubled_corrupt: int = 0
    """Rows that are there again because the object they came from had arrived corrupt."""
    replaced: int = 0
    """Rows of a corrupt read whose right row came later, under the same Record_Id and Part."""
    doubled: list[str] = []
    """Rows that are there again for no such reason."""
    strange: list[str] = []
    """Rows that nobody put, or that differ from others of their Record_Id and Part."""

    @property
    def doubled_rows(self) -> int:
        """All of them."""
        return self.doubled_unanswered + self.doubled_killed + self.doubled_corrupt + len(self.doubled)


def compare(
    put: Sequence[Input],
    rows: Iterable[Row],
    letters: Sequence[dict[str, Any]],
    unanswered: Iterable[bytes],
    *,
    killed: bool,
    corrupt: bool,
) -> Findings:
    """`letters`: the dead-letter blobs; `unanswered`: unpacked uploads that were stored and not answered; `corrupt`:
    objects arrived with wrong bytes in them. Rows come in the order of their arrival.
    """
    found = Findings(records_in=sum(len(one.texts) + len(one.broken) for one in put))
    parts = _parts(rows, found, corrupt=corrupt)
    again = _beyond_doubt(parts, _in_doubt(unanswered), found)
    if corrupt:
        found.doubled_corrupt = len(again)
    elif killed:
        found.doubled_killed = len(again)
    else:
        found.doubled = again
    arrived = _records(parts, found)
    dead = _dead_letters(put, letters)
    for one in put:
        for position in sorted(one.texts.keys() | one.broken):
            _judge(one, position, arrived, dead[one.key].get(position, ""), found)
    for key, text in (+arrived).elements():
        found.strange.append(f"{key}: {text[:80]}")
    return found


def _judge(one: Input, position: int, arrived: Counter[tuple[str, str]], reason: str, found: Findings) -> None:
    """One record that was put."""
    what = (one.key, one.texts.get(position, ""))
    if position in one.broken:
        found.dead += bool(reason)
        if not reason:
            found.lost.append(f"{one.key} #{position} (no JSON)")
    elif arrived[what]:
        arrived[what] -= 1
        found.records_out += 1
    elif reason:
        found.died[reason] = found.died.get(reason, 0) + 1
    else:
        found.lost.append(f"{one.key} #{position}")


def _parts(rows: Iterable[Row], found: Findings, *, corrupt: bool) -> dict[tuple[str, int], list[Row]]:
    parts: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        found.rows += 1
        same = parts[row.record_id, row.part]
        if same and (same[-1].key, same[-1].text) != (row.key, row.text):
            found.replaced += 1
            if not corrupt:
                found.strange.append(f"{row.record_id}/{row.part}: two rows differ")
        same.append(row)
    return parts


def _in_doubt(unanswered: Iterable[bytes]) -> Counter[tuple[str, int]]:
    return Counter((row["Record_Id"], row["Part"]) for body in unanswered for row in msgspec.json.decode(body))


def _beyond_doubt(
    parts: dict[tuple[str, int], list[Row]], doubt: Counter[tuple[str, int]], found: Findings
) -> list[str]:
    """Counts the doubles that unanswered uploads explain; names the others."""
    others = []
    for place, same in parts.items():
        again = len(same) - 1
        explained = min(again, doubt[place])
        found.doubled_unanswered += explained
        others += [f"{place[0]}/{place[1]}"] * (again - explained)
    return others


def _records(parts: dict[tuple[str, int], list[Row]], found: Findings) -> Counter[tuple[str, str]]:
    """(key, text) of each record whose parts are all there; of doubles the later one."""
    by_record: dict[str, list[Row]] = defaultdict(list)
    for same in parts.values():
        by_record[same[-1].record_id].append(same[-1])
    whole: Counter[tuple[str, str]] = Counter()
    for record_id, pieces in by_record.items():
        pieces.sort(key=lambda row: row.part)
        if [row.part for row in pieces] != list(range(1, pieces[0].parts + 1)):
            found.strange.append(f"{record_id}: parts {[row.part for row in pieces]} of {pieces[0].parts}")
        whole[pieces[0].key, "".join(row.text for row in pieces)] += 1
    return whole


def _dead_letters(put: Sequence[Input], letters: Sequence[dict[str, Any]]) -> dict[str, dict[int, str]]:
    """Key → position → why it is dead: a line, the rest of a file, or all that a message announced."""
    dead: dict[str, dict[int, str]] = {one.key: {} for one in put}
    last = {one.key: max(one.texts.keys() | one.broken) for one in put}
    for letter in letters:
        if "entries" not in letter:
            body = unquote_plus(letter["body"])
            for key in [key for key in dead if key in body]:
                dead[key] = dict.fromkeys(range(1, last[key] + 1), letter["reason"]) | dead[key]
        elif letter["key"] in dead:
            of_file = dead[letter["key"]]
            for entry in letter["entries"]:
                first = max(1, entry.get("position", 1))
                end = last[letter["key"]] if entry.get("scope") == "file" else first
                of_file.update({at: entry["reason"] for at in range(first, end + 1) if at not in of_file})
    return dead
