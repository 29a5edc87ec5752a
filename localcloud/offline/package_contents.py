"""Checks what goes into every package against the committed list: a new import must be seen in review.

`python -m localcloud.offline.package_contents` compares, `--write` writes `docs/packages.txt` anew. Nothing is built.
"""

import difflib
import sys
from pathlib import Path

from localcloud.offline.packages import package_plans

ROOT = Path(__file__).resolve().parents[2]
LISTED = ROOT / "docs" / "packages.txt"
STACK = "prod"


def listing(root: Path) -> str:
    """Every file and distribution of every package of the stack."""
    lines = [f"# What each package of stack {STACK} holds.", "# python -m localcloud.offline.package_contents --write"]
    for one in package_plans(root, STACK):
        lines += ["", f"{one.app} (Python {one.target.python}, {one.target.platform})"]
        lines += [f"  {name}" for name in sorted(one.contents)]
        lines += [f"  {distribution}" for distribution in one.distributions]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Compare or write; 1 with the difference when they disagree."""
    found = listing(ROOT)
    if "--write" in sys.argv:
        LISTED.write_text(found)
        return 0
    wanted = LISTED.read_text() if LISTED.exists() else ""
    if found == wanted:
        return 0
    name = str(LISTED.relative_to(ROOT))
    sys.stdout.writelines(
        difflib.unified_diff(wanted.splitlines(True), found.splitlines(True), name, "as declared now")
    )
    sys.stdout.write("\nIf that is meant: python -m localcloud.offline.package_contents --write, and commit it.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
