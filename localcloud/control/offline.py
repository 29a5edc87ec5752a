"""A cloud that only previews: every check the running one makes, and nothing else. Contacts nothing."""

from localcloud.control import functions, rules
from localcloud.control.kinds import Place, Tenancy, Values
from localcloud.engine.provider import Checked, Difference, Made, Refused
from localcloud.engine.values import UNKNOWN

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
        """Who deploys is known only when somebody does: the nil GUID stands for them, as functions must answer. What
        exists elsewhere is taken as existing.
        """
        return functions.call(token, functions.Asked(args, self._here.tenancy, NOBODY), _taken_as_there)

    def _only(self, preview: bool) -> None:
        if not preview:
            raise Refused("the offline cloud only previews; start the local cloud with ./millrace up")


def _taken_as_there(type_: str, args: Values) -> Values:
    del type_, args
    return {"id": UNKNOWN}
