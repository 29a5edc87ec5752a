"""The plain way with `requests`, one call after another, as a librarian's script does it.

`… fetch URL CA PATH FOLDER`: a report by page, each page to a file. `… update URL CA FOLDER`: every item of
`items.json` (rows of ids and a note) read, changed and written. Says what it used; `note` is each call's seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import requests

from benchmarks.ingestion.contestant import compete
from benchmarks.reports.institution import KEY

_ROWSET = "{urn:schemas-microsoft-com:xml-analysis:rowset}"


class Script:
    """One session, as it is made in five lines."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._base = f"{url}/almaws/v1/"
        self._session = requests.Session()
        self._ca_file = ca_file
        self._session.headers.update({"Authorization": f"apikey {KEY}"})
        self.took: list[float] = []

    def call(self, method: str, path: str, media: str, **more: Any) -> requests.Response:
        """Until it is not too many."""
        while True:
            began = time.perf_counter()
            answer = self._session.request(
                method, self._base + path, headers={"Accept": media}, timeout=60, verify=self._ca_file, **more
            )
            self.took.append(time.perf_counter() - began)
            if answer.status_code != 429:
                answer.raise_for_status()
                return answer
            time.sleep(1)

    def fetch(self, report: str, folder: Path) -> None:
        """Pages to files."""
        query: dict[str, Any] = {"path": report, "limit": 1000, "col_names": "true"}
        for page in range(1, 10_000):
            root = ET.fromstring(self.call("GET", "analytics/reports", "application/xml", params=query).content)  # noqa: S314
            rows = [[cell.text for cell in row] for row in root.iter(f"{_ROWSET}Row")]
            (folder / f"{page}.json").write_text(json.dumps(rows))
            if root.findtext(".//IsFinished") == "true":
                return
            query = {"token": root.findtext(".//ResumptionToken") or query["token"], "limit": 1000}

    def update(self, rows: list[list[str]]) -> None:
        """Records, one by one."""
        for mms, holding, item, *_, note in rows:
            path = f"bibs/{mms}/holdings/{holding}/items/{item}"
            record = self.call("GET", path, "application/json").json()
            record["item_data"]["internal_note_1"] = note
            self.call("PUT", path, "application/json", json=record)


def main(what: str, url: str, ca_file: str, *rest: str) -> None:
    """See above."""
    script = Script(url, ca_file)

    def work() -> str:
        if what == "fetch":
            script.fetch(rest[0], Path(rest[1]))
        else:
            script.update(json.loads((Path(rest[0]) / "items.json").read_text()))
        return json.dumps(script.took)

    compete(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
