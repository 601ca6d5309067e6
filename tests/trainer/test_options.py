"""Flags, variables, and what is refused before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.errors import UsageError
from trainer.options import Options, flag_of, parse

from .conftest import ROOT, TrainerProcess


def test_the_defaults_are_the_tutorials() -> None:
    options = parse([], {})
    assert (options.train_steps, options.batch_size, options.learning_rate) == (200, 100, 0.01)
    assert (options.model_type, options.optimizer, options.dataset) == ("cnn", "sgd", "mnist")
    assert (options.data_dir, options.model_dir, options.export_dir) == ("/tmp/data/", None, "mnist/")  # noqa: S108


def test_a_variable_sets_what_no_flag_sets() -> None:
    assert parse([], {"TF_TRAIN_STEPS": "7"}).train_steps == 7


def test_the_flag_wins_over_the_variable() -> None:
    assert parse(["--tf-train-steps=8"], {"TF_TRAIN_STEPS": "7"}).train_steps == 8


def test_an_empty_variable_counts_as_unset() -> None:
    assert parse([], {"TF_MODEL_DIR": "", "TF_TRAIN_STEPS": ""}) == Options()


@pytest.mark.parametrize("spelling", ["FAST", "fast", "Fast"])
def test_models_are_named_in_any_case(spelling: str) -> None:
    assert parse(["--tf-model-type", spelling], {}).model_type == "fast"


@pytest.mark.parametrize(
    "flag",
    [
        "--tf-train-steps=0", "--tf-train-steps=1e3", "--tf-train-steps=-5", "--tf-batch-size=0",
        "--tf-seed=-1", "--tf-precision=8",
        "--tf-learning-rate=nan", "--tf-learning-rate=0", "--tf-learning-rate=inf", "--tf-model-type=RNN",
        "--tf-dataset=cifar", "--tf-augment-pixels=15", "--tf-version-tag=0", "--tf-version-tag=v2",
        "--tf-mirrors=ftp://example.org/", "--tf-mirrors=", "--tf-export-dir=", "--tf-model-typ=cnn",
        "--tf-global-batch=double",
    ],
)  # fmt: skip
def test_a_wrong_flag_is_refused_by_name_in_one_sentence(flag: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([flag], {})
    message = str(caught.value)
    assert flag.partition("=")[0] in message
    assert "\n" not in message


def test_a_wrong_variable_is_refused_by_its_own_name() -> None:
    with pytest.raises(UsageError, match=r"^TF_BATCH_SIZE: 'many' is not a whole number"):
        parse([], {"TF_BATCH_SIZE": "many"})


@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_arguments_whatever_cause_more_than_a_sentence(argv: list[str]) -> None:
    if {"-h", "--help"} & set(argv):
        return
    try:
        assert isinstance(parse(argv, {}), Options)
    except UsageError as error:
        assert str(error)


@pytest.mark.timed
def test_help_names_every_flag_and_loads_no_library() -> None:
    code = "import sys; from trainer.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('numpy', 'tensorflow', 'sklearn') if name in sys.modules])"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
    assert all(flag_of(one.name) in done.stdout for one in fields(Options))
    assert time.monotonic() - started < 5


def test_a_mistake_in_the_flags_exits_2_with_one_line(trainer: TrainerProcess) -> None:
    said = trainer.run("--tf-train-steps=many", code=2)
    assert said == "--tf-train-steps: 'many' is not a whole number from 1 to 2147483647.\n"
    assert not trainer.bucket.exists()
