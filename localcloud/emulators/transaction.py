"""One SQLite transaction as a `with` block: all of it or nothing, also when the commit itself fails (a full disk)."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commits at the end; any error takes everything back, so that the connection is ready for the next one."""
    db.execute("begin immediate")
    try:
        yield
        db.execute("commit")
    except BaseException:
        # SQLite may have taken it back itself; one that stayed open would swallow every later change.
        if db.in_transaction:
            db.execute("rollback")
        raise
