"""Azure Storage accounts, containers and queues: names → Azurite slots."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp
import msgspec
import yarl

from localcloud.emulators.azurite import Azurite
from localcloud.emulators.bell import Bell
from localcloud.emulators.hidden import Hidden
from localcloud.emulators.private_files import write_private
from localcloud.emulators.queue_depth import QueueDepth

_VERSION: Final = "2021-12-02"


class Storage:
    """Declares accounts, containers and queues in Azurite. Everything is idempotent; data outlives the process.

    An account removed and declared again starts empty: its containers and queues went with it.
    """

    def __init__(self, file: Path, azurite: Azurite) -> None:
        self._file = file
        self._azurite = azurite
        self._slot_of: dict[str, str] = json.loads(file.read_bytes()) if file.exists() else {}
        self.arm_ids: dict[str, str] = {}
        self._queues: set[tuple[str, str]] = set()
        self._containers: set[tuple[str, str]] = set()
        self.unseen: Callable[[str, str], int] = lambda _account, _queue: 0
        """How many messages of a queue are counted by Azurite and will never be received (localcloud/deadletters)."""
        self.bell = Bell()
        """Rings when a message may be there to take."""
        self.hidden = Hidden()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Opens the connections to Azurite."""
        self._azurite.restarted = self._declare_again
        self._session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )

    async def stop(self) -> None:
        """Closes them."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The client session towards Azurite."""
        if self._session is None:
            raise RuntimeError("Storage: the local cloud must be started first; await LocalCloud.start().")
        return self._session

    @property
    def whole(self) -> bool:
        """Whether Azurite runs and knows what was declared: a caller must not be told that a container is not there."""
        return not self._azurite.problem

    async def put_account(self, arm_id: str, name: str) -> None:
        """Gives an account name a slot."""
        self.arm_ids[name] = arm_id
        if name in self._slot_of:
            return
        free = [slot for slot in self._azurite.slots if slot not in self._slot_of.values()]
        if not free:
            raise RuntimeError(
                f"storage account {name}: at most {len(self._azurite.slots)} accounts fit; remove one first."
            )
        self._slot_of[name] = free[0]
        self._save()

    async def put_container(self, arm_id: str, account: str, name: str) -> None:  # noqa: ARG002 -- scopes derive from the account
        """Creates a blob container."""
        await self._put_container(account, name)
        self._containers.add((account, name))

    async def put_queue(self, arm_id: str, account: str, name: str) -> None:  # noqa: ARG002
        """Creates a queue."""
        await self._put_queue(account, name)
        self._queues.add((account, name))

    async def remove_container(self, account: str, name: str) -> None:
        """Removes a container and its blobs."""
        self._containers.discard((account, name))
        if account in self._slot_of:
            await self._expect("DELETE", self._azurite.blob_url, account, name, "restype=container", {202, 404})

    async def remove_queue(self, account: str, name: str) -> None:
        """Removes a queue and its messages."""
        self._queues.discard((account, name))
        if account in self._slot_of:
            await self._expect("DELETE", self._azurite.queue_url, account, name, "", {204, 404})

    async def remove_account(self, name: str) -> None:
        """Removes an account with all it holds and frees its slot."""
        if name not in self._slot_of:
            return
        for queue in await self._list(self._azurite.queue_url, name, "Queue"):
            await self.remove_queue(name, queue)
        for container in await self._list(self._azurite.blob_url, name, "Container"):
            await self.remove_container(name, container)
        del self._slot_of[name]
        self.arm_ids.pop(name, None)
        self._save()

    async def depths(self) -> list[QueueDepth]:
        """How full each declared queue is.

        Azurite counts visible and invisible messages together; peeking (at most 32) tells the visible ones, so `active`
        is exact up to 32 and `in_flight` is the rest. `dead` is what lies in the queue's `-poison` companion, where
        the Functions host puts what failed five times.
        """
        depths = await asyncio.gather(*(self._depth(account, name) for account, name in sorted(self._queues)))
        totals = {depth.name: depth.active + depth.in_flight for depth in depths}
        return [msgspec.structs.replace(depth, dead=totals.get(f"{depth.name}-poison", 0)) for depth in depths]

    async def release(self) -> int:
        """Ends every visibility timeout now; answers how many messages are visible again."""
        back = 0
        for (account, queue, message), receipt in self.hidden.take():
            rest = f"/{queue}/messages/{message}"
            query = f"popreceipt={quote(receipt, safe='')}&visibilitytimeout=0"
            back += await self._status("PUT", self._azurite.queue_url, account, rest, query) == 204
            self.bell.ring(f"{account}/{queue}")
        return back

    async def blobs(self, account: str, container: str) -> int:
        """How many blobs a container has, counted up to 5,000 (one page)."""
        query = "restype=container&comp=list"
        _, body = await self._call("GET", self._azurite.blob_url, account, f"/{container}", query)
        return body.count(b"<Blob>")

    def target(self, base: str, account: str, rest: str, query: str) -> yarl.URL | None:
        """The address in Azurite of a raw path below an account; None for an unknown account."""
        slot = self._slot_of.get(account)
        if slot is None:
            return None
        both = "&".join(part for part in (query, self._azurite.sas(slot)) if part)
        return yarl.URL(f"{base}/{slot}{rest}?{both}", encoded=True)

    def base(self, kind: str) -> str:
        """Azurite's address for "blob" or "queue"."""
        return self._azurite.blob_url if kind == "blob" else self._azurite.queue_url

    async def _declare_again(self) -> None:
        """What an Azurite that was killed had not saved yet: the containers and queues, if not what lay in them."""
        for account, name in sorted(self._containers):
            await self._put_container(account, name)
        for account, name in sorted(self._queues):
            await self._put_queue(account, name)

    async def _put_container(self, account: str, name: str) -> None:
        await self._expect("PUT", self._azurite.blob_url, account, name, "restype=container", {201, 409})

    async def _put_queue(self, account: str, name: str) -> None:
        await self._expect("PUT", self._azurite.queue_url, account, name, "", {201, 204, 409})

    async def _depth(self, account: str, name: str) -> QueueDepth:
        headers, _ = await self._call("GET", self._azurite.queue_url, account, f"/{name}", "comp=metadata")
        total = int(headers.get("x-ms-approximate-messages-count", "0"))
        active = total
        if total:
            query = "peekonly=true&numofmessages=32"
            _, body = await self._call("GET", self._azurite.queue_url, account, f"/{name}/messages", query)
            seen = body.count(b"<QueueMessage>")
            active = seen if seen < 32 else total
            total = max(active, total - self.unseen(account, name))
        return QueueDepth(name=f"{account}/{name}", kind="storage", active=active, in_flight=total - active)

    async def _list(self, base: str, account: str, element: str) -> list[str]:
        _, body = await self._call("GET", base, account, "/", "comp=list")
        parts = body.decode().split(f"<{element}>")[1:]
        return [part.split("<Name>", 1)[1].split("</Name>", 1)[0] for part in parts]

    async def _expect(self, method: str, base: str, account: str, name: str, query: str, good: set[int]) -> None:
        url = self.target(base, account, f"/{quote(name)}", query)
        if url is None:
            raise LookupError(f"storage account {account}: must be declared before {name}.")
        async with self.session.request(method, url, headers={"x-ms-version": _VERSION}) as response:
            if response.status not in good:
                raise RuntimeError(f"Azurite: {method} {account}/{name} must succeed, got {response.status}: "
                                   f"{(await response.text())[:300]}")  # fmt: skip

    async def _call(self, method: str, base: str, account: str, rest: str, query: str) -> tuple[dict[str, str], bytes]:
        url = self.target(base, account, rest, query)
        if url is None:
            return {}, b""
        async with self.session.request(method, url, headers={"x-ms-version": _VERSION}) as response:
            return dict(response.headers), await response.read()

    async def _status(self, method: str, base: str, account: str, rest: str, query: str) -> int:
        url = self.target(base, account, rest, query)
        if url is None:
            return 404
        async with self.session.request(method, url, headers={"x-ms-version": _VERSION}) as response:
            return response.status

    def _save(self) -> None:
        write_private(self._file, json.dumps(self._slot_of, indent=1, sort_keys=True).encode())
