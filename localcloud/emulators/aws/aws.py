"""The AWS side of the local cloud as the control plane sees it: puts that are idempotent, and the three services."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from localcloud.emulators.aws.account import Account
from localcloud.emulators.aws.policy import parse
from localcloud.emulators.aws.s3 import S3
from localcloud.emulators.aws.s3_notify import Notifier
from localcloud.emulators.aws.s3_store import Bucket, ObjectStore
from localcloud.emulators.aws.sqs import Sqs
from localcloud.emulators.aws.sqs_store import QueueStore
from localcloud.emulators.aws.sts import Sts
from localcloud.emulators.identity import Identity
from localcloud.emulators.private_files import private_folder
from localcloud.emulators.queue_depth import QueueDepth


class Credentials(msgspec.Struct, frozen=True):
    """Temporary credentials; `expires` in seconds since the epoch."""

    access_key: str
    secret_key: str
    session_token: str
    expires: float


class Aws:
    """One AWS account in one region. The same put again changes nothing and sends nothing."""

    def __init__(
        self, folder: Path, identity: Identity, *, account_id: str, region: str, clock: Callable[[], float] = time.time
    ) -> None:
        private_folder(folder)
        self.account = Account(folder / "iam", account_id=account_id, region=region, clock=clock)
        self._queues = QueueStore(folder / "sqs.sqlite", clock)
        self._objects = ObjectStore(folder / "s3", clock)
        self.sqs = Sqs(self.account, self._queues)
        self._notifier = Notifier(self.account, self.sqs, clock)
        self.s3 = S3(self.account, self._objects, self._notifier)
        self.sts = Sts(self.account, identity)

    def close(self) -> None:
        """Closes the files."""
        self.sqs.moves.stop()
        self._queues.close()
        self._objects.close()
        self.account.close()

    # ---- identities

    def put_oidc_provider(self, arn: str, url: str, audiences: Iterable[str], thumbprints: Sequence[str] = ()) -> None:  # noqa: ARG002
        """Declares an OIDC provider; thumbprints are accepted and, as AWS does for known issuers, not used."""
        self.account.put_provider(arn, url, audiences)

    def remove_oidc_provider(self, arn: str) -> None:
        """Forgets a provider."""
        self.account.providers.pop(arn, None)

    def put_role(self, name: str, trust_json: str, max_session_s: int = 3600) -> str:
        """Declares a role; answers its ARN."""
        return self.account.put_role(name, trust_json, max_session_s)

    def remove_role(self, name: str) -> None:
        """Forgets a role; its sessions keep their signature and lose every right."""
        self.account.roles.pop(name, None)

    def put_role_policy(self, role: str, policy_name: str, document: str) -> None:
        """Gives a role an inline policy."""
        if role not in self.account.roles:
            raise LookupError(f"role policy {policy_name}: the role must exist, got {role!r}; put the role first.")
        self.account.roles[role].policies[policy_name] = parse(document, owner=f"role policy {policy_name}")

    def remove_role_policy(self, role: str, policy_name: str) -> None:
        """Takes an inline policy away."""
        if role in self.account.roles:
            self.account.roles[role].policies.pop(policy_name, None)

    def vendor_keys(self) -> tuple[str, str]:
        """(access key, secret key) of the account's root, as an outside writer uses them."""
        return self.account.root_keys()

    def role_credentials(
        self, role_arn: str, token: str, *, session: str = "local", duration_s: int = 3600
    ) -> Credentials:
        """Temporary credentials of a role for a web identity token, by the same checks as STS; AwsError otherwise."""
        fields = {
            "RoleArn": role_arn,
            "RoleSessionName": session,
            "WebIdentityToken": token,
            "DurationSeconds": str(duration_s),
        }
        _, _, made = self.sts.assume(fields)
        return Credentials(made.access_key, made.secret, made.token, made.expires)

    # ---- buckets

    def put_bucket(self, name: str) -> str:
        """Declares a bucket; answers its ARN."""
        self._objects.put_bucket(name)
        return f"arn:aws:s3:::{name}"

    def bucket(self, name: str) -> Bucket | None:
        """A bucket's settings as they are; None when there is none."""
        return self._objects.bucket(name)

    def put_bucket_versioning(self, name: str, status: str) -> None:
        """Sets versioning: "Enabled", "Suspended" or "" (never on)."""
        bucket = self._objects.put_bucket(name)
        if bucket.versioning != status:
            bucket.versioning = status
            self._objects.save_bucket(bucket)

    def put_bucket_policy(self, name: str, document: str) -> None:
        """Sets the bucket's policy; "" takes it away."""
        if document:
            parse(document, owner=f"bucket {name}")
        elif self._objects.bucket(name) is None:
            return  # taken away after its bucket: nothing is left to do
        bucket = self._objects.put_bucket(name)
        bucket.policy = document
        self._objects.save_bucket(bucket)

    def put_bucket_notification(self, name: str, queues: list[dict[str, Any]]) -> None:
        """Sets notifications: [{"id", "queue_arn", "events", "filter_prefix", "filter_suffix"}]; [] takes them away.

        ValueError for a queue that is missing or whose policy does not let S3 send, as S3 refuses it. Each new
        configuration begins with an s3:TestEvent per queue.
        """
        if not queues and self._objects.bucket(name) is None:
            return
        bucket = self._objects.put_bucket(name)
        wanted = [
            {
                "id": item.get("id") or f"{name}-{index}",
                "queue_arn": item["queue_arn"],
                "events": list(item["events"]),
                "filter_prefix": item.get("filter_prefix") or "",
                "filter_suffix": item.get("filter_suffix") or "",
            }
            for index, item in enumerate(queues)
        ]
        for item in wanted:
            if not self._notifier.may_send(name, item["queue_arn"]):
                raise ValueError(
                    f"bucket {name}: Unable to validate the following destination "
                    f"configurations: {item['queue_arn']} must exist "
                    "and its policy must allow s3.amazonaws.com sqs:SendMessage with "
                    "aws:SourceArn of this bucket; put the "
                    "queue and its policy first."
                )
        if bucket.notifications == wanted:
            return
        bucket.notifications = wanted
        self._objects.save_bucket(bucket)
        for queue_arn in dict.fromkeys(item["queue_arn"] for item in wanted):
            self._notifier.test(name, queue_arn)

    def remove_bucket(self, name: str, *, force: bool = False) -> None:
        """Removes a bucket; ValueError for one with objects unless `force`."""
        if not force and not self._objects.is_empty(name):
            raise ValueError(
                f"bucket {name}: BucketNotEmpty: it must be empty before it can be removed; "
                "set force_destroy or empty it."
            )
        self._objects.remove_bucket(name)

    # ---- queues

    def put_queue(self, name: str, attributes: dict[str, str]) -> tuple[str, str]:
        """Declares a queue with its attributes as SQS spells them (strings); answers (URL, ARN). A policy put apart
        by `put_queue_policy` stays unless `attributes` has one.
        """
        policy = (self._queues.attributes(name) or {}).get("Policy")
        return self.sqs.put_queue(name, {**({"Policy": policy} if policy else {}), **attributes})

    def queue_attributes(self, name: str) -> dict[str, str] | None:
        """What SQS has recorded of a queue; None when there is none."""
        return self._queues.attributes(name)

    def put_queue_policy(self, name: str, document: str) -> None:
        """Sets a queue's policy; "" takes it away."""
        if document:
            parse(document, owner=f"queue {name}")
        attributes = self._queues.attributes(name)
        if attributes is None and not document:
            return
        if attributes is None:
            raise LookupError(f"queue policy: the queue must exist, got {name!r}; put the queue first.")
        rest = {key: value for key, value in attributes.items() if key != "Policy"}
        self._queues.put(name, {**rest, "Policy": document} if document else rest)

    def remove_queue(self, name: str) -> None:
        """Removes a queue and its messages."""
        self._queues.remove(name)

    def depths(self) -> list[QueueDepth]:
        """How full each queue is."""
        return self._queues.depths()

    def release(self) -> int:
        """Ends every visibility timeout now; answers how many messages came back."""
        return self._queues.release()

    def dead_queues(self) -> set[str]:
        """The names of the queues that are another queue's dead-letter queue."""
        return self._queues.dead_queues()

    def resume(self) -> None:
        """Goes on with what was under way when the process ended."""
        self.sqs.moves.resume()
