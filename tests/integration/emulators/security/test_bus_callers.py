"""Service Bus: every kind of caller × verb × whatever can be asked, over AMQP and over HTTPS."""

import pytest

from components.roles import ROLES, Verb
from localcloud.emulators.bus_gate import AUDIENCE
from tests.integration.emulators.local import Local
from tests.integration.emulators.security.azure import NOT_HTTP
from tests.integration.emulators.security.bus import (
    GRANTED_ON,
    HTTPS,
    KINDS,
    QUEUE,
    REQUESTS,
    UNAUTHORIZED,
    Place,
)
from tests.integration.emulators.security.tokens import UNKNOWN, Forge
from tests.integration.emulators.security.wire import Answer, Wire

VERBS = [(verb, kind) for verb, kinds in GRANTED_ON.items() for kind in kinds]


@pytest.fixture(scope="module")
def place(local: Local) -> Place:
    return Place(local)


def token_of(place: Place, principal: str) -> str:
    return place.local.do(lambda: place.local.cloud.identity.token(principal, AUDIENCE))


def https(place: Place, wire: Wire, method: str, path: str, *shown: str) -> Answer:
    headers = [("Authorization", one) for one in shown]
    if method == "PUT" and "/" not in path and path != "made-by-nobody":
        headers.append(("If-Match", "*"))
    return wire.send(place.base, method, f"/{path}?api-version=2021-05", headers, QUEUE if method == "PUT" else None)


def check_refused(answer: Answer) -> None:
    """Both without a token and without a role, as the service does it."""
    assert answer.status == 401, answer
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.xml.findtext("Code") == "401"


def test_no_verb_is_forgotten() -> None:
    assert set(GRANTED_ON) == set(NOT_HTTP) == {verb for verb in ROLES if verb.startswith("bus.")}


def test_nobody_unknown_comes_in(place: Place, wire: Wire) -> None:
    """The principal holds every right, so it is the token alone that is refused: by $cbs, and by HTTPS."""
    identity, names = place.local.cloud.identity, place.fresh()
    place.local.assign(identity.deployer.principal_id, ROLES["bus.manage"].id, place.scope)
    forge = place.local.do(lambda: Forge(identity, "deployer", AUDIENCE))
    for kind, make in UNKNOWN.items():
        token = make(forge)
        with place.connect() as raw:
            assert raw.show(token, names["q"]) == 401, kind
            assert raw.link(names["q"], sends=True) == UNAUTHORIZED, kind
        check_refused(https(place, wire, "GET", names["q"], f"Bearer {token}"))
    for shown in (
        [],
        [""],
        ["Basic dXNlcjpwdw=="],
        [f"SharedAccessSignature {forge.good}"],
        [f"Bearer {forge.good}"] * 2,
    ):
        check_refused(https(place, wire, "GET", names["q"], *shown))
    with place.connect() as raw:  # who shows nothing at all
        assert raw.link(names["q"], sends=False) == UNAUTHORIZED
        assert set(raw.ask(names["q"], list(REQUESTS)).values()) == {401}
    with place.connect() as raw:  # the control: the same with the good token
        assert raw.show(forge.good, names["q"]) == 202
        assert raw.link(names["q"], sends=True) == ""
    assert https(place, wire, "GET", names["q"], f"Bearer {forge.good}").status == 200


@pytest.mark.parametrize("gone", [False, True])
def test_a_known_stranger_is_refused_everything(place: Place, wire: Wire, gone: bool) -> None:
    """An identity of the tenant without any role, and one that does not exist any more."""
    stranger = place.local.identity("stranger")
    token = token_of(place, stranger)
    if gone:
        place.local.do(lambda: place.local.cloud.identity.remove(stranger))
    names = place.fresh()
    for kind, bus in KINDS.items():
        entity = bus.entity.format(**names)
        with place.connect() as raw:
            assert raw.show(token, entity) == 202
            for address, sends, _ in bus.links:
                assert raw.link(address.format(**names), sends=sends) == UNAUTHORIZED
            assert set(raw.ask(entity, list(REQUESTS)).values()) == {401}, kind
    for _, method, path, _ in (one for several in HTTPS.values() for one in several):
        check_refused(https(place, wire, method, path.format(**names), f"Bearer {token}"))


@pytest.mark.parametrize(("verb", "kind"), VERBS)
def test_a_verb_opens_what_it_says_and_nothing_else(place: Place, verb: Verb, kind: str) -> None:
    """Over AMQP, on its own scope; on the same thing next door nothing."""
    here, next_door, bus = place.fresh(), place.fresh(), KINDS[kind]
    worker = place.local.identity(f"worker-{verb}")
    scope = "" if ROLES[verb].scope == "namespace" else bus.scope.format(**here)
    place.local.assign(worker, ROLES[verb].id, place.scope + scope)
    token = token_of(place, worker)
    for names, ours in ((here, True), (next_door, verb == "bus.count")):
        entity = bus.entity.format(**names)
        with place.connect() as raw:
            assert raw.show(token, entity) == 202
            for address, sends, who in bus.links:
                wanted = "" if ours and verb in who else UNAUTHORIZED
                assert raw.link(address.format(**names), sends=sends) == wanted, address
            for operation, status in raw.ask(entity, list(REQUESTS)).items():
                assert (status != 401) == (ours and verb in REQUESTS[operation]), operation


@pytest.mark.parametrize(("verb", "kind"), [*VERBS, *((verb, "namespace") for verb in GRANTED_ON)])
def test_a_verb_opens_what_it_says_over_https(place: Place, wire: Wire, verb: Verb, kind: str) -> None:
    here, next_door = place.fresh(), place.fresh()
    worker = place.local.identity(f"worker-{verb}")
    whole = ROLES[verb].scope == "namespace"
    scope = "" if whole else KINDS["queue" if kind == "namespace" else kind].scope.format(**here)
    place.local.assign(worker, ROLES[verb].id, place.scope + scope)
    shown = f"Bearer {token_of(place, worker)}"
    for operation, method, path, who in HTTPS[kind]:
        if kind != "namespace" and not whole:
            check_refused(https(place, wire, method, path.format(**next_door), shown))
        answer = https(place, wire, method, path.format(**here), shown)
        if verb in who:
            assert answer.status not in {401, 403}, (operation, answer)
        else:
            check_refused(answer)


def test_a_role_on_a_topic_is_good_for_its_subscriptions_and_one_on_a_subscription_not_for_its_topic(
    place: Place,
) -> None:
    names = place.fresh()
    above, below = place.local.identity("above"), place.local.identity("below")
    place.local.assign(above, ROLES["bus.receive"].id, f"{place.scope}/topics/{names['t']}")
    place.local.assign(below, ROLES["bus.send"].id, f"{place.scope}/topics/{names['t']}/subscriptions/s")
    for who, sends, wanted in ((above, False, ""), (above, True, UNAUTHORIZED), (below, True, UNAUTHORIZED)):
        address = names["t"] if sends else f"{names['t']}/Subscriptions/s"
        with place.connect() as raw:
            assert raw.show(token_of(place, who), names["t"]) == 202
            assert raw.link(address, sends=sends) == wanted


@pytest.mark.parametrize("verb", ["queue.receive", "blob.own", "secret.read"])
def test_a_role_of_another_service_opens_nothing_however_high_it_is_granted(place: Place, verb: Verb) -> None:
    names, worker = place.fresh(), place.local.identity("wide")
    place.local.assign(worker, ROLES[verb].id, place.scope.partition("/providers/")[0])
    with place.connect() as raw:
        assert raw.show(token_of(place, worker), names["q"]) == 202
        assert raw.link(names["q"], sends=True) == UNAUTHORIZED
        assert raw.link(names["q"], sends=False) == UNAUTHORIZED


def test_a_taken_role_refuses_the_next_link(place: Place) -> None:
    names, worker = place.fresh(), place.local.identity("was")
    access, scope = place.local.cloud.access, f"{place.scope}/queues/{names['q']}"
    place.local.do(lambda: access.assign("was-1", worker, ROLES["bus.send"].id, scope))
    with place.connect() as raw:
        assert raw.show(token_of(place, worker), names["q"]) == 202
        assert raw.link(names["q"], sends=True) == ""
        place.local.do(lambda: access.remove("was-1"))
        assert raw.link(names["q"], sends=True) == UNAUTHORIZED
