"""docs/benchmarks.md: its tables are those that the command writes, and they bear out what is said about them."""

from __future__ import annotations

import re

import pytest

from pipeline.bench import figures, page, servers, table, verdicts
from pipeline.bench.contestants import PEERS

PAGE = page.PAGE.read_text()
NAMES = ("train", "train --scaling")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_form_that_the_command_writes_and_ratios_that_follow_from_its_figures(name: str) -> None:
    written = page.block(PAGE, name)
    rows = table.parsed(written)
    assert table.markdown(table.cells(rows)) in written
    assert all(float(one.cpu_s) > 0 and float(one.wall_s) > 0 for one in rows)


@pytest.mark.parametrize("name", [*NAMES, "serve"])
def test_a_table_says_when_and_on_what_it_was_measured(name: str) -> None:
    written = page.block(PAGE, name)
    assert re.search(r"Measured on 20\d\d-\d\d-\d\d, rounds: \d+\. Machine: .+, \d+ cores, \d+ GB, ", written)
    assert re.search(r"other programs had up to \d+% of the processors", written)
    assert re.search(r"Versions: .*tensorflow \d", written)


def lowest(one: table.Row) -> float:
    return float(re.split("[–% ]", one.accuracy)[0])


def test_every_peer_has_its_row() -> None:
    rows = [one.recipe for one in table.parsed(page.block(PAGE, "train"))]
    assert rows[1:-1] == [one.name for one in PEERS]


def test_ours_reaches_99_percent_every_time_in_a_fifth_of_what_any_peer_takes_to_get_there_or_to_its_cap() -> None:
    ours, *others = table.parsed(page.block(PAGE, "train"))
    assert lowest(ours) >= 99.0
    aiming = {one.name for one in PEERS if one.target < 1}
    compared = [one for one in others if one.recipe in aiming]
    assert len(compared) == 3
    for one in compared:
        assert min(float(times) for times in table.ratios(one, ours)) >= 5, one.recipe


def test_the_servers_table_has_the_form_that_the_command_writes_and_verdicts_that_follow_from_its_figures() -> None:
    written = page.block(PAGE, "serve")
    rows = figures.parsed(written)
    assert table.markdown(figures.cells(rows), words=2) in written
    assert table.markdown([verdicts.HEAD, *verdicts.verdicts(rows)]) in written
    assert all(float(cell) > 0 for one in rows if one.runs != "0" for cell in list(vars(one).values())[2:])


def test_the_echo_ours_and_every_peer_have_their_row_among_the_servers() -> None:
    named = [one.server.partition(",")[0] for one in figures.parsed(page.block(PAGE, "serve"))]
    assert named[:2] == [servers.ECHO, servers.OURS]
    assert named[-len(servers.PEERS) :] == [one.name for one in servers.PEERS]
