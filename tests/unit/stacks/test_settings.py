"""A wrong setting is one message: which stack, which setting, what it must be and is, the command that mends it."""

import contextvars
import json
from typing import Any

import pulumi
import pulumi.runtime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.settings import SettingError, StackSettings, read_settings

GOOD = {
    "azure-native:subscriptionId": "11111111-1111-4111-8111-111111111111",
    "azure-native:tenantId": "22222222-2222-4222-8222-222222222222",
    "azure-native:location": "westeurope",
    "aws:region": "eu-central-1",
    "millrace:aws": '{"accountId": "123456789012", "audience": "api://test"}',
    "millrace:systems": '["log_ingest"]',
}


def read(**changes: str | None) -> StackSettings:
    """Settings as read from a stack's file; `a__b` is `a:b`, None takes one away."""
    config = {**GOOD, **{key.replace("__", ":"): value for key, value in changes.items()}}
    kept = {key: value for key, value in config.items() if value is not None}

    def inside() -> StackSettings:
        pulumi.runtime.configure(pulumi.runtime.Settings(project="millrace", stack="test"))
        pulumi.runtime.set_all_config(kept)
        return read_settings()

    return contextvars.copy_context().run(inside)


def test_what_a_stack_leaves_out_has_a_default() -> None:
    found = read(millrace__aws=None, aws__region=None, millrace__systems=None)
    assert found.aws is None
    assert found.systems == []
    assert (found.environment.stack, found.environment.keeps_data) == ("test", False)
    assert found.environment.retention_days == 30
    assert found.environment.deployer_type == "ServicePrincipal"
    assert (found.log_ingest.plan, found.log_ingest.mode, found.log_ingest.upload) == (
        "flex",
        "strict",
        "logs_ingestion",
    )


def test_what_a_stack_says_is_taken() -> None:
    found = read(
        millrace__keepsData="true",
        millrace__retentionDays="90",
        millrace__tags='{"a": "b"}',
        millrace__target='{"python": "3.11", "platform": "x86_64-manylinux_2_28"}',
        millrace__logIngest='{"plan": "consumption", "maxInstances": 3, "maxAgeDays": 0}',
    )
    environment = found.environment
    assert (environment.keeps_data, environment.retention_days, environment.tags) == (True, 90, {"a": "b"})
    assert (environment.target.python, environment.aws_account_id) == ("3.11", "123456789012")
    assert (found.log_ingest.plan, found.log_ingest.max_instances, found.log_ingest.max_age_days) == (
        "consumption",
        3,
        0,
    )


WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "no subscription": (
        {"azure-native:subscriptionId": None},
        (
            "stack test: azure-native:subscriptionId must be set to the Azure subscription's id, got nothing; "
            "run: pulumi config set azure-native:subscriptionId VALUE --stack test"
        ),
    ),
    "no region": (
        {"aws:region": ""},
        (
            "stack test: aws:region must be set to an AWS region, for example eu-central-1, got nothing; "
            "run: pulumi config set aws:region VALUE --stack test"
        ),
    ),
    "an account that is none": (
        {"millrace:aws": '{"accountId": "12", "audience": "api://x"}'},
        "setting millrace:aws.accountId is wrong: .* run: pulumi config set --path 'millrace:aws.accountId' VALUE",
    ),
    "an audience that is none": (
        {"millrace:aws": '{"accountId": "123456789012", "audience": "x"}'},
        "setting millrace:aws.audience is wrong: .* run: pulumi config set --path 'millrace:aws.audience' VALUE",
    ),
    "a key that is unknown": (
        {"millrace:logIngest": '{"shedule": "x"}'},
        "setting millrace:logIngest is wrong: .*unknown field `shedule`.* run: pulumi config set",
    ),
    "a plan that is none": (
        {"millrace:logIngest": '{"plan": "premium"}'},
        "setting millrace:logIngest.plan is wrong: Invalid enum value 'premium'.* --path 'millrace:logIngest.plan'",
    ),
    "memory that is none": (
        {"millrace:logIngest": '{"memoryMb": 1024}'},
        "setting millrace:logIngest.memoryMb is wrong: .* run: pulumi config set --path 'millrace:logIngest.memoryMb'",
    ),
    "a wait that SQS refuses": (
        {"millrace:logIngest": '{"receiveWaitS": 21}'},
        "setting millrace:logIngest.receiveWaitS is wrong: Expected `int` <= 20.* got ",
    ),
    "an age below nothing": (
        {"millrace:logIngest": '{"maxAgeDays": -1}'},
        "setting millrace:logIngest.maxAgeDays is wrong: Expected `int` >= 0.* --path 'millrace:logIngest.maxAgeDays'",
    ),
    "systems that are no list": (
        {"millrace:systems": "log_ingest"},
        "setting millrace:systems is wrong: Expected `array`.* got log_ingest; run: pulumi config set --path 'mill",
    ),
    "a system that is no text": (
        {"millrace:systems": "[1]"},
        r"setting millrace:systems\[0\] is wrong: .* --path 'millrace:systems\[0\]'",
    ),
    "days that are none": (
        {"millrace:retentionDays": "731"},
        "setting millrace:retentionDays is wrong: Expected `int` <= 730.* got 731; ",
    ),
    "a Python that is none": (
        {"millrace:target": '{"python": "3.9"}'},
        "setting millrace:target.python is wrong: .* run: pulumi config set --path 'millrace:target.python'",
    ),
    "a deployer that is none": (
        {"millrace:deployerType": "Robot"},
        "setting millrace:deployerType is wrong: Invalid enum value 'Robot'.* got Robot; ",
    ),
    "a switch that is none": (
        {"millrace:keepsData": "perhaps"},
        "setting millrace:keepsData is wrong: .* got perhaps;",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_message_with_the_command_that_mends_it(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(SettingError, match=message) as error:
        read(**changes)
    assert "--stack test" in str(error.value)
    assert "\n" not in str(error.value)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    key=st.sampled_from(["aws", "logIngest", "systems", "tags", "target", "keepsData", "retentionDays"]),
    text=st.text() | JSON.map(json.dumps),
)
def test_whatever_stands_in_a_file_is_read_or_refused_with_a_message(key: str, text: str) -> None:
    refused = ""
    try:
        read(**{f"millrace:{key}": text})
    except SettingError as error:
        refused = str(error)
    assert not refused or f"millrace:{key}" in refused
