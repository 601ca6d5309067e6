"""Walks over resources as values: what is made, mended, refused and undone, in which order, and past which errors."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import resources
from pipeline.commands import Call, Command, Note, Step, Together, Unchanged
from pipeline.config import load
from pipeline.errors import PipelineError, RunFailed
from pipeline.resources import Resource
from pipeline.tools import labels

SETTINGS = load("staging").settings
OURS = labels(SETTINGS)
THEIRS = {**OURS, "environment": "production"}


def ask(name: str) -> Command:
    return Command(("ask", name), f"look for {name}", kind="ask")


def make(name: str) -> Command:
    return Command(("make", name), f"make {name}")


def undo(name: str) -> Command:
    return Command(("undo", name), f"undo {name}")


def thing(name: str, **how: Any) -> Resource:
    """A thing whose labels are what was found."""
    how = {"labels": lambda found: found["labels"], **how}
    return Resource(f"the {name}", ask(name), (make(name),), (undo(name),), **how)


@dataclass
class World:
    """Answers steps: what is there, by name, and which step fails."""

    there: dict[str, Any] = field(default_factory=dict)
    failing: set[tuple[str, ...]] = field(default_factory=set)
    seen: list[Step] = field(default_factory=list)

    def reply(self, step: Step) -> Any:
        self.seen.append(step)
        if isinstance(step, Together):
            return [self.reply(one) for one in step.asks]
        if isinstance(step, Command):
            if step.argv in self.failing:
                raise RunFailed(f"{step.doing}: the network is down")
            return self.there.get(step.argv[1]) if step.argv[0] == "ask" else ""
        return None

    def walk(self, steps: Generator[Step, Any, Any]) -> Any:
        """Perform the steps, and return what they return."""
        send: Any = steps.send
        value: Any = None
        while True:
            try:
                step = send(value)
            except StopIteration as end:
                return end.value
            try:
                send, value = steps.send, self.reply(step)
            except PipelineError as error:
                send, value = steps.throw, error

    @property
    def changed(self) -> list[str]:
        """The changes that were made, as `make a`."""
        return [
            " ".join(step.argv)
            for step in self.seen if isinstance(step, Command) and step.kind == "change"
        ]  # fmt: skip

    def said(self, kind: type[Note] | type[Unchanged]) -> list[str]:
        return [str(step) for step in self.seen if isinstance(step, kind)]


def up(world: World, *things: Resource) -> World:
    world.walk(resources.up(SETTINGS, *things))
    return world


def down(world: World, *things: Resource) -> list[str]:
    return list(world.walk(resources.down(SETTINGS, *things)))


def test_what_is_not_there_is_made_in_the_order_given() -> None:
    for order in permutations("abc"):
        assert up(World(), *map(thing, order)).changed == [f"make {name}" for name in order]


def test_what_is_there_and_ours_is_not_made_again() -> None:
    world = up(World({"a": {"labels": OURS}}), thing("a"))
    assert (world.changed, world.said(Unchanged)) == ([], ["unchanged: the a is there"])


def test_what_differs_is_mended_not_made() -> None:
    mended = thing("a", mend=lambda found: (Command(("mend", found["size"]), "mend a"),))
    assert up(World({"a": {"labels": OURS, "size": "3"}}), mended).changed == ["mend 3"]


def test_all_is_looked_for_before_anything_is_made() -> None:
    world = up(World(), thing("a"), thing("b"))
    kinds = [step.argv[0] for step in world.seen if isinstance(step, Command)]
    assert kinds == ["ask", "ask", "make", "make"]


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        ({"labels": None}, "somebody else: it does not bear this pipeline's labels"),
        ({"labels": {}}, "somebody else: it does not bear this pipeline's labels"),
        ({"labels": {**OURS, "managed-by": "terraform"}}, "somebody else: it does not bear this pipeline's labels"),
        ({"labels": THEIRS}, f"environment production ({SETTINGS.name})"),
        ({"labels": {**OURS, "part-of": "mnist-2"}}, "environment staging (mnist-2)"),
        ({"labels": {"managed-by": OURS["managed-by"]}}, "environment None (None)"),
    ],
)
def test_what_bears_not_all_our_labels_is_somebody_elses(found: dict[str, Any], whose: str) -> None:
    assert resources.owner(SETTINGS, thing("a"), found) == whose


def test_more_labels_than_ours_do_no_harm() -> None:
    assert resources.owner(SETTINGS, thing("a"), {"labels": {**OURS, "team": "digits"}}) == ""


def test_what_can_bear_no_labels_goes_with_what_bears_it() -> None:
    assert resources.owner(SETTINGS, thing("a", labels=None), {"name": "a"}) == ""


def test_nothing_at_all_is_made_where_one_thing_is_somebody_elses() -> None:
    world = World({"b": {"labels": THEIRS}})
    with pytest.raises(PipelineError, match=r"the b belongs to environment production .*: choose another name"):
        up(world, thing("a"), thing("b"))
    assert world.changed == []


def test_a_failure_while_making_stops_what_depends_on_it() -> None:
    world = World(failing={("make", "b")})
    with pytest.raises(RunFailed, match="make b: the network is down"):
        up(world, thing("a"), thing("b"), thing("c"))
    assert world.changed == ["make a", "make b"]


def test_what_is_there_and_ours_is_undone_in_the_order_given() -> None:
    for order in permutations("abc"):
        world = World({name: {"labels": OURS} for name in order})
        assert down(world, *map(thing, order)) == []
        assert world.changed == [f"undo {name}" for name in order]


def test_what_is_not_there_is_not_undone() -> None:
    world = World()
    assert down(world, thing("a")) == []
    assert world.changed == []


def test_what_is_somebody_elses_is_left_alone_and_said_so() -> None:
    world = World({"a": {"labels": THEIRS}, "b": {"labels": OURS}})
    assert down(world, thing("a"), thing("b")) == []
    assert world.changed == ["undo b"]
    assert world.said(Note) == [f"the a is left alone: it belongs to environment production ({SETTINGS.name})"]


def test_a_failed_undo_does_not_stop_the_rest_and_is_listed() -> None:
    world = World({name: {"labels": OURS} for name in "abc"}, failing={("undo", "b")})
    assert down(world, *map(thing, "abc")) == ["the b: undo b: the network is down"]
    assert world.changed == ["undo a", "undo b", "undo c"]


def test_a_failed_look_is_one_failure_not_all() -> None:
    world = World({name: {"labels": OURS} for name in "abc"}, failing={("ask", "b")})
    assert down(world, *map(thing, "abc")) == ["the b: look for b: the network is down"]
    assert world.changed == ["undo a", "undo c"]


def test_a_walk_over_calls_makes_them_too() -> None:
    call = Call("make a in Python", lambda show: None)
    world = up(World(), Resource("the a", ask("a"), (call,)))
    assert call in world.seen


STATES = st.sampled_from(["gone", "ours", "theirs"])


@given(st.lists(st.tuples(STATES, st.booleans(), st.booleans()), max_size=7))
def test_down_undoes_exactly_what_is_ours_whatever_fails(states: list[tuple[str, bool, bool]]) -> None:
    world, things, wanted, failed = World(), list[Resource](), list[str](), set[str]()
    for number, (state, look_fails, undo_fails) in enumerate(states):
        name = str(number)
        things.append(thing(name))
        if state != "gone":
            world.there[name] = {"labels": OURS if state == "ours" else THEIRS}
        if look_fails:
            world.failing.add(("ask", name))
            failed.add(name)
        elif state == "ours":
            wanted.append(f"undo {name}")
            if undo_fails:
                world.failing.add(("undo", name))
                failed.add(name)
    failures = down(world, *things)
    assert world.changed == wanted
    assert {one.split(":")[0].removeprefix("the ") for one in failures} == failed
