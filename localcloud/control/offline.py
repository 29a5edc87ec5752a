"""A cloud that only previews: every check the running one makes, and nothing else. Contacts nothing."""

from localcloud.control import rules
from localcloud.control.kinds import Place, Tenancy, Values
from localcloud.engine.provider import Checked, Difference, Made, Refused

NOBODY = "00000000-0000-0000-0000-000000000000"


class OfflineCloud:
    """The `Provider` of `./millrace preview`."""

    def __init__(self, tenancy: Tenancy) -> None:
        """Who we would be; read from the stack's settings."""
        self._here = Place(tenancy, {})

    def check(self, type_: str, name: str, old: Values | None, inputs: Values) -> Checked:
        """As in an `up`."""
        return rules.check(type_, name, old, inputs)

    def diff(self, type_: str, id_: str, old: Values, new: Values) -> Difference:
        """As in an `up`."""
        del id_
        return rules.diff(type_, old, new)

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """What the inputs tell of the outputs; the id stays open."""
        self._only(preview)
        return rules.made(self._here, type_, name, inputs, preview=True)

    def read(self, type_: str, id_: str) -> Made | None:
        """What exists elsewhere is taken as existing; nothing of it is known."""
        del type_
        return Made(id_, {})

    def update(self, type_: str, id_: str, old: Values, new: Values, *, preview: bool) -> Made:
        """What the inputs tell."""
        rules.refuse_update(type_, old, new)
        self._only(preview)
        return Made(id_, new)

    def delete(self, type_: str, id_: str, outputs: Values) -> None:
        """Never asked in a preview."""
        del outputs
        raise Refused(f"{type_} {id_}: a preview deletes nothing")

    def invoke(self, token: str, args: Values) -> Values:
        """Who deploys is known only when somebody does: the nil GUID stands for them, as functions must answer."""
        del args
        return client_config(self._here.tenancy, token, NOBODY)

    def _only(self, preview: bool) -> None:
        if not preview:
            raise Refused("the offline cloud only previews; start the local cloud with ./millrace up")


def client_config(tenancy: Tenancy, token: str, object_id: str) -> Values:
    """The one function our programs call: who is deploying."""
    if token == "azure-native:authorization:getClientConfig":  # noqa: S105  a function's name
        return {
            "clientId": object_id,
            "objectId": object_id,
            "subscriptionId": tenancy.subscription_id,
            "tenantId": tenancy.tenant_id,
        }
    if token == "aws:index/getCallerIdentity:getCallerIdentity":  # noqa: S105  a function's name
        return {
            "accountId": tenancy.aws_account,
            "arn": f"arn:aws:iam::{tenancy.aws_account}:root",
            "userId": tenancy.aws_account,
            "id": tenancy.aws_account,
        }
    raise Refused(f"function {token} means nothing here yet; add it to localcloud/control/offline.py: client_config")
