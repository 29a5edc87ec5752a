"""What a stack is made of. Importing it makes Pulumi's SDKs load name by name (lazy_sdk.py)."""

from components import lazy_sdk

lazy_sdk.install()
