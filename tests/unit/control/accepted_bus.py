"""Inputs that Azure accepts for Service Bus, as the Pulumi provider serialises them."""

from typing import Any

IN_BUS = {"resourceGroupName": "rg-mill", "namespaceName": "bus-mill-ab12c"}
OF_TOPIC = {"topicName": "events", "subscriptionName": "billing"}
BUS: dict[str, dict[str, Any]] = {
    "servicebus:Namespace": {
        "resourceGroupName": "rg-mill",
        "location": "westeurope",
        "namespaceName": "bus-mill-ab12c",
        "sku": {"name": "Premium", "tier": "Premium", "capacity": 2},
        "disableLocalAuth": True,
        "minimumTlsVersion": "1.2",
        "publicNetworkAccess": "Enabled",
        "zoneRedundant": True,
    },
    "servicebus:Queue": {
        **IN_BUS,
        "queueName": "eu/work-items",
        "lockDuration": "PT2M",
        "maxDeliveryCount": 5,
        "maxSizeInMegabytes": 2048,
        "defaultMessageTimeToLive": "P7DT12H",
        "requiresDuplicateDetection": True,
        "duplicateDetectionHistoryTimeWindow": "PT10M",
        "autoDeleteOnIdle": "P10675199DT2H48M5.4775807S",
        "requiresSession": False,
        "forwardTo": "work",
    },
    "servicebus:Topic": {**IN_BUS, "topicName": "events", "maxSizeInMegabytes": 1024},
    "servicebus:Subscription": {**IN_BUS, **OF_TOPIC, "requiresSession": True, "lockDuration": "PT5M"},
    "servicebus:Rule": {
        **IN_BUS,
        **OF_TOPIC,
        "ruleName": "large",
        "filterType": "CorrelationFilter",
        "correlationFilter": {"label": "paid", "properties": {"region": "eu"}},
        "action": {"sqlExpression": "SET priority = 1"},
    },
    "servicebus:DefaultRule": {
        **IN_BUS,
        **OF_TOPIC,
        "filterType": "SqlFilter",
        "sqlFilter": {"sqlExpression": "type = 'paid'"},
    },
}
