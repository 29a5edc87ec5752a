"""Physical names: lengths, alphabets, stability, and that two things never share one."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import DeclarationError
from components.naming import Kind, physical_name
from tests.components.program import environment

KINDS = get_args(Kind)
# What the clouds say of each (resource-name-rules; S3, SQS, IAM): written here a second time on purpose.
CLOUDS: dict[str, str] = {
    "group": r"[-\w.()]{1,90}",
    "identity": r"[A-Za-z0-9][-\w]{2,127}",
    "storage_account": r"[a-z0-9]{3,24}",
    "container": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "queue": r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "bus_namespace": r"(?!.*-(sb|mgmt)$)[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "bus_entity": r"[A-Za-z0-9]([\w./-]{0,258}[A-Za-z0-9])?",
    "bus_subscription": r"[A-Za-z0-9]([\w.-]{0,48}[A-Za-z0-9])?",
    "bus_rule": r"[A-Za-z0-9]([\w.-]{0,48}[A-Za-z0-9])?",
    "database_server": r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "vault": r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "workspace": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "insights": r"[-\w.()]{1,255}",
    "plan": r"[A-Za-z0-9-]{1,60}",
    "function_app": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
    "collection_endpoint": r"[A-Za-z0-9][A-Za-z0-9-]{2,43}",
    "collection_rule": r"[A-Za-z0-9][A-Za-z0-9-]{2,63}",
    "bucket": r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    "sqs_queue": r"[\w-]{1,80}",
    "iam_role": r"[\w+=,.@-]{1,64}",
    "action_group": r"[^:<>+/&%\\?|]{1,260}",
    "alert": r"[^*#&+:<>?@%{}\\/|]{1,260}",
    "topic": r"[\w-]{1,256}",
    "alarm": r"[^\x00-\x1f]{1,255}",
}
WORLDWIDE = {"bus_namespace", "storage_account", "database_server", "vault", "function_app", "bucket"}
NAMED_BY_HANDLERS = {"container": 63, "queue": 63, "bus_entity": 260, "bus_subscription": 50, "bus_rule": 50}
WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12), min_size=1, max_size=8)
BASES = WORDS.map("-".join).filter(lambda base: len(base) >= 3)
STACKS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=10)


def test_every_kind_is_looked_at() -> None:
    assert set(CLOUDS) == set(KINDS)


@given(kind=st.sampled_from(KINDS), base=BASES, stack=STACKS)
def test_a_name_is_one_that_the_cloud_takes_or_is_refused_with_a_change(kind: Kind, base: str, stack: str) -> None:
    longest = NAMED_BY_HANDLERS.get(kind, len(base))
    if len(base) > longest:
        message = f'{kind} "{base}": its name must be at most {longest} characters, got {len(base)}; choose a shorter'
        with pytest.raises(DeclarationError, match=f"^{message} name$"):
            physical_name(kind, base, stack=stack, suffix="0a1b2")
        return
    name = physical_name(kind, base, stack=stack, suffix="0a1b2")
    assert re.fullmatch(CLOUDS[kind], name), name
    assert name.endswith("0a1b2") == (kind in WORLDWIDE)
    assert name == physical_name(kind, base, stack=stack, suffix="0a1b2")


@given(kind=st.sampled_from(sorted(set(KINDS) - set(NAMED_BY_HANDLERS))), one=BASES, other=BASES, stack=STACKS)
def test_two_bases_never_share_a_name(kind: Kind, one: str, other: str, stack: str) -> None:
    if one.replace("-", "") == other.replace("-", ""):
        return
    names = {physical_name(kind, base, stack=stack, suffix="0a1b2") for base in (one, other)}
    assert len(names) == 2


@given(base=st.text("abc", min_size=25, max_size=80), end=st.text("xyz", min_size=1, max_size=8))
def test_bases_that_begin_alike_stay_apart_when_they_are_cut(base: str, end: str) -> None:
    names = {physical_name("storage_account", one, stack="prod", suffix="0a1b2") for one in (base, base + end)}
    assert len(names) == 2
    assert all(len(name) == 24 for name in names)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("group", "log-ingest-prod"),
        ("identity", "log-ingest-prod"),
        ("storage_account", "logingestprod0a1b2"),
        ("container", "log-ingest"),
        ("queue", "log-ingest"),
        ("vault", "log-ingest-prod-0a1b2"),
        ("workspace", "log-ingest-prod"),
        ("insights", "log-ingest-prod"),
        ("plan", "log-ingest-prod"),
        ("function_app", "log-ingest-prod-0a1b2"),
        ("collection_endpoint", "log-ingest-prod"),
        ("collection_rule", "log-ingest-prod"),
        ("bucket", "log-ingest-prod-0a1b2"),
        ("sqs_queue", "log-ingest-prod"),
        ("iam_role", "log-ingest-prod"),
    ],
)
def test_names_stay_what_they_were(kind: Kind, name: str) -> None:
    assert physical_name(kind, "log_ingest", stack="prod", suffix="0a1b2") == name


def test_the_hash_is_of_subscription_and_stack_and_never_changes() -> None:
    assert environment().suffix == "eefa8"
    others = {environment(stack="prod").suffix, environment(subscription_id="another").suffix, environment().suffix}
    assert len(others) == 3


@pytest.mark.parametrize("kind", ["storage_account", "vault"])
def test_a_stack_name_that_leaves_no_room_is_refused(kind: Kind) -> None:
    with pytest.raises(
        DeclarationError, match=f'^{kind} "data": stack and hash must leave 6 of 24 characters, got sta'
    ):
        physical_name(kind, "data", stack="a-very-long-stack", suffix="0a1b2")


@pytest.mark.parametrize("base", ["", "ä", "a b", "a/b", "a.b", "-a", "a--b"])
@pytest.mark.parametrize("kind", ["container", "queue", "vault"])
def test_an_alphabet_that_the_kind_refuses_is_refused(kind: Kind, base: str) -> None:
    with pytest.raises(DeclarationError, match="rename the component with letters, digits and single hyphens"):
        physical_name(kind, base, stack="prod", suffix="0a1b2")
