"""What the embedded engine does with registrations. Write one here when an engine's decision is what counts."""

from collections.abc import Callable

import pulumi
import pytest

from localcloud.engine.embedded import ProgramError
from localcloud.engine.state import StackBusyError, State
from localcloud.engine.values import UNKNOWN
from tests.integration.engine.wallclock import Mark
from tests.unit.engine.world import Group, Thing, World, thing


def test_outputs_feed_inputs_and_a_second_run_changes_nothing(world: World) -> None:
    def program() -> None:
        first = Thing("first", color="red")
        Thing("second", label=first.shout.apply(lambda text: f"heard {text}"))
        pulumi.export("heard", first.shout)

    result = world.run(program)
    assert world.cloud.things["second-0"]["label"] == "heard first!"
    assert result.outputs == {"heard": "first!"}
    assert result.counts == {"create": 2}
    again = world.run(program)
    assert again.counts == {"same": 2}
    assert world.cloud.calls == []


def test_a_preview_makes_nothing_and_shows_what_is_unknown(world: World) -> None:
    def program() -> None:
        first = Thing("first", color="red")
        Thing("second", label=first.shout, color=first.color)

    result = world.run(program, preview=True)
    assert world.cloud.calls == []
    second = next(record for record in result.records if record.name == "second")
    assert second.inputs["label"] == UNKNOWN
    assert second.inputs["color"] == "red", "what the inputs tell is known"


def test_what_is_no_longer_declared_goes_last_made_first(world: World) -> None:
    def program() -> None:
        first = Thing("first")
        second = Thing("second", label=first.shout)
        Thing("third", label=second.shout)

    world.run(program)
    world.run(lambda: None)
    assert world.cloud.calls == ["delete third-0", "delete second-0", "delete first-0"]


def test_a_failure_skips_what_needs_it_and_removes_nothing(world: World) -> None:
    world.run(thing("old"))
    world.cloud.refuses = {"broken"}

    def program() -> None:
        broken = Thing("broken")
        Thing("needs", label=broken.shout)
        Thing("ordered", opts=pulumi.ResourceOptions(depends_on=[broken]))
        Thing("other")

    result = world.run(program)
    assert sorted(world.cloud.calls) == ["create broken", "create other"]
    assert any("the cloud says no" in failure for failure in result.failures)
    assert "old-0" in world.cloud.things
    world.cloud.refuses = set()
    assert world.run(program).failures == []
    assert "old-0" not in world.cloud.things


def test_a_refused_check_names_the_property(world: World) -> None:
    result = world.run(thing("mud", color="brown"))
    assert result.failures == ["test:index:Thing mud: color: must not be brown"]


def test_the_same_name_twice_is_refused(world: World) -> None:
    def program() -> None:
        Thing("twin")
        Thing("twin")

    assert any("declared twice" in failure for failure in world.run(program).failures)


def test_a_change_in_place_and_a_replacement(world: World) -> None:
    world.run(thing("thing", color="red", size=1))
    assert world.run(thing("thing", color="blue", size=1)).counts == {"update": 1}
    assert world.cloud.calls == ["update thing-1"]
    assert world.run(thing("thing", color="blue", size=2)).counts == {"replace": 1}
    assert world.cloud.calls == ["delete thing-1", "create thing"]
    world.cloud.delete_first = False
    world.run(thing("thing", color="blue", size=3))
    assert world.cloud.calls == ["create thing", "delete thing-2"]


def test_replace_on_changes_and_ignore_changes(world: World) -> None:
    world.run(thing("thing", color="red", tags={"a": "1", "b": "1"}))
    ignoring = pulumi.ResourceOptions(ignore_changes=["color", "tags.a"])
    assert world.run(thing("thing", ignoring, color="blue", tags={"a": "2", "b": "1"})).counts == {"same": 1}
    replacing = pulumi.ResourceOptions(replace_on_changes=["tags"])
    world.run(thing("thing", replacing, color="red", tags={"a": "1", "b": "2"}))
    assert world.cloud.calls == ["delete thing-0", "create thing"]


def test_protected_things_are_neither_deleted_nor_replaced(world: World) -> None:
    protected = pulumi.ResourceOptions(protect=True)
    world.run(thing("safe", protected, size=1))
    assert any("is protected" in failure for failure in world.run(thing("safe", protected, size=2)).failures)
    assert any("is protected" in failure for failure in world.run(lambda: None).failures)
    assert "safe-1" in world.cloud.things
    world.run(thing("safe", size=1))
    assert world.run(lambda: None).failures == []
    assert world.cloud.things == {}


def test_retained_things_stay_in_the_cloud(world: World) -> None:
    world.run(thing("kept", pulumi.ResourceOptions(retain_on_delete=True)))
    world.run(lambda: None)
    assert world.cloud.calls == []
    assert "kept-0" in world.cloud.things


def test_what_somebody_deleted_is_made_again(world: World) -> None:
    world.run(thing("thing"))
    world.cloud.things.clear()
    assert world.run(thing("thing")).counts == {"create": 1}


def test_parents_are_in_the_urn_and_aliases_of_nothing(world: World) -> None:
    def program() -> None:
        group = Group("outer")
        Thing("inner", pulumi.ResourceOptions(parent=group))

    urns = [record.urn for record in world.run(program).records]
    assert "urn:pulumi:unit::tests::test:index:Group$test:index:Thing::inner" in urns


def test_a_program_that_raises_removes_nothing(world: World) -> None:
    world.run(thing("thing"))

    def program() -> None:
        raise pulumi.RunError("millrace:x must be set")

    with pytest.raises(ProgramError, match="millrace:x must be set"):
        world.run(program)
    assert "thing-0" in world.cloud.things


def test_one_run_at_a_time(world: World) -> None:
    state = State(world.folder / "engine.sqlite")
    with state.only_writer(), pytest.raises(StackBusyError, match="another run"):
        world.run(lambda: None)
    state.close()


def test_a_run_that_died_half_way_is_taken_up(world: World) -> None:
    def killed() -> None:
        Thing("first").shout.apply(lambda _text: (_ for _ in ()).throw(KeyboardInterrupt))

    def whole() -> None:
        first = Thing("first")
        Thing("second", label=first.shout)

    with pytest.raises((KeyboardInterrupt, ProgramError)):
        world.run(killed)
    assert world.cloud.calls == ["create first"]
    assert world.run(whole).counts == {"same": 1, "create": 1}
    assert world.cloud.calls == ["create second"]


def test_functions_are_asked_of_the_provider(world: World) -> None:
    def program() -> None:
        answer = pulumi.runtime.invoke("test:index:ask", {"question": "why"}).value
        pulumi.export("answer", answer["answer"])

    assert world.run(program).outputs == {"answer": "test:index:ask why"}


def test_reading_what_is_not_there_fails_the_run(world: World) -> None:
    world.run(thing("thing"))
    with pytest.raises(ProgramError, match="does not exist"):
        world.run(thing("there", pulumi.ResourceOptions(id="nope")))
    assert "thing-0" in world.cloud.things


def test_dynamic_resources_run_here_and_again_when_what_they_need_is_made_anew(world: World) -> None:
    def program(text: str) -> None:
        site = Thing("site")
        pulumi.export("mark", Mark("mark", text, pulumi.ResourceOptions(depends_on=[site])).text)

    assert world.run(lambda: program("one")).outputs == {"mark": "ONE"}
    assert world.run(lambda: program("one")).counts == {"same": 2}
    assert world.run(lambda: program("two")).counts == {"same": 1, "update": 1}
    world.cloud.things.clear()
    again = world.run(lambda: program("two"))
    assert again.counts == {"create": 1, "update": 1}
    assert again.outputs == {"mark": "TWO"}


def test_a_renamed_component_keeps_what_it_holds(world: World) -> None:
    class Box(pulumi.ComponentResource):
        def __init__(self, name: str, *before: str) -> None:
            aliases = [pulumi.Alias(name=one) for one in before]
            super().__init__("test:index:Box", name, None, pulumi.ResourceOptions(aliases=aliases))
            Thing("held", opts=pulumi.ResourceOptions(parent=self))

    def box(name: str, *before: str) -> Callable[[], None]:
        def program() -> None:
            Box(name, *before)

        return program

    world.run(box("old"))
    assert world.run(box("new", "old")).counts == {"same": 1}
    assert world.cloud.calls == []
    assert world.run(box("new", "old")).counts == {"same": 1}
    assert world.run(box("new")).counts == {"same": 1}, "the record has moved for good"


def test_a_moved_resource_keeps_its_record(world: World) -> None:
    world.run(thing("one"))
    world.cloud.calls.clear()

    def moved() -> None:
        alias = pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)
        Thing("one", opts=pulumi.ResourceOptions(parent=Group("group"), aliases=[alias]))

    assert world.run(moved).counts == {"same": 1}
    assert world.cloud.calls == []


def test_another_name_for_the_same_thing_deletes_nothing(world: World) -> None:
    world.run(thing("one"))

    def moved() -> None:
        Thing("one", opts=pulumi.ResourceOptions(parent=Group("group")))

    world.run(moved)
    assert "delete one-0" not in world.cloud.calls
    assert "one-0" in world.cloud.things
