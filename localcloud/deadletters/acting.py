"""What the commands do: list, redrive and drop over every place, one command at a time."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import msgspec
from azure.core.exceptions import AzureError
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.deadletters.entry import Entry, Filter
from localcloud.deadletters.place import DeadLetterError, Pace, Place
from localcloud.deadletters.places import only_apps, places
from localcloud.emulators.private_files import private_folder
from localcloud.engine.holding import holding
from localcloud.session.local import LocalCloudError, LocalStack

Verb = Literal["redrive", "drop"]


class Listing(msgspec.Struct, kw_only=True):
    """`./millrace dlq list --json`."""

    entries: list[Entry]
    total: int
    """All that match; `entries` has at most the limit."""
    kinds: dict[str, int]
    hidden: dict[str, int]
    """Place → messages in somebody's hands, which nobody else can see now."""


class Report(msgspec.Struct, kw_only=True):
    """`./millrace dlq redrive --json`, `drop --json`."""

    verb: Verb
    chosen: int
    done: int
    kinds: dict[str, int]
    """Of those chosen."""
    dry_run: bool
    seconds: float


class DeadLetters:
    """The places of one stack, while this command alone has them."""

    def __init__(self, opened: Sequence[Place], apps: Mapping[str, str] | None = None) -> None:
        """`apps`: the app of each system that has only one."""
        self._places, self._apps = opened, apps or {}

    def listing(self, wanted: Filter) -> Listing:
        """What matches, the oldest first."""
        found = [entry for _, entries in self._chosen(msgspec.structs.replace(wanted, limit=None)) for entry in entries]
        found.sort(key=lambda entry: entry.time)
        hidden = {
            place.name: count for place in self._places if wanted.may_be(place.kinds) and (count := place.hidden())
        }
        shown = found if wanted.limit is None else found[: wanted.limit]
        return Listing(entries=shown, total=len(found), kinds=_kinds(found), hidden=hidden)

    def choose(self, wanted: Filter) -> list[tuple[Place, list[Entry]]]:
        """What is to be redriven or dropped. Raises for an id that names nothing."""
        chosen = self._chosen(wanted)
        ids = [entry.id for _, entries in chosen for entry in entries]
        for one in wanted.ids:
            if wanted.limit is None and not any(id_.startswith(one) for id_ in ids):
                raise LocalCloudError(f"dead letter {one!r}: must be one that exists; see ./millrace dlq list")
        return chosen

    def act(
        self, verb: Verb, chosen: Sequence[tuple[Place, list[Entry]]], *, rate: float, tell: Callable[[int], None]
    ) -> Report:
        """Redrives or drops; `tell` hears how many are done."""
        began, pace, done = time.monotonic(), Pace(rate), 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            tell(done)

        for place, entries in chosen:
            if entries:
                (place.redrive if verb == "redrive" else place.drop)(entries, pace, more)
        return _report(verb, chosen, done=done, dry_run=False, seconds=time.monotonic() - began)

    def _chosen(self, wanted: Filter) -> list[tuple[Place, list[Entry]]]:
        left, found = wanted.limit, []
        for place in self._places:
            if not wanted.may_be(place.kinds):  # looking hides messages from others, for as long as it takes
                continue
            named = (msgspec.structs.replace(one, app=one.app or self._app_of(one)) for one in place.entries())
            entries = list(msgspec.structs.replace(wanted, limit=left).chosen(named))
            left = None if left is None else left - len(entries)
            found.append((place, entries))
        return found

    def _app_of(self, entry: Entry) -> str:
        return self._apps.get(entry.system, "")


def dry_run(verb: Verb, chosen: Sequence[tuple[Place, list[Entry]]]) -> Report:
    """What it would be."""
    return _report(verb, chosen, done=0, dry_run=True, seconds=0)


@contextmanager
def dead_letters(stack: LocalStack, *, spread: bool = False) -> Iterator[DeadLetters]:
    """The places, for one command at a time; what a killed one left in disorder is put in order first. `spread`: see
    bus_place.BusPlace.
    """
    stack.require()
    with holding(stack.home / "dlq.lock", _busy), _told(), places(stack, spread=spread) as opened:
        yield DeadLetters(_ordered(opened), only_apps(stack))


@contextmanager
def namespace_letters(folder: Path, host: str, *, spread: bool = False) -> Iterator[DeadLetters]:
    """Those of one Service Bus namespace in Azure, as whoever is signed in there (azure-identity's order: environment,
    managed identity, Azure CLI …), who needs Data Receiver, to redrive Data Sender as well. `folder`: for the journal.
    Whom to trust says REQUESTS_CA_BUNDLE, where a company has an authority of its own.
    """
    from azure.identity import DefaultAzureCredential  # a deploy-time dependency, and 0.3 s

    from localcloud.deadletters.bus_journal import BusJournal
    from localcloud.deadletters.bus_place import places_of
    from localcloud.session.bus_access import BusAccess

    with ExitStack() as opened:
        opened.enter_context(holding(private_folder(folder) / f"dlq-{host}.lock", _busy))
        opened.enter_context(_told())
        credential = opened.enter_context(DefaultAzureCredential())
        access = BusAccess(host, credential, os.environ.get("REQUESTS_CA_BUNDLE", ""))
        opened.callback(access.close)
        journal = BusJournal(folder / f"dlq-{host}.sqlite")
        opened.callback(journal.close)
        yield DeadLetters(_ordered(places_of(access, journal, name=host.partition(".")[0], spread=spread)))


def _ordered(opened: Iterable[Place]) -> list[Place]:
    found = list(opened)
    for place in found:
        place.recover()
    return found


@contextmanager
def _told() -> Iterator[None]:
    """What an SDK says, in one line."""
    try:
        yield
    except (ClientError, BotoCoreError, AzureError) as error:
        raise DeadLetterError(f"dlq: {str(error).splitlines()[0]}") from error


def _busy(holder: str) -> LocalCloudError:
    return LocalCloudError(f"dlq: one command at a time; process {holder} is at it; wait for it, or end it")


def _kinds(entries: Sequence[Entry]) -> dict[str, int]:
    return dict(sorted(Counter(entry.kind for entry in entries).items()))


def _report(
    verb: Verb, chosen: Sequence[tuple[Place, list[Entry]]], *, done: int, dry_run: bool, seconds: float
) -> Report:
    entries = [entry for _, part in chosen for entry in part]
    return Report(
        verb=verb, chosen=len(entries), done=done, kinds=_kinds(entries), dry_run=dry_run, seconds=round(seconds, 2)
    )
