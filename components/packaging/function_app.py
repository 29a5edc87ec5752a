"""The root of every package, byte for byte the same: the manifest beside it says what is bound to which trigger."""

from pathlib import Path

from core.runtime.functions import build

app = build(Path(__file__).with_name("manifest.json"))
