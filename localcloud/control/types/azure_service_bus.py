"""Service Bus namespaces, queues, topics, subscriptions and rules: recorded and echoed.

The one thing that Azure adds and programs read is the namespace's endpoint. `Kind`s with `apply` and `remove` belong
here for whatever is to *be* there as well; each `Subject` carries the inputs, `last` the entity's own name.
"""

from localcloud.control.kinds import Kind, Place, Subject, Values


def _namespace(here: Place, it: Subject) -> Values:
    return {"serviceBusEndpoint": f"https://{it.inputs['namespaceName']}.servicebus.windows.net:443/"}


KINDS = {"azure-native:servicebus:Namespace": Kind(outputs=_namespace)}
