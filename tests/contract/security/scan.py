"""Checkov over what production declares: `python -m tests.contract.security.scan CHECKOV` (a path to its program).

Checkov pins half of PyPI, so it lives apart: `python -m venv /tmp/checkov && /tmp/checkov/bin/pip install checkov`.
The command writes the two forms into a temporary folder, has Checkov read them (offline, its own built-in checks), and
writes what it found into `findings.json`. Every finding is either mended in `components/` or explained in
`docs/security.md`; `test_scan.py` compares the two without Checkov.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.contract.previews import preview
from tests.contract.security.forms import arm_template, terraform_plan

FINDINGS: Final = Path(__file__).with_name("findings.json")
STACK: Final = "prod"


def write_forms(folder: Path, stack: str = STACK) -> None:
    """`template.json` (ARM) and `tfplan.json` (Terraform)."""
    records = preview(stack).result.records
    for name, form in (("template.json", arm_template(records)), ("tfplan.json", terraform_plan(records))):
        (folder / name).write_text(json.dumps(form, indent=1) + "\n")


def scan(checkov: str, folder: Path) -> dict[str, Any]:
    """Checkov's failed checks, and what it read: {"checkov", "passed", "resources", "findings": {check: …}}."""
    command = [checkov, "-d", str(folder), "--framework", "arm", "terraform_plan", "-o", "json", "--compact"]
    command += ["--skip-download", "--soft-fail"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{checkov}: must end well, got {ran.returncode}: {ran.stderr[-500:]}")
    reports = json.loads(ran.stdout)
    findings: dict[str, Any] = {}
    for report in reports:
        if report["summary"]["parsing_errors"]:
            raise SystemExit(f"{checkov} could not read {report['check_type']}: {report['results']}")
        for failed in report["results"]["failed_checks"]:
            found = findings.setdefault(failed["check_id"], {"name": failed["check_name"], "resources": []})
            found["resources"].append(failed["resource"])
    return {
        "checkov": reports[0]["summary"]["checkov_version"],
        "passed": {report["check_type"]: report["summary"]["passed"] for report in reports},
        "resources": {report["check_type"]: report["summary"]["resource_count"] for report in reports},
        "findings": {
            check: {**found, "resources": sorted(found["resources"])} for check, found in sorted(findings.items())
        },
    }


def main() -> None:
    """Scan, write, say what is new."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        write_forms(Path(folder))
        found = scan(sys.argv[1], Path(folder))
    before = json.loads(FINDINGS.read_text())["findings"] if FINDINGS.exists() else {}
    FINDINGS.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{found['checkov']}: passed {found['passed']}, failed {len(found['findings'])} checks\n")
    for check in sorted(set(found["findings"]) ^ set(before)):
        sys.stdout.write(f"{'new' if check in found['findings'] else 'gone'}: {check}\n")


if __name__ == "__main__":
    main()
