"""Identities, roles, vaults, workspaces: what the foundation's types mean locally."""

import uuid

from localcloud.control.kinds import Kind, Locality, Place, Subject, Values

NAMESPACE = uuid.UUID("6f0b0c0e-8f0a-4b8e-9b53-6d2f5c1d7a10")  # fixed, so that ids made from names never change


def _guid(kind: str, id_: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{id_.lower()}"))


def _identity(here: Place, it: Subject) -> Values:
    return {
        "principalId": _guid("principal", it.id),
        "clientId": _guid("client", it.id),
        "tenantId": here.tenancy.tenant_id,
    }


async def _put_identity(here: Locality, it: Subject) -> None:
    here.cloud.identity.put(it.outputs["principalId"], it.outputs["clientId"], it.last)


async def _remove_identity(here: Locality, it: Subject) -> None:
    here.cloud.identity.remove(it.outputs["principalId"])


async def _assign(here: Locality, it: Subject) -> None:
    here.cloud.access.assign(
        it.id, it.inputs["principalId"], it.inputs["roleDefinitionId"].rsplit("/", 1)[-1], it.inputs["scope"]
    )


async def _unassign(here: Locality, it: Subject) -> None:
    here.cloud.access.remove(it.id)


def _workspace(here: Place, it: Subject) -> Values:
    return {"customerId": _guid("workspace", it.id)}


async def _put_workspace(here: Locality, it: Subject) -> None:
    here.cloud.logs.put_workspace(it.id, it.outputs["customerId"], it.last)


async def _remove_workspace(here: Locality, it: Subject) -> None:
    here.cloud.logs.remove_workspace(it.id)


async def _put_table(here: Locality, it: Subject) -> None:
    workspace = it.id.rsplit("/tables/", 1)[0]
    here.cloud.logs.put_table(workspace, it.inputs["tableName"], it.inputs["schema"]["columns"])


async def _remove_table(here: Locality, it: Subject) -> None:
    here.cloud.logs.remove_table(it.id.rsplit("/tables/", 1)[0], it.inputs["tableName"])


def _component(here: Place, it: Subject) -> Values:
    key = _guid("insights", it.id)
    return {
        "instrumentationKey": key,
        "appId": _guid("insights-app", it.id),
        "connectionString": f"InstrumentationKey={key};IngestionEndpoint={here.endpoints.get('insights', '')}/",
    }


async def _put_vault(here: Locality, it: Subject) -> Values:
    return {"properties": {**it.inputs["properties"], "vaultUri": await here.cloud.vault.put_vault(it.id, it.last)}}


async def _remove_vault(here: Locality, it: Subject) -> None:
    await here.cloud.vault.remove_vault(it.last)


def _endpoint(here: Place, it: Subject) -> Values:
    return {
        "immutableId": f"dce-{uuid.uuid5(NAMESPACE, it.id.lower()).hex}",
        "logsIngestion": {"endpoint": here.endpoints.get("logs", "")},
    }


async def _put_endpoint(here: Locality, it: Subject) -> None:
    here.cloud.logs.put_endpoint(it.id, it.last)


async def _remove_endpoint(here: Locality, it: Subject) -> None:
    here.cloud.logs.remove_endpoint(it.id)


def _rule(here: Place, it: Subject) -> Values:
    return {"immutableId": f"dcr-{uuid.uuid5(NAMESPACE, it.id.lower()).hex}"}


async def _put_rule(here: Locality, it: Subject) -> None:
    here.cloud.logs.put_rule(
        it.id,
        it.outputs["immutableId"],
        streams=it.inputs["streamDeclarations"],
        flows=it.inputs["dataFlows"],
        destinations=it.inputs["destinations"],
        endpoint_arm_id=it.inputs["dataCollectionEndpointId"],
    )


async def _remove_rule(here: Locality, it: Subject) -> None:
    here.cloud.logs.remove_rule(it.id)


KINDS = {
    "azure-native:managedidentity:UserAssignedIdentity": Kind(
        outputs=_identity, apply=_put_identity, remove=_remove_identity
    ),
    "azure-native:authorization:RoleAssignment": Kind(apply=_assign, remove=_unassign),
    "azure-native:operationalinsights:Workspace": Kind(
        outputs=_workspace, apply=_put_workspace, remove=_remove_workspace
    ),
    "azure-native:operationalinsights:Table": Kind(apply=_put_table, remove=_remove_table),
    "azure-native:applicationinsights:Component": Kind(outputs=_component),
    "azure-native:keyvault:Vault": Kind(apply=_put_vault, remove=_remove_vault, later=("properties",)),
    "azure-native:monitor:DataCollectionEndpoint": Kind(
        outputs=_endpoint, apply=_put_endpoint, remove=_remove_endpoint
    ),
    "azure-native:monitor:DataCollectionRule": Kind(outputs=_rule, apply=_put_rule, remove=_remove_rule),
}
