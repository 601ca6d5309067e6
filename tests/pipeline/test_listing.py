"""`invoke config` lists value, type and origin of every setting, and shows where two environments differ."""

from __future__ import annotations

import re

import pytest
from invoke.config import Config
from invoke.context import Context

from pipeline import config, listing, program
from pipeline.errors import PipelineError


def context(environment: str = "local", *changes: str) -> Context:
    return Context(Config({program.CHOSEN: {"environment": environment, "set": list(changes)}}))


def rows(lines: list[str]) -> dict[str, list[str]]:
    """Columns stand two spaces apart; no cell holds two spaces."""
    table = [re.split(r" {2,}", line) for line in lines]
    return {cells[0]: cells[1:] for cells in table}


def test_every_setting_is_listed_with_value_type_and_origin() -> None:
    lines = listing.lines(context("local", "training.steps=7"))
    assert lines[0] == "environment local"
    listed = rows(lines[1:])
    assert listed["setting"] == ["value", "type", "from"]
    assert set(listed) == {"setting", *config.KNOWN}
    assert listed["training.steps"] == ["7", "whole number from 1 to 10000000", "--set"]
    assert listed["cluster.kind"][:2] == ["local", "gke, existing or local"]
    assert listed["training.seed"][2].startswith("config/base.yaml:")


def test_a_component_lists_its_own_settings_only() -> None:
    listed = rows(listing.lines(context(), "training")[2:])
    assert listed
    assert all(key.startswith("training.") for key in listed)


def test_a_component_may_be_spelled_with_a_hyphen() -> None:
    assert listing.lines(context(), "web-ui") == listing.lines(context(), "web_ui")


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PipelineError) as caught:
        listing.lines(context(), "servin")
    assert caught.value.code == 2
    assert caught.value.message == (
        'unknown component "servin": known are cluster, gcp, storage, build_images, data, training, tuning, '
        'serving, web_ui, tensorboard, notebook, iap, kubeflow. Did you mean "serving"?'
    )


def test_a_difference_shows_only_what_differs_with_both_values_and_origins() -> None:
    lines = listing.lines(context("local"), "production", "staging")
    assert lines[0].split() == ["setting", "staging", "from", "production", "from"]
    differing = rows(lines[1:])
    staging, production = config.load("staging"), config.load("production")
    assert set(differing) == {
        key
        for key in config.KNOWN
        if listing.value_of(staging.settings, key) != listing.value_of(production.settings, key)
    }
    assert differing["protected"] == [
        "false",
        staging.origins["protected"],
        "true",
        production.origins["protected"],
    ]


def test_one_environment_after_diff_is_compared_with_the_chosen_one() -> None:
    assert listing.lines(context("staging"), "", "production") == listing.lines(context(), "production", "staging")


def test_a_difference_can_be_limited_to_a_component() -> None:
    assert set(rows(listing.lines(context("staging"), "serving", "production")[1:])) == {
        "serving.poll_seconds",
        "serving.replicas",
        "serving.gate.min_accuracy",
    }


def test_equal_environments_say_so() -> None:
    assert listing.lines(context(), "local", "local") == ["local and local have the same settings"]


@pytest.mark.parametrize(("first", "second"), [("nope", "local"), ("local", "nope")])
def test_a_difference_with_an_unknown_environment_is_refused(first: str, second: str) -> None:
    with pytest.raises(PipelineError, match=r'^unknown environment "nope": known are local, production, staging$'):
        listing.lines(context(), second, first)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("mnist", "mnist"),
        ("2", '"2"'),
        ("no", '"no"'),
        (None, "null"),
        (True, "true"),
        (0.08, "0.08"),
        (("a", "1"), '[a, "1"]'),
    ],
)
def test_a_value_is_shown_as_a_settings_file_would_have_it(value: object, text: str) -> None:
    assert listing.shown(value) == text


def test_a_long_cell_moves_its_own_line_only() -> None:
    assert listing.table([("a", "b"), ("x" * 50, "1"), ("yy", "2")]) == ["a   b", "x" * 50 + "  1", "yy  2"]
