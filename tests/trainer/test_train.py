"""The loop: it learns, it is the same every time, and it goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trainer.errors import TrainerError, UsageError
from trainer.optimizer import OneCycle
from trainer.options import Options
from trainer.precision import resolve
from trainer.train import Trainer

from .conftest import Dataset

SMALL = Options(model_type="linear", train_steps=12, batch_size=16, optimizer="adam", learning_rate=0.01)


def never() -> bool:
    return False


def trained(options: Options, dataset: Dataset, *stops: int) -> list[np.ndarray]:
    """Train to the end, through a new Trainer at each of the stops; gives all state."""
    trainer = Trainer(options, dataset.train, "float32")
    for stop in (*stops, options.train_steps):
        trainer.run(stop, never)
        state, step = trainer.state(), trainer.step
        trainer = Trainer(options, dataset.train, "float32")
        trainer.restore(step, state)
    return trainer.state()


def same(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def with_(**changes: object) -> Options:
    return Options(**(SMALL.__dict__ | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model_type": "cnn", "train_steps": 4, "batch_size": 4, "optimizer": "nesterov"},
        {"augment_pixels": 2, "schedule": "one-cycle"},
    ],
    ids=["adam", "dropout and momentum", "shift and schedule"],
)
def test_fault_28_a_run_in_pieces_ends_with_the_weights_of_one_in_one_piece(
    changes: dict[str, object], dataset: Dataset
) -> None:
    options = with_(**changes)
    assert same(trained(options, dataset, 1, 3), trained(options, dataset))


def test_another_seed_gives_other_weights(dataset: Dataset) -> None:
    assert not same(trained(SMALL, dataset), trained(with_(seed=2), dataset))


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
def test_every_optimizer_learns(optimizer: str, dataset: Dataset) -> None:
    losses: list[float] = []
    options = with_(optimizer=optimizer, train_steps=60, learning_rate=0.02)
    trainer = Trainer(options, dataset.train, "float32", lambda name, first, values: losses.extend(values) if name == "loss" else None)  # fmt: skip  # noqa: E501
    trainer.run(60, never)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])


def test_each_epoch_shows_every_image_once_in_its_own_order(dataset: Dataset) -> None:
    trainer = Trainer(SMALL, dataset.train, "float32")
    epochs = trainer._order(30).reshape(-1)[:450].reshape(3, 150)  # 16 does not divide 150: no seam between epochs
    assert all(sorted(epoch) == list(range(150)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_batch_may_be_larger_than_the_data_set(dataset: Dataset) -> None:
    trainer = Trainer(with_(batch_size=400), dataset.train, "float32")
    assert trainer._order(2).shape == (2, 400)


def test_a_stop_is_answered_after_the_call_it_came_in(dataset: Dataset) -> None:
    trainer = Trainer(with_(train_steps=10_000), dataset.train, "float32")
    trainer.run(10_000, lambda: trainer.step >= 1)
    assert trainer.step == 1


def test_shifted_images_keep_their_ink_within_reach(dataset: Dataset) -> None:
    trainer = Trainer(with_(augment_pixels=2), dataset.train, "float32")
    image = np.zeros((16, 28, 28), np.uint8)
    image[:, 14, 14] = 255
    seen = {tuple(np.argwhere(trainer._shift(image, step).numpy()[0])[0]) for step in range(300)}
    assert seen == {(row, column) for row in range(12, 17) for column in range(12, 17)}


def test_a_loss_that_is_no_number_stops_the_run(dataset: Dataset) -> None:
    trainer = Trainer(with_(optimizer="sgd", learning_rate=1e38), dataset.train, "float32")
    with pytest.raises(TrainerError, match=r"^The loss was (nan|inf) at step \d+: the training has blown up"):
        trainer.run(12, never)


def test_a_checkpoint_of_another_model_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="does not fit linear as it is now"):
        Trainer(SMALL, dataset.train, "float32").restore(3, [np.zeros(3)])


def test_one_cycle_climbs_to_its_peak_and_ends_near_nothing() -> None:
    rates = [float(OneCycle(0.08, 1000)(step)) for step in range(1000)]
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(0.08, rel=0.02)
    assert rates[0] < 0.08 / 50
    assert rates[-1] < 0.08 / 500
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize(
    ("flags", "onednn", "expected"),
    [
        ("fpu avx512_bf16 sse", "1", "bfloat16"),
        ("fpu avx512_bf16 sse", "0", "float32"),
        ("fpu avx512f sse", "1", "float32"),
        (None, "1", "float32"),
    ],
)
def test_auto_takes_bfloat16_only_where_it_is_quick(
    flags: str | None, onednn: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    cpuinfo = tmp_path / "cpuinfo"
    if flags:
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert resolve("auto", cpuinfo) == expected
    assert resolve("float32", cpuinfo) == "float32"
