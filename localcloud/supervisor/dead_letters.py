"""The supervisor's part in dead letters: who the operator is, and moves of poison messages that outlive a command.

The operator is an identity like any other: it may read and change the dead-letter places and nothing else, by real role
assignments at their scopes, through the door. In the cloud a person with the same roles takes its place.
"""

import secrets
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from azure.core.exceptions import AzureError
from azure.storage.queue.aio import QueueClient

from localcloud.control.plane import ControlPlane
from localcloud.deadletters.poison_journal import Journal
from localcloud.deadletters.poison_moves import Busy, PoisonMoves
from localcloud.emulators.cloud import LocalCloud
from localcloud.host.queue_access import TokenQueueAccess
from localcloud.supervisor.shapes import Operator, Outside, PoisonMove, PoisonMoved

OPERATOR: Final = "operator"
POISON: Final = "-poison"
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
QUEUE_CONTRIBUTOR: Final = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
BUS_SENDER: Final = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
BUS_RECEIVER: Final = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
NAMESPACE: Final = "azure-native:servicebus:Namespace"
CONTAINERS: Final = {"failed": BLOB_CONTRIBUTOR, "progress": BLOB_READER, "pages": BLOB_READER}
"""Containers by name, and the operator's role there."""


class DeadLetterDesk:
    """Built once the record is replayed."""

    def __init__(self, home: Path, cloud: LocalCloud, plane: ControlPlane, region: str) -> None:
        """`home`: the stack's folder."""
        self._cloud, self._plane, self._region = cloud, plane, region
        self._principal = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{cloud.identity.issuer}{OPERATOR}"))
        self._client = str(uuid.uuid5(uuid.NAMESPACE_URL, self._principal))
        self._header = secrets.token_urlsafe(24)
        cloud.identity.put(self._principal, self._client, OPERATOR)
        cloud.identity.register_header(self._header, [self._client])
        self._access = TokenQueueAccess(self._issue, ca_file=cloud.endpoints["ca_file"])
        self._journal = Journal(home / "poison-moves.sqlite")
        self._moves = PoisonMoves(self._journal, self._queue)
        cloud.storage.unseen = self._moves.unseen

    async def resume(self) -> None:
        """Ends moves that a killed supervisor left half done."""
        self._grant()
        try:
            await self._moves.resume()
        except AzureError as error:  # its queue is gone, say: the record stays, and so does everything else
            sys.stdout.write(f"dead letters: a move could not be ended: {error.message}\n")

    async def stop(self) -> None:
        """Ends a move after the messages in hand."""
        await self._moves.stop()
        self._journal.close()

    def routes(self) -> list[web.RouteDef]:
        """What the command line asks."""
        return [
            web.get("/operator", self._operator),
            web.get("/dead-letters", self._letters),
            web.post("/poison/moves", self._start),
            web.get("/poison/moves", self._state),
            web.post("/poison/moves/stop", self._end),
        ]

    async def _operator(self, _request: web.Request) -> web.Response:
        self._grant()
        key, secret = self._cloud.aws.vendor_keys()
        answer = Operator(
            identity_endpoint=self._cloud.endpoints["identity"], identity_header=self._header, client_id=self._client,
            aws=Outside(access_key=key, secret_key=secret, region=self._region), endpoints=self._cloud.endpoints,
        )  # fmt: skip
        return _json(answer)

    async def _letters(self, _request: web.Request) -> web.Response:
        """How many letters lie in failed-file places."""
        places = [one.id for one in self._plane.resources() if one.id.endswith("/containers/failed")]
        accounts = [id_.partition("/storageAccounts/")[2].partition("/")[0] for id_ in places]
        return _json(sum([await self._cloud.storage.blobs(account, "failed") for account in accounts]))

    async def _start(self, request: web.Request) -> web.Response:
        wanted = msgspec.json.decode(await request.read(), type=PoisonMove)
        try:
            self._moves.start(wanted.account, wanted.queue, wanted.ids, wanted.rate)
        except Busy as error:
            return web.json_response({"refused": str(error)}, status=409)
        return _json(None)

    async def _state(self, _request: web.Request) -> web.Response:
        moves = self._moves
        return _json(PoisonMoved(moved=moves.moved, running=moves.running, failure=moves.failure))

    async def _end(self, _request: web.Request) -> web.Response:
        await self._moves.stop()
        return _json(None)

    def _grant(self) -> None:
        """The operator's roles on what is declared now; the same again changes nothing."""
        ids = [one.id for one in self._plane.resources()]
        poisoned = {id_.removesuffix(POISON) for id_ in ids if "/queues/" in id_ and id_.endswith(POISON)}
        for id_ in ids:
            role = CONTAINERS.get(id_.rpartition("/containers/")[2]) if "/containers/" in id_ else None
            if id_ in poisoned or id_.removesuffix(POISON) in poisoned:
                role = QUEUE_CONTRIBUTOR
            if role:
                self._cloud.access.assign(f"{OPERATOR}:{id_}", self._principal, role, id_)
        for namespace in (one.id for one in self._plane.resources() if one.type == NAMESPACE):
            for role in (BUS_SENDER, BUS_RECEIVER):
                self._cloud.access.assign(f"{OPERATOR}:{role}:{namespace}", self._principal, role, namespace)

    def _issue(self, _client: str | None, audience: str) -> str:
        return self._cloud.identity.token(self._principal, audience)

    def _queue(self, account: str, queue: str) -> QueueClient:
        return self._access.client(f"{self._cloud.endpoints['queue']}/{account}", queue, None)


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
