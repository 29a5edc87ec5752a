"""Who is told when something fails: an action group, and the few log alerts that matter for a worker.

Per function app: a timer's run that failed; too large a share of failed runs; a timed function that has not succeeded
for three of its longest intervals. Per queue of a step: a message in its poison queue; a message that waits. Per
container of dead letters: a blob that was put there. All of storage from storage logs: AppTraces are sampled, these are
not, and storage metrics know neither container nor queue. What Azure cannot see has its own alarm where it lives: the
dead letters of SQS (components/aws/dead_letter_alarm.py). The queries: alert_queries.py.
"""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import monitor

from components.foundation.observability import Workspace
from components.monitoring.alert_queries import FAILED_SHARE, WAITING_MIN, failed, failing, put, runs, waiting
from components.monitoring.diagnostics import keep_blob_writes, keep_queue_changes
from components.naming import Environment
from components.storage.container import Container
from components.storage.queue import Queue
from components.workers.ncrontab import longest_gap, parse

MISSED_RUNS = 3
EVERY = "PT15M"
# Minutes; Azure Monitor takes these windows and no others (azurerm_monitor_scheduled_query_rules_alert_v2).
WINDOWS = {15: "PT15M", 30: "PT30M", 45: "PT45M", 60: "PT1H", 120: "PT2H", 180: "PT3H", 240: "PT4H", 300: "PT5H",
           360: "PT6H", 1440: "P1D", 2880: "P2D"}  # fmt: skip
SHORT_NAME = "millrace"  # at most 12 characters; what an SMS or the mail's subject begins with


class Alerts(pulumi.ComponentResource):
    """The action group of a stack; `watch_…` declare an alert below whatever is watched."""

    def __init__(self, workspace: Workspace, opts: pulumi.ResourceOptions | None = None) -> None:
        """Everybody in the environment's `alert_emails` gets every alert."""
        super().__init__("millrace:monitoring:Alerts", "alerts", None, opts)
        self._workspace, self.environment = workspace, workspace.group.environment
        self.resource_group = workspace.group.name
        self._kept: set[str] = set()
        """Accounts whose queue logs go to the workspace."""
        environment = self.environment
        self.group = monitor.ActionGroup(
            "alerts",
            action_group_name=environment.claim("action_group", "alerts"),
            resource_group_name=workspace.group.name,
            location="Global",
            group_short_name=SHORT_NAME,
            enabled=True,
            email_receivers=[
                {"name": email, "email_address": email, "use_common_alert_schema": True}
                for email in environment.alert_emails
            ],
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

    def watch_app(
        self,
        name: str,
        app: str,
        timers: Sequence[tuple[str, pulumi.Input[str]]],
        *,
        only_timers: bool,
        parent: pulumi.Resource,
    ) -> None:
        """`app`: its physical name; `timers`: (function, NCRONTAB) of those that run by the clock; `only_timers`: there
        are no others.
        """
        functions = [function for function, _ in timers]
        if functions:  # a message that fails is tried again; a timer's run is not
            query = failed(app, functions, all_of_them=only_timers)
            self._rule(f"{name}-failed", f"{name}: a run failed", query, window=EVERY, parent=parent)
        says = f"{name}: more than {FAILED_SHARE:.0%} of an hour's runs failed"
        self._rule(f"{name}-failing", says, failing(app), window="PT1H", parent=parent)
        for function, schedule in timers:
            window = silence(schedule) if isinstance(schedule, str) else ""
            if window:
                self._rule(
                    f"{name}-{function}-silent",
                    f"{name}: {function} has not succeeded for {MISSED_RUNS} intervals of its schedule",
                    f'{runs(app)} and OperationName == "{function}" and Success == true',
                    window=window,
                    absent=True,
                    parent=parent,
                )

    def watch_queue(self, queue: Queue) -> None:
        """Tell of messages that were put aside, and of messages that nobody handles."""
        account, name = queue.account, queue.queue_name
        if account.physical not in self._kept:
            self._kept.add(account.physical)
            keep_queue_changes(f"{account.physical}-queues", account.account.id, self._workspace.id, parent=account)
        if queue.poison:
            says, query = f"queue {name}: a message was given up", put(account.physical, f"{name}-poison")
            self._rule(f"{name}-poison", says, query, window=EVERY, parent=queue)
        says = f"queue {name}: a message has waited for more than {WAITING_MIN} minutes"
        self._rule(f"{name}-waiting", says, waiting(account.physical, name), window="P2D", parent=queue)

    def watch_dead_letters(self, name: str, container: Container, *, parent: pulumi.Resource) -> None:
        """Tell of every blob that is put into `container`."""
        account = container.account
        keep_blob_writes(f"{name}-writes", account.account.id, self._workspace.id, parent=parent)
        put = 'OperationName in ("PutBlob", "PutBlockList") and StatusText == "Success"'
        place = f'ObjectKey startswith "/{account.physical}/{container.physical}/"'
        self._rule(
            f"{name}-dead",
            f"{name}: something was given up and lies in container {container.physical}",
            f"StorageBlobLogs | where {place} and {put}",
            window=EVERY,
            parent=parent,
        )

    def _rule(
        self, name: str, says: str, query: str, *, window: str, parent: pulumi.Resource, absent: bool = False
    ) -> monitor.ScheduledQueryRule:
        """An alert on rows that came (or, `absent`, did not come) within the window."""
        environment: Environment = self.environment
        condition = monitor.ConditionArgs(
            query=query,
            time_aggregation=monitor.TimeAggregation.COUNT,
            # As text: monitor.ConditionOperator is another type's enum ("gt"), which Azure refuses here.
            operator="LessThan" if absent else "GreaterThan",
            threshold=1 if absent else 0,
            failing_periods=monitor.ConditionFailingPeriodsArgs(
                min_failing_periods_to_alert=1, number_of_evaluation_periods=1
            ),
        )
        return monitor.ScheduledQueryRule(
            name,
            rule_name=environment.claim("alert", name),
            resource_group_name=self._workspace.group.name,
            location=environment.location,
            kind="LogAlert",
            display_name=says,
            description=f"{says}. Stack {environment.stack}.",
            enabled=True,
            severity=1,
            scopes=[self._workspace.id],
            evaluation_frequency=EVERY,
            window_size=window,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(all_of=[condition]),
            actions=monitor.ActionsArgs(action_groups=[self.group.id]),
            auto_mitigate=True,
            skip_query_validation=True,  # a table of logs exists once the first log has come
            tags=environment.all_tags(),
            opts=pulumi.ResourceOptions(parent=parent),
        )


def silence(schedule: str) -> str:
    """The window without a success that is worth an alert; "" for schedules too rare for one (it ends at two days)."""
    minutes = MISSED_RUNS * longest_gap(parse(schedule)).total_seconds() / 60
    return next((window for length, window in WINDOWS.items() if length >= minutes), "")
