"""A cloud that answers at once: what a program costs alone, beside the cloud that checks what it declares."""

from localcloud.control.offline import OfflineCloud
from localcloud.engine.provider import Checked, Made
from localcloud.engine.values import Values


class PromptCloud(OfflineCloud):
    """Takes every resource as it is. Functions answer as in a preview, or the program could not go on."""

    def check(self, type_: str, name: str, old: Values | None, inputs: Values) -> Checked:
        """Nothing is looked at."""
        del type_, name, old
        return Checked(inputs)

    def create(self, type_: str, name: str, inputs: Values, *, preview: bool) -> Made:
        """Nothing is made, nothing is known."""
        del type_, name, inputs, preview
        return Made("", {})
