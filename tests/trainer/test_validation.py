"""Trials: measured on a part of the training images that nothing is trained on, recorded, and never exported."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from trainer.data import Dataset, Split
from trainer.errors import UsageError
from trainer.validation import held_out

from .conftest import TrainerProcess

TRIAL = ("--tf-validation-share=0.1", "--tf-train-steps=40", "--tf-checkpoint-every=20")

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def numbered() -> Dataset:
    """A data set whose images can be told apart: each one's first pixels are its number, the test images' are high."""
    images = np.zeros((240, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(240)
    labels = (np.arange(240) % 10).astype(np.uint8)
    return Dataset("numbered", False, "a test", Split(images[:200], labels[:200]), Split(images[200:], labels[200:]))


def numbers(split: Split) -> list[int]:
    return split.images[:, 0, 0].tolist()


def test_every_training_image_is_either_trained_on_or_measured_on(numbered: Dataset) -> None:
    divided = held_out(numbered, 0.25)
    assert sorted(numbers(divided.train) + numbers(divided.test)) == list(range(200))
    assert (len(divided.train.labels), len(divided.test.labels)) == (150, 50)


def test_no_test_image_is_trained_on_or_measured_on(numbered: Dataset) -> None:
    divided = held_out(numbered, 0.25)
    assert max(numbers(divided.train) + numbers(divided.test)) < 200


def test_an_image_keeps_its_label(numbered: Dataset) -> None:
    for split in (held_out(numbered, 0.25).train, held_out(numbered, 0.25).test):
        assert [number % 10 for number in numbers(split)] == split.labels.tolist()


def test_every_trial_is_measured_on_the_same_images(numbered: Dataset) -> None:
    assert numbers(held_out(numbered, 0.25).test) == numbers(held_out(numbered, 0.25).test)


def test_without_a_share_the_data_set_is_as_it_was(numbered: Dataset) -> None:
    assert held_out(numbered, 0.0) is numbered


def test_a_checkpoint_of_a_trial_is_bound_to_what_was_held_out(numbered: Dataset) -> None:
    assert len({held_out(numbered, share).sha256 for share in (0.0, 0.1, 0.2)}) == 3


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_leaves_nothing_is_refused(share: float, numbered: Dataset) -> None:
    with pytest.raises(
        UsageError, match=r"^--tf-validation-share: 0\.\d+ of 200 training images are (0|200), not 1 to 199"
    ):
        held_out(numbered, share)


def test_a_trial_prints_its_figures_as_katib_reads_them_and_exports_nothing(trainer: TrainerProcess) -> None:
    said = trainer.run_here(*TRIAL)
    assert (
        len(re.findall(rf"^{TIME} validation_accuracy=0\.\d{{6}}$", said, re.MULTILINE)) == 2
    )  # after each checkpoint
    assert len(re.findall(rf"^{TIME} validation_loss=\d\.\d{{6}}$", said, re.MULTILINE)) == 2
    assert "Test accuracy" not in said
    assert not trainer.export.exists()


def test_a_trial_records_what_it_reached_and_from_which_settings(trainer: TrainerProcess) -> None:
    said = trainer.run_here(*TRIAL, "--tf-learning-rate=0.003")
    recorded = json.loads((trainer.bucket / "100" / "validation-00000040.json").read_text())
    assert (recorded["validation_examples"], recorded["steps"]) == (144, 40)
    assert said.count(f"validation_accuracy={recorded['validation_accuracy']:.6f}\n") >= 1
    assert recorded["settings"]["learning_rate"] == 0.003
    assert recorded["durations"]["train_s"] > 0


def test_a_trial_with_a_constant_rate_goes_on_for_more_steps(trainer: TrainerProcess) -> None:
    trainer.run_here(*TRIAL)
    assert "Resuming after step 40 of 60" in trainer.run_here(*TRIAL, "--tf-train-steps=60")
    names = {path.name for path in (trainer.bucket / "100").glob("validation-*.json")}
    assert names == {"validation-00000040.json", "validation-00000060.json"}


def test_a_version_does_not_go_on_from_a_trial(trainer: TrainerProcess) -> None:
    trainer.run_here(*TRIAL)
    assert "data_sha256" in trainer.run_here("--tf-train-steps=60", code=2)


def test_the_card_says_which_experiment_the_values_come_from(trainer: TrainerProcess) -> None:
    trainer.run_here("--tf-train-steps=20", "--tf-tuned-by=tune-0123456789")
    card = json.loads((trainer.export / "100" / "model_card.json").read_text())
    assert card["settings"]["tuned_by"] == "tune-0123456789"


@pytest.mark.parametrize("flag", ["--tf-validation-share=1", "--tf-validation-share=-0.1", "--tf-validation-share=nan",
                                  "--tf-validation-share=ten", "--tf-tuned-by=Tune_1"])  # fmt: skip
def test_a_share_or_an_experiment_that_is_none_is_refused(flag: str, trainer: TrainerProcess) -> None:
    name = flag.partition("=")[0]
    assert trainer.run_here(flag, code=2).startswith(f"{name}: ")
