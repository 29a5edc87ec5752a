"""Transforms change properties and options, from the resource's own to the stack's; Pulumi's mocks ignore them."""

import pulumi
from pulumi import ResourceTransformArgs as Args
from pulumi import ResourceTransformResult as Result

from tests.unit.engine.world import Group, Thing, World, thing


def painted(color: str) -> pulumi.ResourceTransform:
    """Appends to the color of every thing."""

    def transform(args: Args) -> Result | None:
        if args.type_ != "test:index:Thing":
            return None
        return Result({**args.props, "color": f"{args.props.get('color') or ''}{color}"}, args.opts)

    return transform


def test_own_then_ancestors_then_stack(world: World) -> None:
    def program() -> None:
        pulumi.runtime.register_resource_transform(painted("4"))
        outer = Group("outer", pulumi.ResourceOptions(transforms=[painted("3")]))
        inner = Group("inner", pulumi.ResourceOptions(parent=outer, transforms=[painted("2")]))
        Thing("thing", pulumi.ResourceOptions(parent=inner, transforms=[painted("1")]), color="0")

    world.run(program)
    assert world.cloud.things["thing-0"]["color"] == "01234"


def test_options_too(world: World) -> None:
    def keep(args: Args) -> Result:
        more = pulumi.ResourceOptions(retain_on_delete=True, protect=False, ignore_changes=["color"])
        return Result(args.props, pulumi.ResourceOptions.merge(args.opts, more))

    def program(color: str) -> None:
        pulumi.runtime.register_resource_transform(keep)
        Thing("thing", color=color)

    world.run(lambda: program("red"))
    assert world.run(lambda: program("blue")).counts == {"same": 1}
    world.run(lambda: None)
    assert world.cloud.calls == []
    assert "thing-0" in world.cloud.things


def test_a_dependency_that_a_transform_adds_counts(world: World) -> None:
    world.cloud.refuses = {"broken"}

    def program() -> None:
        broken = Thing("broken")

        def after(args: Args) -> Result:
            return Result(
                args.props, pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(depends_on=broken))
            )

        Thing("thing", pulumi.ResourceOptions(transforms=[after]))

    world.run(program)
    assert world.cloud.calls == ["create broken"]


def test_a_failing_transform_is_a_message(world: World) -> None:
    def fails(_args: Args) -> Result | None:
        raise ValueError("no such color")

    result = world.run(thing("thing", pulumi.ResourceOptions(transforms=[fails])))
    assert any("no such color" in failure for failure in result.failures), result.failures
    assert world.cloud.things == {}
