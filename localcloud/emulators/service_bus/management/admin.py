"""The HTTP administration API (Atom XML), as `ServiceBusAdministrationClient` speaks it: entities, rules, counts.

    GET/PUT/DELETE /{queue or topic}, /{topic}/subscriptions/{name}, /{topic}/subscriptions/{name}/rules/{name}
    GET /$Resources/queues|topics, /{topic}/subscriptions, /{topic}/subscriptions/{name}/rules   with $skip and $top
    GET /$namespaceinfo

A PUT with `If-Match` changes, without it makes. Authorization rules are accepted and passed over: keys are the
server's own. `/metrics` (without the `api-version` that clients send) is for Prometheus, where the owner wants it.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from aiohttp import web

from localcloud.emulators.service_bus.broker.model import BrokerError, Condition, Rule
from localcloud.emulators.service_bus.broker.namespace import DEFAULT_RULE
from localcloud.emulators.service_bus.broker.nodes import Node, Subscription
from localcloud.emulators.service_bus.broker.options import Options, QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management import atom, descriptions

Authorize = Callable[[str, str, str], None]
"""(value of the Authorization header, method, path) → nothing; raises what `refusals` names, to refuse."""

MAX_BODY: Final = 256 * 1024
MAX_PAGE: Final = 100
STATUS: Final = {
    Condition.NOT_FOUND: 404,
    Condition.ENTITY_EXISTS: 409,
    Condition.ARGUMENT: 400,
    Condition.ARGUMENT_RANGE: 400,
    Condition.NOT_ALLOWED: 400,
}


class Administration:
    """`authorize` is asked for every request; without it everybody may do everything."""

    def __init__(
        self,
        service: Service,
        authorize: Authorize | None = None,
        *,
        refusals: type[Exception] = PermissionError,
        metrics: Callable[[], str] | None = None,
    ) -> None:
        self._service = service
        self._authorize = authorize
        self._refusals = refusals
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> Callable[[], asyncio.BaseProtocol]:
        """Ready to answer; gives what answers one connection that somebody else accepted (AMQP has the same port)."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        if self._runner.server is None:
            raise RuntimeError("the administration's runner was set up without a server")
        return self._runner.server

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a port of its own, which is the answer (0 chose a free one)."""
        await self.start()
        runner = self._runner
        if runner is None:
            raise RuntimeError("the administration was closed while it started")
        site = web.TCPSite(runner, host, port, ssl_context=tls)
        await site.start()
        chosen: int = runner.addresses[0][1]
        return chosen

    async def close(self) -> None:
        """Stop serving: requests under way are answered, then the connections are dropped."""
        if self._runner is None or self._runner.server is None:
            return
        transports = [connection.transport for connection in self._runner.server.connections]
        await self._runner.cleanup()
        for transport in transports:
            if transport is not None:
                transport.abort()

    async def _answer(self, request: web.Request) -> web.Response:
        path = unquote(request.rel_url.raw_path).strip("/")
        if self._metrics is not None and (request.method, path) == ("GET", "metrics") and not request.query:
            return web.Response(text=self._metrics(), content_type="text/plain", charset="utf-8")
        try:
            if self._authorize is not None:
                shown = request.headers.getall("Authorization", [""])  # two of them: who knows which one counts
                self._authorize(shown[0] if len(shown) == 1 else "", request.method, path)
            status, element = await self._act(request, path)
        except self._refusals as error:
            return _refuse(401, str(error))
        except BrokerError as error:
            return _refuse(STATUS.get(error.condition, 400), error.text)
        except atom.XmlError as error:
            return _refuse(400, f"{path}: {error}.")
        failed = self._service.durable()
        if failed is not None:
            await failed
        if element is None:
            return web.Response(status=status)
        return _xml(status, element)

    async def _act(self, request: web.Request, path: str) -> tuple[int, ET.Element | None]:
        parts = path.split("/")
        lowered = [part.lower() for part in parts]
        url = f"{request.scheme}://{request.host}/{path}"
        if request.method == "GET" and lowered == ["$namespaceinfo"]:
            return 200, self._namespace(url)
        if request.method == "GET" and (listed := self._list(lowered, path)) is not None:
            return 200, self._page(request, url, *listed)
        if len(parts) >= 5 and lowered[-2] == "rules" and lowered[-4] == "subscriptions":
            return await self._rule(request, url, "/".join(parts[:-2]), parts[-1])
        if request.method == "GET":
            return 200, self._entry(self._service.namespace.node(path), request)
        if request.method == "DELETE":
            self._service.delete(path)
            return 200, None
        if request.method == "PUT":
            return await self._put(request, path)
        raise BrokerError(Condition.NOT_ALLOWED, f"{request.method} {path}: this API knows GET, PUT and DELETE.")

    # -- lists

    def _list(self, lowered: list[str], path: str) -> tuple[str, Sequence[Node | Rule]] | None:
        """What a path lists: its title and all of it."""
        if lowered[0] == "$resources" and len(lowered) == 2:
            kind = lowered[1].removesuffix("s")
            return lowered[1].capitalize(), [node for node in self._service.nodes() if node.kind == kind]
        namespace = self._service.namespace
        parent = path.rpartition("/")[0]
        if lowered[-1] == "subscriptions" and len(lowered) > 1:
            subscriptions = namespace.topic(parent).subscriptions
            return "Subscriptions", [subscriptions[name] for name in sorted(subscriptions)]
        if lowered[-1] == "rules" and len(lowered) > 3 and lowered[-3] == "subscriptions":
            return "Rules", namespace.subscription(parent).rules()
        return None

    def _page(self, request: web.Request, url: str, title: str, every: Sequence[Node | Rule]) -> ET.Element:
        skip = _number(request, "$skip", 0)
        top = min(_number(request, "$top", MAX_PAGE), MAX_PAGE)
        page = every[skip : skip + top]
        more = f"{url}?$skip={skip + top}&$top={top}" if top and skip + top < len(every) else None
        entries = [
            self._entry(each, request) if isinstance(each, Node) else _rule_entry(each, f"{url}/{each.name}")
            for each in page
        ]
        return atom.feed(title, url, more, self._service.clock(), entries)

    # -- entities

    def _entry(self, node: Node, request: web.Request) -> ET.Element:
        url = f"{request.scheme}://{request.host}/{node.path}"
        description = descriptions.of_node(node, request.host)
        return atom.entry(node.name, url, node.created, node.updated, description)

    async def _put(self, request: web.Request, path: str) -> tuple[int, ET.Element]:
        description = atom.parse(await request.read())
        kind = descriptions.KINDS.get(atom.local(description))
        topic, separator, name = _split(path)
        if kind is None or (kind is SubscriptionOptions) != bool(separator):
            raise atom.XmlError(f"the description does not fit the path, got {atom.local(description)}")
        options = descriptions.options_of(description, kind)
        self._admit_targets(request, options)
        if "If-Match" in request.headers:
            return 200, self._entry(self._service.update(path, options), request)
        if isinstance(options, QueueOptions):
            made = self._service.create_queue(path, options)
        elif isinstance(options, TopicOptions):
            made = self._service.create_topic(path, options)
        else:
            first = description.find(f"{{{atom.SB}}}DefaultRuleDescription")
            rule = DEFAULT_RULE if first is None else self._first_rule(first)
            made = self._service.create_subscription(topic, name, options, (rule,))
        return 201, self._entry(made, request)

    def _admit_targets(self, request: web.Request, options: Options) -> None:
        """Documented: who chains two entities has Manage on both ("Chaining Service Bus entities with
        autoforwarding"); the token for the other one comes in a header of its own.
        """
        if self._authorize is None or isinstance(options, TopicOptions):
            return
        for header, target in (
            ("ServiceBusSupplementaryAuthorization", options.forward_to),
            ("ServiceBusDlqSupplementaryAuthorization", options.forward_dead_letters_to),
        ):
            if target is not None:
                shown = request.headers.getall(header, [""])
                self._authorize(shown[0] if len(shown) == 1 else "", "PUT", target)

    def _first_rule(self, description: ET.Element) -> Rule:
        name = description.findtext(f"{{{atom.SB}}}Name") or DEFAULT_RULE.name
        return descriptions.rule_of(description, name, self._service.clock())

    # -- rules

    async def _rule(self, request: web.Request, url: str, path: str, name: str) -> tuple[int, ET.Element | None]:
        subscription: Subscription = self._service.namespace.subscription(path)
        if request.method == "PUT":
            rule = descriptions.rule_of(atom.parse(await request.read()), name, self._service.clock())
            if "If-Match" in request.headers:
                return 200, _rule_entry(self._service.replace_rule(path, rule), url)
            self._service.add_rule(path, rule)
            return 201, _rule_entry(rule, url)
        if request.method == "DELETE":
            self._service.remove_rule(path, name)
            return 200, None
        found = subscription.compiled.get(name.casefold())
        if found is None:
            raise BrokerError(Condition.NOT_FOUND, f"{subscription.path}: there is no rule {name!r}.")
        return 200, _rule_entry(found.rule, url)

    def _namespace(self, url: str) -> ET.Element:
        made = atom.description("NamespaceInfo")
        now = self._service.clock()
        for name, text in (
            ("CreatedTime", atom.moment(now)),
            ("MessagingSKU", "Standard"),
            ("ModifiedTime", atom.moment(now)),
            ("Name", "localhost"),
            ("NamespaceType", "Messaging"),
        ):
            atom.child(made, name, text)
        return atom.entry("localhost", url, now, now, made)


def _split(path: str) -> tuple[str, str, str]:
    """A subscription's topic and name; no separator: the path of a queue or topic."""
    place = path.lower().rfind("/subscriptions/")
    return (path, "", "") if place < 0 else (path[:place], "/", path[place + len("/subscriptions/") :])


def _rule_entry(rule: Rule, url: str) -> ET.Element:
    return atom.entry(rule.name, url, rule.created, rule.created, descriptions.of_rule(rule))


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdigit():
        raise atom.XmlError(f"{name} must be a whole number, got {text!r}")
    return int(text)


def _xml(status: int, element: ET.Element) -> web.Response:
    headers = {"Content-Type": "application/atom+xml; type=entry; charset=utf-8"}
    return web.Response(status=status, body=atom.write(element), headers=headers)


def _refuse(status: int, detail: str) -> web.Response:
    headers = {"Content-Type": "application/xml; charset=utf-8"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=status, body=atom.write(atom.error(status, detail)), headers=headers)
