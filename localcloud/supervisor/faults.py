"""The fault layer of a running local cloud: a schedule is put, asked about and taken away over the supervisor's API."""

import os
import signal

import msgspec
from aiohttp import web

from localcloud.emulators.cloud import LocalCloud
from localcloud.emulators.postgres import flexible as postgres
from localcloud.faults.fault import Schedule
from localcloud.faults.injector import FaultReport, Injector
from localcloud.supervisor.apps import Apps


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule with its seed."""

    schedule: Schedule
    seed: int = 0


class Faults:
    """At most one schedule at a time; none at the start."""

    def __init__(self, cloud: LocalCloud, apps: Apps) -> None:
        """Nothing is injected yet."""
        self._cloud, self._apps = cloud, apps
        self._now: Injector | None = None

    def routes(self) -> list[web.RouteDef]:
        """Where each call is found."""
        return [
            web.put("/faults", self._put),
            web.get("/faults", self._get),
            web.delete("/faults", self._delete),
            web.post("/release", self._release),
        ]

    async def _put(self, request: web.Request) -> web.Response:
        """In the place of whatever was there; counting begins anew."""
        try:
            turn = msgspec.json.decode(await request.read(), type=Turn)
        except msgspec.DecodeError as error:
            return web.json_response({"refused": f"schedule: {error}"}, status=409)
        known = self._cloud.door.services() | {postgres.SERVICE}
        unknown = sorted({fault.service for fault in turn.schedule.faults} - known)
        if unknown:
            message = f"schedule {turn.schedule.name}: service must be one of {', '.join(sorted(known))}, got {unknown}"
            return web.json_response({"refused": message}, status=409)
        if refusal := _refused_at_the_database(turn.schedule) or self._refused_kill(turn.schedule):
            return web.json_response({"refused": refusal}, status=409)
        self._end()
        self._now = self._cloud.door.fault = Injector(turn.schedule, turn.seed, self._kill)
        self._cloud.postgres.decide = self._now.decide
        return self._told()

    async def _get(self, _request: web.Request) -> web.Response:
        return self._told()

    async def _delete(self, _request: web.Request) -> web.Response:
        """All is well again; answers what happened until now."""
        answer = self._told()
        self._end()
        return answer

    async def _release(self, _request: web.Request) -> web.Response:
        """What time would do: every visibility timeout is over, messages that nobody settled come back."""
        return web.json_response(await self._cloud.release())

    def _refused_kill(self, schedule: Schedule) -> str:
        names = [status.name for status in self._apps.statuses()]
        for fault in schedule.faults:
            app = fault.process not in {"handlers", "supervisor"}
            if fault.kind == "kill" and app and not any(fault.process in name for name in names):
                known = ", ".join(names) or "none"
                return (
                    f"fault {fault.words()}: process must be handlers, supervisor or a part of an app's name "
                    f"({known}), got {fault.process!r}"
                )
        return ""

    def _end(self) -> None:
        if self._now is not None:
            self._now.close()
        self._now = self._cloud.door.fault = self._cloud.postgres.decide = None

    def _told(self) -> web.Response:
        report = self._now.report() if self._now else FaultReport()
        return web.Response(body=msgspec.json.encode(report), content_type="application/json")

    async def _kill(self, process: str) -> None:
        if process == "supervisor":
            os.kill(os.getpid(), signal.SIGKILL)
        await self._apps.kill("" if process == "handlers" else process)


def _refused_at_the_database(schedule: Schedule) -> str:
    """Its door sees connections and bytes, no requests: not every kind of fault has a meaning there."""
    for fault in schedule.faults:
        if fault.service == postgres.SERVICE and fault.kind not in postgres.FAULTS:
            known = ", ".join(sorted(postgres.FAULTS))
            return f"fault {fault.words()}: kind must be one of {known} for {postgres.SERVICE}, got {fault.kind}"
    return ""
