"""What is remembered of the versions' files: found things for good, absent ones for a moment."""

from __future__ import annotations

import time

from webui.memory import Memory


class Source:
    """Gives what it has, and counts how often it is asked."""

    def __init__(self, value: str | None) -> None:
        self.value, self.asked = value, 0

    def __call__(self) -> str | None:
        self.asked += 1
        return self.value


def test_what_was_found_is_not_read_again() -> None:
    memory, source = Memory[str](most=2, rest_s=0.0), Source("card")
    assert [memory.get("9", source) for _ in range(3)] == ["card"] * 3
    assert source.asked == 1


def test_what_was_absent_is_read_again_only_after_a_while() -> None:
    memory, source = Memory[str](most=2, rest_s=0.1), Source(None)
    assert [memory.get("9", source) for _ in range(3)] == [None] * 3
    source.value = "card"
    time.sleep(0.12)
    assert (memory.get("9", source), source.asked) == ("card", 2)


def test_what_may_change_is_read_again_after_a_while() -> None:
    memory, source = Memory[str](most=2, rest_s=9, keep_s=0.1), Source("old")
    memory.get("9", source)
    source.value = "new"
    assert memory.get("9", source) == "old"
    time.sleep(0.12)
    assert memory.get("9", source) == "new"


def test_only_so_many_things_are_kept() -> None:
    memory, source = Memory[str](most=3, rest_s=9), Source("card")
    for key in ("1", "2", "3", "1", "2", "3"):
        memory.get(key, source)
    assert source.asked == 3
    memory.get("4", source)  # makes room by forgetting
    memory.get("1", source)
    assert source.asked == 5
