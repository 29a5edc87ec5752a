"""Service Bus namespaces, queues, topics, subscriptions and rules: real ones, in the Service Bus emulator.

Tiers, zones, network rules and authorization rules are recorded only. A namespace whose `disableLocalAuth` is not set
has no keys here either: nobody is given any, and shared access signatures are refused.
"""

from localcloud.control.kinds import Kind, Locality, Place, Subject, Values

DEFAULT_RULE = "$Default"


def _namespace(here: Place, it: Subject) -> Values:
    del here
    return {"serviceBusEndpoint": f"https://{it.inputs['namespaceName']}.servicebus.windows.net:443/"}


async def _put_namespace(here: Locality, it: Subject) -> Values:
    return {"serviceBusEndpoint": f"https://{await here.cloud.buses.put(it.last, it.id)}/"}


async def _remove_namespace(here: Locality, it: Subject) -> None:
    await here.cloud.buses.remove(it.last)


async def _put_queue(here: Locality, it: Subject) -> None:
    await here.cloud.buses.put_queue(it.inputs["namespaceName"], _path(it), it.inputs)


async def _put_topic(here: Locality, it: Subject) -> None:
    await here.cloud.buses.put_topic(it.inputs["namespaceName"], _path(it), it.inputs)


async def _put_subscription(here: Locality, it: Subject) -> None:
    await here.cloud.buses.put_subscription(it.inputs["namespaceName"], it.inputs["topicName"], it.last, it.inputs)


async def _remove_entity(here: Locality, it: Subject) -> None:
    await here.cloud.buses.remove_entity(it.inputs["namespaceName"], _path(it))


async def _look_for_entity(here: Locality, it: Subject) -> Values | None:
    return here.cloud.buses.seen(it.inputs["namespaceName"], _path(it), it.inputs)


async def _put_rule(here: Locality, it: Subject) -> None:
    await here.cloud.buses.put_rule(*_rule(it), it.inputs)


async def _remove_rule(here: Locality, it: Subject) -> None:
    await here.cloud.buses.remove_rule(*_rule(it))


async def _look_for_rule(here: Locality, it: Subject) -> Values | None:
    return it.inputs if here.cloud.buses.rule(*_rule(it)) else None


def _path(it: Subject) -> str:
    """The entity's name, which may hold slashes; a subscription's has its topic before it."""
    inputs = it.inputs
    if "subscriptionName" in inputs:
        return f"{inputs['topicName']}/Subscriptions/{inputs['subscriptionName']}"
    return str(inputs["queueName"] if "queueName" in inputs else inputs["topicName"])


def _rule(it: Subject) -> tuple[str, str, str, str]:
    inputs = it.inputs
    name = inputs.get("ruleName", DEFAULT_RULE)
    return inputs["namespaceName"], inputs["topicName"], inputs["subscriptionName"], name


_RULE = Kind(apply=_put_rule, remove=_remove_rule, look=_look_for_rule)
KINDS = {
    "azure-native:servicebus:Namespace": Kind(outputs=_namespace, apply=_put_namespace, remove=_remove_namespace),
    "azure-native:servicebus:Queue": Kind(apply=_put_queue, remove=_remove_entity, look=_look_for_entity),
    "azure-native:servicebus:Topic": Kind(apply=_put_topic, remove=_remove_entity, look=_look_for_entity),
    "azure-native:servicebus:Subscription": Kind(apply=_put_subscription, remove=_remove_entity, look=_look_for_entity),
    "azure-native:servicebus:Rule": _RULE,
    # The provider's own type: the rule that every subscription is born with. Removing it leaves the subscription
    # without any, as its documentation says.
    "azure-native:servicebus:DefaultRule": _RULE,
}
