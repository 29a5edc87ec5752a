"""The straight way with polars: pages into data frames, both datasets and their join into Parquet files.

`python -m benchmarks.reports.polars_script FOLDER RUN`, with polars on the path. No database, no checks of columns or
keys, nothing that goes on where a predecessor died.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import polars as pl

from benchmarks.ingestion.contestant import compete


def dataset(folder: Path, side: str) -> pl.DataFrame:
    """All pages of a report; its file as well."""
    frames = []
    for file in sorted((folder / side / "01").iterdir()):
        page = json.loads(gzip.decompress(file.read_bytes()))
        schema = dict.fromkeys(page["columns"], pl.String)
        frames.append(pl.DataFrame(dict(zip(page["columns"], page["values"], strict=True)), schema=schema))
    frame = pl.concat(frames)
    frame.write_parquet(folder / f"{side}.parquet", compression="snappy")
    return frame


def script(folder: Path) -> None:
    """The whole of it."""
    main, other = dataset(folder, "main"), dataset(folder, "other")
    other = other.rename(lambda name: f"other.{name}")
    joined = main.join(
        other, left_on="Barcode", right_on="other.Barcode", how="inner", coalesce=False, maintain_order="left"
    )
    joined.write_parquet(folder / "joined.parquet", compression="snappy")


if __name__ == "__main__":
    compete(lambda: script(Path(sys.argv[1]) / sys.argv[2]))
