"""Which versions there are: the usual server's, and while a canary is on those of its two servers."""

from __future__ import annotations

from tests.web_ui.conftest import Says
from webui.served import Roster
from webui.servers import Server
from webui.serving_api import Version

USUAL, STABLE, CANARY = Server("mnist-service", 9000), Server("mnist-stable", 9000), Server("mnist-canary", 9000)
TRACKS = (("stable", STABLE), ("canary", CANARY))


def roster(**has: tuple[Version, ...]) -> Roster:
    says = Says()
    says.has = {str(server): () for server in (USUAL, STABLE, CANARY)} | {
        str(globals()[name]): found for name, found in has.items()
    }
    return Roster(says, ("mnist", USUAL), TRACKS)


def test_without_a_canary_they_are_the_usual_servers_own() -> None:
    versions = roster(USUAL=(Version(7, "LOADING"), Version(5, "AVAILABLE"))).versions("mnist", USUAL)
    assert [(one.number, one.answers, one.role, one.server) for one in versions] == [
        (7, False, "", USUAL),
        (5, True, "", USUAL),
    ]


def test_with_a_canary_each_version_has_its_role_and_its_own_server() -> None:
    loaded = {number: (Version(number, "AVAILABLE"),) for number in (5, 7)}
    versions = roster(USUAL=loaded[5], STABLE=loaded[5], CANARY=loaded[7] + loaded[5]).versions("mnist", USUAL)
    assert [(one.number, one.role, one.server) for one in versions] == [(7, "canary", CANARY), (5, "stable", STABLE)]


def test_one_of_the_two_servers_alone_is_no_canary() -> None:
    versions = roster(USUAL=(Version(5, "AVAILABLE"),), STABLE=(Version(5, "AVAILABLE"),)).versions("mnist", USUAL)
    assert [(one.number, one.role) for one in versions] == [(5, "")]


def test_what_the_canarys_server_has_not_loaded_is_none_of_its() -> None:
    there = {"USUAL": (Version(5, "AVAILABLE"),), "STABLE": (Version(5, "AVAILABLE"),)}
    versions = roster(**there, CANARY=(Version(7, "LOADING"),)).versions("mnist", USUAL)
    assert [one.number for one in versions] == [5]


def test_another_model_and_another_server_have_nothing_to_do_with_the_canary() -> None:
    loaded = (Version(5, "AVAILABLE"),)
    there = roster(USUAL=loaded, STABLE=loaded, CANARY=loaded)
    assert {one.role for one in there.versions("other", USUAL)} == {""}
    assert {one.role for one in there.versions("mnist", STABLE)} == {""}


def test_a_server_is_asked_at_most_once_a_second() -> None:
    class Counts(Says):
        calls = 0

        def versions(self, server: Server, model: str) -> tuple[Version, ...]:
            self.calls += 1
            return ()

    says = Counts()
    there = Roster(says, ("mnist", USUAL), ())
    for _ in range(10):
        there.versions("mnist", USUAL)
    assert says.calls == 1
