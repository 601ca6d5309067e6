"""What a search draws from: read with file, line and remedy, and drawn from by the number of the trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import load
from pipeline.settings import Training
from pipeline.spaces import Space, read, written
from pipeline.yamlfile import plain
from tests.pipeline.breaking import append, edit, refusal

RATE = "learning_rate: {min: 0.02, max: 0.3, scale: log}"
"""A line of config/local.yaml."""


def spaces(text: str) -> dict[str, Space]:
    return {one.name: one for one in load("local", [f"tuning.parameters={text}"]).settings.tuning.parameters}


def draws(one: Space, count: int = 300) -> list[Any]:
    return [one.drawn(1, number) for number in range(count)]


@pytest.mark.parametrize(
    ("written_so", "place", "sentence"),
    [
        ("learning_rat: {min: 0.1, max: 1}", ".learning_rat", 'unknown setting. Did you mean "learning_rate"?'),
        ("steps: {min: 1, max: 2}", ".steps", "cannot be tuned; learning_rate, batch_size, "),
        ("learning_rate: 0.1", ".learning_rate", "wanted: {values: […]}, or {min: …, max: …, scale: log}"),
        ("learning_rate: {min: 0.1}", ".learning_rate", "max is missing; a range has min and max"),
        ("learning_rate: {min: 0.3, max: 0.1}", ".learning_rate.max", "0.1 is not above min 0.3"),
        ("learning_rate: {min: 0, max: 0.1}", ".learning_rate.min", "0 does not fit training.learning_rate: it should"),
        ("learning_rate: {min: 0.1, max: 1, scale: lg}", ".learning_rate.scale", "wanted: linear or log"),
        ("learning_rate: {min: 0.1, max: 1, step: 2}", ".learning_rate.step", "not known here; learning_rate takes "),
        ("augment_pixels: {min: 0, max: 2, scale: log}", ".augment_pixels.min", "0 has no logarithm; write a number "),
        ("batch_size: {min: 1.5, max: 20}", ".batch_size.min", "1.5 does not fit training.batch_size: it should be a "),
        ("batch_size: {values: [32]}", ".batch_size.values", "wanted: a list of two or more"),
        ("batch_size: {values: [32, 32]}", ".batch_size.values[1]", "32 is there twice; keep one"),
        ("batch_size: {values: [32, 64], min: 1}", ".batch_size.min", "stands beside values; write one or the other"),
        (
            "optimizer: {values: [adam, sgdd]}",
            ".optimizer.values[1]",
            "sgdd does not fit training.optimizer: it should",
        ),
        ("optimizer: {min: 1, max: 2}", ".optimizer.min", "not known here; optimizer takes values"),
    ],
)
def test_a_search_space_that_is_none_is_refused_with_its_line_and_place(
    written_so: str, place: str, sentence: str, folder: Path
) -> None:
    line = append(folder / "staging.yaml", f"tuning:\n  parameters:\n    {written_so}\n")
    assert refusal("staging", folder).startswith(f"config/staging.yaml:{line + 2} tuning.parameters{place}: {sentence}")


def test_a_mistake_below_a_mapping_is_shown_with_its_own_line(folder: Path) -> None:
    line = edit(folder / "local.yaml", RATE, "learning_rate:\n      min: 0.1\n      max: 0.01")
    wanted = f"config/local.yaml:{line + 2} tuning.parameters.learning_rate.max: 0.01 is not above min 0.1"
    assert refusal("local", folder) == wanted


@pytest.mark.parametrize("text", ["5", "{}", "[]", "null", "text"])
def test_no_search_space_at_all_is_refused(text: str) -> None:
    assert "wanted: at least one setting of the training" in refusal("local", None, f"tuning.parameters={text}")


def test_set_takes_a_whole_search_space_and_says_what_is_wrong_in_it() -> None:
    assert spaces("{batch_size: {values: [16, 32]}}") == {"batch_size": Space("batch_size", values=(16, 32))}
    change = "tuning.parameters={batch_size: {values: [16, 0]}}"
    assert refusal("local", None, change).startswith(f"--set {change} batch_size.values[1]: 0 does not fit")


def test_an_environments_search_space_replaces_that_of_base() -> None:
    assert set(load("staging").settings.tuning.parameters) & set(load("local").settings.tuning.parameters) == set()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("tuning.trials=2",), "2 are too few to halve; write 3 or more, or algorithm random"),
        (("tuning.trials=9", "tuning.steps=8"), "8 are less than one for each of 9 trials; write more"),
    ],
)
def test_a_search_that_cannot_be_halved_is_refused(change: tuple[str, ...], sentence: str) -> None:
    assert refusal("local", None, "tuning.algorithm=halving", *change).endswith(sentence)


def test_a_log_range_draws_as_often_below_its_geometric_middle_as_above() -> None:
    (one,) = read({"learning_rate": {"min": 0.001, "max": 0.1, "scale": "log"}}, Training)
    assert 120 < sum(value < 0.01 for value in draws(one)) < 180


def test_a_linear_range_draws_as_often_below_its_middle_as_above() -> None:
    (one,) = read({"learning_rate": {"min": 0.001, "max": 0.1}}, Training)
    assert 120 < sum(value < 0.0505 for value in draws(one)) < 180


def test_every_whole_number_of_a_range_is_drawn_and_no_other() -> None:
    (one,) = read({"augment_pixels": {"min": 0, "max": 3}}, Training)
    assert set(draws(one)) == {0, 1, 2, 3}


def test_every_value_of_a_list_is_drawn() -> None:
    (one,) = read({"optimizer": {"values": ["adam", "sgd"]}}, Training)
    assert set(draws(one)) == {"adam", "sgd"}


@given(
    st.floats(1e-7, 1.0), st.floats(1.001, 1000), st.sampled_from(["linear", "log"]), st.integers(0, 2**31 - 1),
    st.integers(0, 1000),
)  # fmt: skip
def test_a_draw_never_leaves_its_range(low: float, factor: float, scale: str, seed: int, number: int) -> None:
    one = Space("learning_rate", low, low * factor, scale)
    assert low <= float(one.drawn(seed, number)) <= low * factor


def test_a_trials_values_are_the_same_whatever_else_is_tuned() -> None:
    alone = spaces("{learning_rate: {min: 0.01, max: 0.1}}")["learning_rate"]
    beside = spaces("{batch_size: {values: [16, 32]}, learning_rate: {min: 0.01, max: 0.1}}")["learning_rate"]
    assert draws(alone, 20) == draws(beside, 20)


@given(st.floats(1e-9, 1e6))
def test_a_value_is_written_as_set_reads_it(value: float) -> None:
    drawn = float(f"{value:.4g}")
    assert plain(written(drawn)) == drawn


@pytest.mark.parametrize(
    ("given_as", "kind", "feasible"),
    [
        ({"learning_rate": {"min": 0.0001, "max": 1, "scale": "log"}}, "double",
         {"min": "0.0001", "max": "1.0", "distribution": "logUniform"}),
        ({"batch_size": {"min": 16, "max": 64}}, "int", {"min": "16", "max": "64", "distribution": "uniform"}),
        ({"batch_size": {"values": [16, 64]}}, "discrete", {"list": ["16", "64"]}),
        ({"optimizer": {"values": ["sgd", "adam"]}}, "categorical", {"list": ["sgd", "adam"]}),
    ],
)  # fmt: skip
def test_a_space_in_katibs_form_is_text(given_as: dict[str, Any], kind: str, feasible: dict[str, Any]) -> None:
    (one,) = read(given_as, Training)
    assert (one.parameter_type, one.feasible_space) == (kind, feasible)
