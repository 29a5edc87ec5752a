"""A wrong setting is one message: which stack, which setting, what it must be and is, the command that mends it."""

import contextvars
import json
from typing import Any

import msgspec
import pulumi
import pulumi.runtime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.configuration import Configuration
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


SCHEDULE = '"0 \\*/30 \\* \\* \\* \\*"'
WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "no subscription": (
        {"azure-native:subscriptionId": None},
        (
            "stack test: setting azure-native:subscriptionId must be the Azure subscription's id: az account show "
            "--query id, got nothing; run: pulumi config set azure-native:subscriptionId VALUE --stack test"
        ),
    ),
    "a subscription that is none": (
        {"azure-native:subscriptionId": "mine"},
        "setting azure-native:subscriptionId must be the Azure subscription's id: .*, got mine; run",
    ),
    "no region": (
        {"aws:region": ""},
        (
            "stack test: setting aws:region must be an AWS region, for example eu-central-1, got nothing; "
            "run: pulumi config set aws:region VALUE --stack test"
        ),
    ),
    "a region as the portal shows it": (
        {"azure-native:location": "West Europe"},
        "must be an Azure region, .* got West Europe; run: pulumi config set azure-native:location westeurope --stack",
    ),
    "a misspelt region": (
        {"azure-native:location": "westeurop"},
        r"must be an Azure region, .* got westeurop \(did you mean westeurope\?\); run",
    ),
    "an AWS region that is none": (
        {"aws:region": "eu-middle-1"},
        r"setting aws:region must be an AWS region, .* got eu-middle-1 ?.*; run: pulumi config set aws:region VALUE",
    ),
    "a misspelt key": (
        {"millrace:keepData": "true"},
        (
            r"setting millrace:keepData must be one that exists: .* got keepData \(did you mean keepsData\?\); "
            "run: pulumi config rm millrace:keepData --stack test"
        ),
    ),
    "a key of another case": (
        {"millrace:log_ingest": "{}"},
        r"got log_ingest \(did you mean logIngest\?\)",
    ),
    "an account that is none": (
        {"millrace:aws": '{"accountId": "12", "audience": "api://x"}'},
        (
            "setting millrace:aws.accountId must be 12 digits, got 12; "
            "run: pulumi config set --path 'millrace:aws.accountId' VALUE"
        ),
    ),
    "no audience": (
        {"millrace:aws": '{"accountId": "123456789012"}'},
        (
            r"setting millrace:aws.audience must be set to an Application ID URI \(.*\), got nothing; "
            "run: pulumi config set --path 'millrace:aws.audience' VALUE"
        ),
    ),
    "an audience that is none": (
        {"millrace:aws": '{"accountId": "123456789012", "audience": "x"}'},
        "setting millrace:aws.audience must be an Application ID URI .* got x; run: pulumi config set --path",
    ),
    "a nested key that is unknown": (
        {"millrace:logIngest": '{"shedule": "x"}'},
        (
            r"setting millrace:logIngest.shedule must be one that exists there: schedule, plan, .* got shedule "
            r"\(did you mean schedule\?\); run: pulumi config rm --path 'millrace:logIngest.shedule' --stack test"
        ),
    ),
    "a plan that is none": (
        {"millrace:logIngest": '{"plan": "premium"}'},
        (
            "setting millrace:logIngest.plan must be one of consumption, flex, got premium; "
            "run: pulumi config set --path 'millrace:logIngest.plan' VALUE"
        ),
    ),
    "memory that is none": (
        {"millrace:logIngest": '{"memoryMb": 1024}'},
        "setting millrace:logIngest.memoryMb must be one of 512, 2048, 4096, got 1024; run: pulumi config set --path",
    ),
    "more instances than the plan has": (
        {"millrace:logIngest": '{"plan": "consumption", "maxInstances": 300}'},
        "setting millrace:logIngest.maxInstances must be 1 to 200 on plan consumption, got 300; run: pulumi config set",
    ),
    "fewer instances than flex takes": (
        {"millrace:logIngest": '{"maxInstances": 3}'},
        "setting millrace:logIngest.maxInstances must be 40 to 1000 on plan flex, got 3; run",
    ),
    "a schedule with five fields": (
        {"millrace:logIngest": '{"schedule": "*/30 * * * *"}'},
        (
            f"setting millrace:logIngest.schedule must be NCRONTAB .*{SCHEDULE} .*six fields.*, "
            r"got \*/30 \* \* \* \*; run: pulumi config set --path 'millrace:logIngest.schedule' VALUE"
        ),
    ),
    "a day that never comes": (
        {"millrace:logIngest": '{"schedule": "0 0 0 31 2 *"}'},
        r"setting millrace:logIngest.schedule must be NCRONTAB that comes to pass.*, got 0 0 0 31 2 \*; run",
    ),
    "a wait that SQS refuses": (
        {"millrace:logIngest": '{"receiveWaitS": 21}'},
        "setting millrace:logIngest.receiveWaitS must be a whole number from 0 to 20, got 21; run",
    ),
    "an age below nothing": (
        {"millrace:logIngest": '{"maxAgeDays": -1}'},
        "setting millrace:logIngest.maxAgeDays must be a whole number, 0 or more, got -1; run",
    ),
    "an address that is none": (
        {"millrace:alerts": '{"emails": ["ops@example.com", "ops at example"]}'},
        (
            r"setting millrace:alerts.emails\[1\] must be an e-mail address, got ops at example; "
            r"run: pulumi config set --path 'millrace:alerts.emails\[1\]' VALUE"
        ),
    ),
    "systems that are no list": (
        {"millrace:systems": "log_ingest"},
        (
            r"setting millrace:systems must be a list of texts, got log_ingest; run: pulumi config set --path "
            r"'millrace:systems\[0\]' VALUE"
        ),
    ),
    "a system that is no text": (
        {"millrace:systems": "[true]"},
        r"setting millrace:systems\[0\] must be a text, got true; run: pulumi config set --path",
    ),
    "a system that is not ours": (
        {"millrace:systems": '["log-ingest"]'},
        r"setting millrace:systems\[0\] must be a system, each once: alma_analytics, log_ingest, got log-ingest \(did",
    ),
    "a system twice": (
        {"millrace:systems": '["log_ingest", "log_ingest"]'},
        r"setting millrace:systems\[1\] must be a system, each once: ",
    ),
    "a tag that is no text": (
        {"millrace:tags": '{"cost": [1]}'},
        r'setting millrace:tags.NAME must be a text, got \{"cost": \[1\]\}; run',
    ),
    "days that are none": (
        {"millrace:retentionDays": "731"},
        (
            "setting millrace:retentionDays must be a whole number from 1 to 730, got 731; "
            "run: pulumi config set millrace:retentionDays VALUE --stack test"
        ),
    ),
    "a Python that is none": (
        {"millrace:target": '{"python": "3.9"}'},
        "setting millrace:target.python must be one of 3.11, 3.12, 3.13, got 3.9; run",
    ),
    "a deployer that is none": (
        {"millrace:deployerType": "Robot"},
        "setting millrace:deployerType must be one of ServicePrincipal, User, got Robot; run: pulumi config set mill",
    ),
    "a switch that is none": (
        {"millrace:keepsData": "perhaps"},
        "setting millrace:keepsData must be true or false, got perhaps; run: pulumi config set millrace:keepsData",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_message_with_the_command_that_mends_it(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(SettingError, match=message) as error:
        read(**changes)
    assert "--stack test" in str(error.value)
    assert "\n" not in str(error.value)


def test_digits_that_pulumi_made_a_number_are_an_account_all_the_same() -> None:
    """`pulumi config set --path millrace:aws.accountId 123456789012` writes a number."""
    found = read(millrace__aws='{"accountId": 123456789012, "audience": "api://test"}', millrace__tags='{"a": 7}')
    assert (found.environment.aws_account_id, found.environment.tags) == ("123456789012", {"a": "7"})


def test_an_empty_object_is_what_pulumis_defaults_say_for_absent() -> None:
    found = read(millrace__aws="{}", millrace__target="{}", millrace__alerts="{}", millrace__logIngest="{}")
    assert found == read(millrace__aws=None)


def test_an_address_twice_is_told_once() -> None:
    twice = '{"emails": ["b@example.com", "a@example.com", "b@example.com"]}'
    assert read(millrace__alerts=twice).environment.alert_emails == ("b@example.com", "a@example.com")


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    key=st.sampled_from(sorted(field.encode_name for field in msgspec.structs.fields(Configuration))),
    text=st.text() | JSON.map(json.dumps),
)
def test_whatever_stands_in_a_file_is_read_or_refused_with_a_message(key: str, text: str) -> None:
    refused = ""
    try:
        read(**{f"millrace:{key}": text})
    except SettingError as error:
        refused = str(error)
    assert not refused or f"millrace:{key}" in refused
