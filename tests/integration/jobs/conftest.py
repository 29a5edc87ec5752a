"""A database with the job tables, and a run in it."""

from datetime import UTC, datetime

import pytest

from core.jobs import machine
from tests.postgres import Database

MIGRATIONS = "core/jobs/migrations"
RUN = "overdue-20261126T0600Z"


def begin(database: Database, run_id: str = RUN) -> bool:
    with database.transaction() as tx:
        return machine.start(
            tx, run_id=run_id, system="alma_analytics", job="overdue", slot=datetime(2026, 11, 26, 6, tzinfo=UTC),
            trigger="schedule", params={"name": "overdue"}, traceparent="00-aa-bb-01",
        )  # fmt: skip


@pytest.fixture
def jobs(database: Database) -> Database:
    begin(database)
    return database
