"""Several replicas in step: they learn what one learns from the whole batch; and which strategy is chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trainer import strategy
from trainer.cluster import Member
from trainer.errors import UsageError
from trainer.options import Options
from trainer.synchronous import shared
from trainer.train import Trainer

from .conftest import ROOT, Dataset

SEVERAL = Member("chief", 0, {"chief": ("a:1",), "worker": ("b:1", "c:1")})
SERVERS = Member("chief", 0, {"chief": ("a:1",), "worker": ("b:1", "c:1"), "ps": ("d:1",)})

REPLICAS = """
import sys, numpy, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer import strategy
from trainer.cluster import Member
from trainer.data import Split
from trainer.options import Options
from trainer.synchronous import Replicated
from trainer.train import Trainer

labels = numpy.arange(150, dtype=numpy.uint8) % 10
images = numpy.zeros((150, 28, 28), numpy.uint8)
images[numpy.arange(150), 4:24, 2 * labels + 4] = 255
split, never = Split(images, labels), lambda: False
both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])  # TensorFlow bears one in a process

def trained(devices, model, steps=15, batch=17, stops=()):
    losses, before = [], None
    options = Options(model_type=model, train_steps=steps, batch_size=batch, optimizer="nesterov", augment_pixels=1)
    write = lambda name, first, values: losses.extend(values) if name == "loss" else None
    for stop in (*stops, steps):
        parts = (options, split, "float32", write)
        one = Replicated(*parts, strategy=devices) if devices else Trainer(*parts)
        if before:
            one.restore(*before)
        one.agree()
        one.run(stop, never)
        before = one.step, one.state()
    return numpy.array(losses), one.state()

(alone, weights), (losses, state) = trained(None, "fast"), trained(both, "fast")
print("like one", abs(losses - alone).max() < 1e-4, max(abs(a - b).max() for a, b in zip(state, weights)) < 1e-4)
whole = trained(both, "cnn", 3)[1]
pieces = trained(both, "cnn", 3, stops=(1,))[1]
print("resumed", all(numpy.array_equal(a, b) for a, b in zip(whole, pieces)))
one = Replicated(Options(train_steps=9), split, "float32", print, strategy=both)
one.agree()
seeds = [v for v in one.network.non_trainable_variables if v.name == "seed_generator_state"]
made = strategy.make(Options(train_steps=9), split, "float32", print, Member(), ["CPU:0", "CPU:1"])
print("chosen", type(made).__name__, made.strategy.num_replicas_in_sync)
print("seeds", [len({int(each[0]) for each in v.value.values}) for v in seeds])
"""


@pytest.fixture(scope="module")
def replicas() -> list[str]:
    """What two virtual devices do beside one; a process of its own, for devices are made at the start."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", REPLICAS], cwd=ROOT, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_two_devices_learn_what_one_learns_from_a_batch_of_17(replicas: list[str]) -> None:
    assert "like one True True" in replicas


def test_a_run_on_two_devices_in_pieces_ends_with_the_weights_of_one_in_one_piece(replicas: list[str]) -> None:
    assert "resumed True" in replicas


def test_each_device_drops_other_neurons(replicas: list[str]) -> None:
    assert "seeds [2]" in replicas


def test_one_process_with_several_devices_uses_them_all(replicas: list[str]) -> None:
    assert "chosen Replicated 2" in replicas


def test_one_process_without_gpus_or_with_one_trains_as_ever(dataset: Dataset) -> None:
    options = Options(model_type="linear", train_steps=5, batch_size=16)
    for gpus in ([], ["GPU:0"]):
        made = strategy.make(options, dataset.train, "float32", lambda *what: None, Member(), gpus)
        assert type(made) is Trainer


@pytest.mark.parametrize(
    ("member", "gpus", "expected"),
    [(Member(), 0, 1), (Member(), 1, 1), (Member(), 4, 4), (SEVERAL, 0, 3), (SEVERAL, 2, 6), (SERVERS, 1, 1)],
)
def test_a_step_is_shared_by_all_members_and_their_gpus(member: Member, gpus: int, expected: int) -> None:
    assert strategy.replicas(member, [f"GPU:{number}" for number in range(gpus)]) == expected


def test_the_batch_is_kept_unless_it_shall_be_scaled_and_then_the_rate_with_it() -> None:
    options = Options(batch_size=64, learning_rate=0.02)
    assert shared(options, 3) == options
    scaled = shared(Options(batch_size=64, learning_rate=0.02, global_batch="scale"), 3)
    assert (scaled.batch_size, scaled.learning_rate) == (192, pytest.approx(0.06))


def test_a_batch_too_small_to_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--tf-batch-size: 2 images cannot be shared among 3 replicas\.$"):
        shared(Options(batch_size=2), 3)


def test_a_lost_member_is_a_sentence_and_a_code_that_is_retried() -> None:
    import tensorflow as tf

    lost = pytest.raises(strategy.LostMember, match=r"^Another member .* \(UnavailableError\); started again")
    with lost as caught, strategy.losses_said():
        raise tf.errors.UnavailableError(None, None, "Socket closed")
    assert caught.value.code == 138


def test_what_is_no_loss_of_a_member_is_not_called_one() -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError), strategy.losses_said():
        raise tf.errors.InvalidArgumentError(None, None, "a mistake")
