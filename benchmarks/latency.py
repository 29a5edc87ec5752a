"""From an object put into the bucket to its rows in the table, the timer aside. Needs the local cloud: ./millrace up.

Peer in the same run: the same work without our parts in between: one S3 put, one SQS receive, one query.
"""

import tempfile
import time
import uuid
from pathlib import Path

from benchmarks.measure import Bench, figure, machine, seconds
from localcloud.session.feeding import feed_paths
from localcloud.session.local import LocalCloudError, LocalStack

RECORDS = 100
LIMIT_S = 30


def run(root: Path, rounds: int) -> Bench:
    """Feed one small file a round and wait for its last row."""
    stack = LocalStack(root)
    stack.wait(60)
    values, puts = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            name = f"latency-{uuid.uuid4().hex}.json"
            file = Path(folder) / name
            file.write_text("".join(f'{{"n": {number}}}\n' for number in range(RECORDS)))
            began = time.perf_counter()
            puts.append(seconds(feed_paths, stack, "log_ingest", [file]))
            stack.fire_timers("log_ingest")
            _await_rows(stack, name)
            values.append(time.perf_counter() - began)
    rows = [figure(f"object put → {RECORDS} rows", values), figure("of which the put itself", puts)]
    return Bench(
        name="latency",
        machine=machine(),
        rounds=rounds,
        rows=rows,
        ratios={"whole / put": round(rows[0].figure / rows[1].figure, 2)},
    )


def _await_rows(stack: LocalStack, key: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    sql = f"select count(*) from Code42Logs_CL where Key = '{key}'"  # noqa: S608  our own key
    while time.monotonic() < deadline:
        if stack.query(sql).rows[0][0] == RECORDS:
            return
        time.sleep(0.02)
    raise LocalCloudError(f"latency: {RECORDS} rows of {key} must arrive within {LIMIT_S} s; see ./millrace logs")
