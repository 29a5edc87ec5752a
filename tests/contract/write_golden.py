"""`python -m tests.contract.write_golden`: write the reviewed files anew; their difference is what a reviewer reads.

Outputs that would break their readers are refused; `--breaking` writes them all the same.
"""

import json
import sys

from tests.contract.previews import GOLDEN
from tests.contract.settings.described import written
from tests.contract.test_outputs import SCHEMA, broken, schema
from tests.contract.test_stacks import production

if __name__ == "__main__":
    lost = broken(json.loads(SCHEMA.read_text()), json.loads(schema())) if SCHEMA.exists() else []
    if lost and "--breaking" not in sys.argv:
        sys.exit(f"readers of the outputs would miss {', '.join(lost)}; add a new key beside the old one instead")
    GOLDEN.mkdir(exist_ok=True)
    for name, text in production().items():
        (GOLDEN / f"prod-{name}.txt").write_text(text)
    SCHEMA.write_text(schema())
    for file, text in written().items():
        file.write_text(text)
