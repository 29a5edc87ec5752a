"""The Kusto queries of the log alerts, one row or more each when somebody should be told.

Rests on documentation: the role and operation names that the Functions host writes into AppRequests; storage logs name
the operation and the whole address (`OperationName`, `Uri`), and come some minutes late. Azure has no metric for the
age of a queue's messages, and the only one for their number (QueueMessageCount) is one for all queues of an account,
refreshed daily. So a queue's age is counted from its own log; a message's id stands in the log of its deletion, not in
that of its arrival, hence by number: when more messages were due `WAITING_MIN` ago than have been deleted since the
window began, one at least has waited so long. A backlog older than the window (two days) hides from it.
"""

from collections.abc import Sequence

FAILED_SHARE = 0.1
"""Of an hour's runs; some fail in good order (a limit that is met is met by trying again)."""
FAILED_LEAST = 5
"""Runs; below it a share says nothing."""
WAITING_MIN = 30
"""Minutes that a due message may wait; longer than storage logs are late."""


def runs(app: str) -> str:
    """Every run of an app; `app`: its physical name."""
    return f'AppRequests | where AppRoleName =~ "{app}"'


def failed(app: str, functions: Sequence[str], *, all_of_them: bool) -> str:
    """Runs of `functions` that failed; `all_of_them`: the app has no others."""
    names = ", ".join(f'"{name}"' for name in functions)
    only = "" if all_of_them else f" and OperationName in ({names})"
    return f"{runs(app)}{only} and Success == false"


def failing(app: str) -> str:
    """A row when too many of the window's runs failed."""
    return (
        f"{runs(app)} | summarize total = count(), failed = countif(Success == false) "
        f"| where failed >= {FAILED_LEAST} and failed > {FAILED_SHARE} * total"
    )


def put(account: str, queue: str) -> str:
    """Messages put into a queue; physical names."""
    return (
        f'StorageQueueLogs | where AccountName =~ "{account}" and OperationName == "PutMessage" '
        f'and StatusText == "Success" and tostring(parse_url(Uri).Path) == "/{queue}/messages"'
    )


def waiting(account: str, queue: str) -> str:
    """A row when a message has been due for longer than `WAITING_MIN`."""
    path, hidden = f"/{queue}/messages", 'toint(coalesce(tostring(url["Query Parameters"].visibilitytimeout), "0"))'
    return (
        f'StorageQueueLogs | where AccountName =~ "{account}" and OperationName in ("PutMessage", "DeleteMessage") '
        f'and StatusText == "Success" | extend url = parse_url(Uri) | extend path = tostring(url.Path) '
        f'| where path == "{path}" or path startswith "{path}/" '
        f"| extend due = TimeGenerated + 1s * {hidden} "
        f'| summarize came = countif(OperationName == "PutMessage" and due < ago({WAITING_MIN}m)), '
        f'gone = countif(OperationName == "DeleteMessage") | where came > gone'
    )
