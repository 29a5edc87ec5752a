"""The role table: Microsoft's own ids and names, one role a verb, and none that is wider than its verb."""

import json
from typing import get_args

import pytest

from components.roles import ROLES, Grant, Verb, role_definition_id
from localcloud.emulators.access import ROLES_FILE

# learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Azure Service Bus Data Sender": "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "Azure Service Bus Data Receiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
    "Azure Service Bus Data Owner": "090c5cfd-751d-490a-894a-3ce6f1109419",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
DEFINITIONS = json.loads(ROLES_FILE.read_bytes())


@pytest.mark.parametrize("verb", get_args(Verb))
def test_each_verb_has_microsofts_own_role(verb: Verb) -> None:
    role = ROLES[verb]
    assert BUILT_IN[role.name] == role.id
    assert DEFINITIONS[role.id]["name"] == role.name


def test_no_verb_is_without_a_role_and_no_role_without_a_verb() -> None:
    assert set(ROLES) == set(get_args(Verb))
    assert {role.name for role in ROLES.values()} == set(BUILT_IN)


SENDS = "Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action"


def test_sending_is_not_receiving_and_reading_is_not_writing() -> None:
    assert DEFINITIONS[ROLES["queue.send"].id]["data_actions"] == [SENDS]
    assert DEFINITIONS[ROLES["bus.send"].id]["data_actions"] == ["Microsoft.ServiceBus/*/send/action"]
    assert DEFINITIONS[ROLES["bus.receive"].id]["data_actions"] == ["Microsoft.ServiceBus/*/receive/action"]
    reads = DEFINITIONS[ROLES["blob.read"].id]["data_actions"]
    assert [action.rsplit("/", 1)[-1] for action in reads] == ["read"]


@pytest.mark.parametrize("verb", get_args(Verb))
def test_no_verb_lets_a_worker_grant_roles(verb: Verb) -> None:
    for action in DEFINITIONS[ROLES[verb].id].get("actions", []):
        assert not action.lower().startswith("microsoft.authorization")
        assert action != "*"


def test_who_counts_messages_reads_the_namespace_and_touches_no_message() -> None:
    role = DEFINITIONS[ROLES["bus.count"].id]
    assert (role["actions"], role["data_actions"]) == (["*/read"], [])


def test_a_role_is_named_below_its_subscription() -> None:
    role = Grant("blob.read", "out", "/scope").role
    assert role_definition_id(role, "sub") == (
        f"/subscriptions/sub/providers/Microsoft.Authorization/roleDefinitions/{role.id}"
    )
