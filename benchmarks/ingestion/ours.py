"""Contestant: the real handler of log_ingest with its real clients, all guarantees on. `python -m … ORIGIN`."""

from __future__ import annotations

import os
import sys

from benchmarks.ingestion.contestant import compete


def main(origin: str) -> None:
    """Runs, as its timer would, until a run finds nothing more."""
    os.environ |= {
        "AWS_ENDPOINT_URL": origin, "IDENTITY_ENDPOINT": f"{origin}/identity", "IDENTITY_HEADER": "bench",
    }  # fmt: skip
    from core.messages.ticks import TimerTick  # late: the clients read the environment
    from core.runtime.context import Context
    from core.runtime.deadline import Deadline
    from core.runtime.log import Log
    from core.runtime.outcome import Done
    from handlers.log_ingest.ingest import Settings, connect, handle

    clients = connect(Settings(
        azure_client_id="bench", source_queue_url=f"{origin}/000000000000/bench", source_region="eu-central-1",
        source_role_arn="arn:aws:iam::000000000000:role/bench", source_audience="api://bench",
        progress_url=f"{origin}/blobs/progress", failed_url=f"{origin}/blobs/failed",
        table_endpoint=origin, table_rule_id="dcr-bench", table_stream="Custom-Bench_CL",
    ))  # fmt: skip

    def work() -> str:
        failures: list[str] = []
        for number in range(1_000):
            context = Context(
                function="ingest", invocation_id=f"bench-{number}", trace_id="0" * 32, span_id="0" * 16, attempt=1,
                deadline=Deadline(300), clients=clients, log=Log(function="ingest"),
            )  # fmt: skip
            done = handle(TimerTick(), context)
            assert isinstance(done, Done)  # noqa: S101 - it answers nothing else
            failures += (done.summary or {}).failures  # type: ignore[union-attr]
            if not (done.counts or {}).get("in"):
                return ", ".join(failures)
        return "a thousand runs did not empty the queue"

    compete(work)


if __name__ == "__main__":
    main(sys.argv[1])
