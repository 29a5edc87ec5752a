"""docs/benchmarks.md from the benchmarks' own answers: `python -m benchmarks.page`.

`./millrace bench NAME --json > docs/benchmarks/NAME.json` gives the figures; this fills the page's tables (between
`<!-- NAME -->` and `<!-- / -->`) and draws the chart. A row "x: processor" becomes a column of the row "x".
The words around them are written by hand.
"""

import re
from pathlib import Path

import msgspec

from benchmarks.log_ingest import DOCUMENT, LIMIT, OURS, SIZES
from benchmarks.measure import Bench, Figure

DOCS = Path(__file__).resolve().parent.parent / "docs"
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- / -->)", re.DOTALL)
_BAR, _GAP, _LEFT, _WIDTH = 26, 8, 190, 760
_STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328 } .small { font-size: 12px; fill: #59636e }
.document { fill: #9a6700 } .ours { fill: #0969da } .limit { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .small { fill: #9198a1 }
.document { fill: #d29922 } .ours { fill: #4493f8 } .limit { fill: #6e7681 } }
</style>"""
_LABELS = {DOCUMENT: "the document's design", OURS: "log_ingest", LIMIT: "straight-line limit"}


def results(folder: Path) -> dict[str, Bench]:
    """The kept answers by name."""
    return {path.stem: msgspec.json.decode(path.read_bytes(), type=Bench) for path in sorted(folder.glob("*.json"))}


def page(text: str, found: dict[str, Bench]) -> str:
    """The page with its tables filled anew."""
    return _BLOCK.sub(lambda match: f"{match[1]}{_table(found[match[2]])}\n{match[3]}", text)


def chart(found: Bench) -> str:
    """Records a second as bars, both sizes, as SVG that reads well on light and dark pages."""
    rows = {row.what: row for row in found.rows}
    most = max(rows[f"{size}, {name}"].max for size in _sizes() for name in _LABELS)
    parts: list[str] = []
    y = 10
    for size in _sizes():
        parts.append(f'<text x="0" y="{y + 14}">{size} records</text>')
        y += 24
        for name in (DOCUMENT, OURS, LIMIT):
            parts += _bar(rows[f"{size}, {name}"], name, y, most)
            y += _BAR + _GAP
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img">'
    title = "<title>Records a second: log_ingest between the document's design and the limit</title>"
    return "\n".join([head, title, _STYLE, *parts, "</svg>", ""])


def _sizes() -> list[str]:
    return [f"{order.files} × {order.records:,}" for order in SIZES]


def _bar(row: Figure, name: str, y: int, most: float) -> list[str]:
    scale = (_WIDTH - _LEFT - 90) / most
    middle = y + _BAR / 2
    low, high = _LEFT + row.min * scale, _LEFT + row.max * scale
    return [
        f'<text x="{_LEFT - 8}" y="{middle + 5}" text-anchor="end">{_LABELS[name]}</text>',
        f'<rect class="{name}" x="{_LEFT}" y="{y}" width="{row.figure * scale:.0f}" height="{_BAR}" rx="3"/>',
        f'<path d="M{low:.0f} {middle}H{high:.0f}" stroke="#000" stroke-opacity=".55" stroke-width="2"/>',
        f'<text class="small" x="{high + 8:.0f}" y="{middle + 4}">{row.figure:,.0f}/s</text>',
    ]


def _table(found: Bench) -> str:
    cells: dict[str, dict[str, str]] = {}
    for row in found.rows:
        name, _, column = row.what.partition(": ")
        text = f"{_number(row.figure)} ({_number(row.min)} – {_number(row.max)})"
        cells.setdefault(name, {})[f"{column} {row.unit}".strip()] = text
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(row.get(column, "") for column in columns) + " |" for name, row in cells.items()
    ]
    lines += ["", "| ratio of medians | |", "|---|--:|"]
    lines += [f"| {name} | **{value:g}** |" for name, value in found.ratios.items()]
    return "\n".join([*lines, "", f"Median (least – most) of {found.rounds} rounds; {found.machine}.", *found.notes])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


def main() -> None:
    """Writes both files."""
    found = results(DOCS / "benchmarks")
    path = DOCS / "benchmarks.md"
    path.write_text(page(path.read_text("utf-8"), found), "utf-8")
    (DOCS / "benchmarks" / "log_ingest.svg").write_text(chart(found["log_ingest"]), "utf-8")


if __name__ == "__main__":
    main()
