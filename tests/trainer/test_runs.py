"""Whole runs as real processes: what a user sees, and what is left when a run is cut off."""

from __future__ import annotations

import ast
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from trainer import export, idx
from trainer.__main__ import main
from trainer.options import parse

from .conftest import ROOT, TrainerProcess, read_until

LONG = ("--tf-train-steps=100000", "--tf-checkpoint-every=20")


def end_with(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal; gives the exit code and what was still printed. No process of its group may be left."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    return process.returncode, said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainerProcess, str]:
    """A run that ended well, and what it printed."""
    trainer = TrainerProcess(tmp_path_factory.mktemp("finished"))
    return trainer, trainer.run("--tf-train-steps=200", "--tf-checkpoint-every=50")


def test_a_run_says_what_it_loads_does_and_makes(finished: tuple[TrainerProcess, str]) -> None:
    trainer, said = finished
    assert "STAND-IN DATA" in said
    assert "Data: digits from scikit-learn, 1438 training and 359 test images" in said
    assert "Model: linear, 7850 parameters, trained in float32" in said
    assert "step = 200/200, loss = 0." in said
    assert "images/s, 0 s left" in said
    assert "Test accuracy on 359 images of STAND-IN DATA: 0.9" in said
    assert f"Exported to {trainer.export}/100" in said
    assert said.splitlines()[-1].startswith("Done in ")


def test_a_run_prints_no_noise_of_libraries(finished: tuple[TrainerProcess, str]) -> None:
    for noise in ("cuda", "oneDNN", "absl", "WARNING", "rebuild TensorFlow"):
        assert noise not in finished[1]


def test_the_card_says_what_the_contract_says(finished: tuple[TrainerProcess, str]) -> None:
    trainer, said = finished
    card = json.loads((trainer.export / "100" / "model_card.json").read_text())
    assert set(card) == {
        "tag", "created", "model", "parameters", "dataset", "settings", "seed", "steps", "resumed_from",
        "parent", "code_hash", "metrics", "durations", "versions", "litert",
    }  # fmt: skip
    assert (card["tag"], card["model"], card["parameters"], card["parent"]) == ("100", "linear", 7850, None)
    assert card["dataset"]["stand_in"] is True
    assert card["settings"]["learning_rate"] == 0.01
    assert f"{card['metrics']['test_accuracy']:.4f}" in said
    metrics, matrix = card["metrics"], card["metrics"]["confusion_matrix"]
    assert sum(map(sum, matrix)) == metrics["test_examples"] == 359
    assert metrics["per_class_accuracy"] == [row[digit] / sum(row) for digit, row in enumerate(matrix)]
    assert metrics["test_accuracy"] == sum(row[digit] for digit, row in enumerate(matrix)) / 359
    assert card["seed"] == card["settings"]["seed"] == 1
    assert set(card["durations"]) == {"import_s", "data_s", "train_s", "evaluate_s", "litert_s", "export_s", "total_s"}
    assert card["litert"]["test_examples"] == 359
    assert 0 < card["durations"]["train_s"] < card["durations"]["total_s"]


def test_the_version_is_whole_and_its_images_can_be_read(finished: tuple[TrainerProcess, str]) -> None:
    trainer, _ = finished
    assert export.is_published(str(trainer.export), 100)
    with zipfile.ZipFile(trainer.export / "100" / "assets.extra" / "test_images.zip") as archive:
        images = idx.decode(archive.open("images.idx"), "images.idx", (359, 28, 28))
        assert idx.decode(archive.open("labels.idx"), "labels.idx", (359,)).max() == 9
        assert json.loads(archive.read("source.json")) == {"dataset": "digits", "stand_in": True}
    assert images.any()


def test_tensorboard_can_read_the_curves_and_the_pictures(finished: tuple[TrainerProcess, str]) -> None:
    code = """
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
print({tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]})
print({tag: [point.step for point in events.Images(tag)] for tag in events.Tags()["images"]})
"""
    folder = finished[0].bucket / "100" / "tensorboard"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, timeout=60
    )
    curves, pictures = map(ast.literal_eval, done.stdout.splitlines())
    assert set(curves) == {"loss", "accuracy", "learning_rate", "test_accuracy"}
    assert set(range(10, 201, 10)) <= set(curves["loss"])
    assert curves["test_accuracy"] == [200]
    assert curves["learning_rate"] == curves["loss"]
    assert pictures == {"confusion_matrix": [200], "mistakes": [200]}


@pytest.mark.timed
def test_a_version_that_is_there_is_left_alone(finished: tuple[TrainerProcess, str]) -> None:
    trainer, _ = finished
    files = [path for path in trainer.bucket.rglob("*") if path.is_file()]
    before = {path: path.stat().st_mtime_ns for path in files}
    started = time.monotonic()
    said = trainer.run("--tf-train-steps=200")
    assert said == f"Version 100 is published in {trainer.export} already, and whole; nothing to do.\n"
    assert {path: path.stat().st_mtime_ns for path in trainer.bucket.rglob("*") if path.is_file()} == before
    assert time.monotonic() - started < 3  # TensorFlow was not loaded


def test_fault_40_other_settings_under_the_same_tag_are_refused(
    finished: tuple[TrainerProcess, str], trainer: TrainerProcess
) -> None:
    shutil.copytree(finished[0].bucket / "100", trainer.bucket / "100")
    said = trainer.run_here("--tf-train-steps=200", "--tf-seed=2", code=2)
    assert "come from other settings: seed was 1 and is now 2" in said
    assert not list(trainer.export.iterdir())


def test_a_checkpoint_past_the_steps_asked_for_is_refused(
    finished: tuple[TrainerProcess, str], trainer: TrainerProcess
) -> None:
    shutil.copytree(finished[0].bucket / "100", trainer.bucket / "100")
    assert "is at step 200, past the 150 asked for" in trainer.run_here("--tf-train-steps=150", code=2)


def signalled(trainer: TrainerProcess, number: signal.Signals, code: int, times: int) -> None:
    """Signal a training as often as that; the checkpoint is of the very step that it says it is."""
    process = trainer.start(*LONG, "--tf-checkpoint-every=50000")
    read_until(process, "step = ")
    for _ in range(times - 1):
        process.send_signal(number)
    returned, said = end_with(process, number)
    assert returned == code
    assert "Traceback" not in said
    (name,) = trainer.checkpoints()
    step = int(name[11:19])
    assert 0 < step < 50_000
    assert said.splitlines()[-1] == (
        f"{number.name}: saved a checkpoint after step {step} of 100000 in {trainer.bucket / '100'}; "
        "the same command goes on."
    )
    assert not list(trainer.export.iterdir())


def test_fault_26_ctrl_c_pressed_thrice_leaves_a_checkpoint_of_that_step(trainer: TrainerProcess) -> None:
    signalled(trainer, signal.SIGINT, 130, times=3)


def test_fault_27_sigterm_leaves_a_checkpoint_of_that_step_and_a_code_that_is_retried(trainer: TrainerProcess) -> None:
    signalled(trainer, signal.SIGTERM, 143, times=1)


def test_fault_27_a_signal_before_the_training_ends_at_once(trainer: TrainerProcess) -> None:
    process = trainer.start(*LONG)
    deadline = time.monotonic() + 30
    while not trainer.export.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    returned, said = end_with(process, signal.SIGTERM)
    assert returned == 143
    assert said.startswith("SIGTERM: ")
    assert "Traceback" not in said


def test_fault_34_a_trainer_killed_while_it_exports_leaves_no_version(
    finished: tuple[TrainerProcess, str], trainer: TrainerProcess
) -> None:
    shutil.copytree(finished[0].bucket / "100", trainer.bucket / "100")
    process = trainer.start("--tf-train-steps=200")
    deadline = time.monotonic() + 60
    while not list(trainer.export.glob("100.partial-*")) and time.monotonic() < deadline:
        time.sleep(0.002)
    assert end_with(process, signal.SIGKILL)[0] == -signal.SIGKILL
    (left,) = trainer.export.iterdir()
    assert left.name == f"100.partial-{process.pid}"
    trainer.run_here("--tf-train-steps=200")
    assert [path.name for path in trainer.export.iterdir()] == ["100"]


@pytest.mark.parametrize("steps", [200, 1], ids=["on the way", "after the last step"])
def test_weights_that_are_no_numbers_exit_1_and_export_nothing(steps: int, trainer: TrainerProcess) -> None:
    said = trainer.run_here("--tf-optimizer=sgd", "--tf-learning-rate=1e38", f"--tf-train-steps={steps}", code=1)
    assert "the training has blown up, nothing is exported" in said
    assert not list(trainer.export.iterdir())


def test_fault_32_a_run_whose_newest_checkpoint_is_damaged_ends_with_the_same_weights(
    finished: tuple[TrainerProcess, str], trainer: TrainerProcess
) -> None:
    shutil.copytree(finished[0].bucket / "100", trainer.bucket / "100")
    last = trainer.bucket / "100" / trainer.checkpoints()[-1]
    last.write_bytes(last.read_bytes()[:-100])
    said = trainer.run_here("--tf-train-steps=200", "--tf-checkpoint-every=50")
    assert f"Checkpoint {last.name} is damaged (its checksum is wrong); going back to the one before" in said
    assert "Resuming after step 150 of 200" in said
    assert trainer.checkpoints() == finished[0].checkpoints()


def test_fault_35_a_tag_from_the_far_future_exits_2(trainer: TrainerProcess) -> None:
    tag = str(int(time.time()) + 3 * export.DAY)
    assert f"--tf-version-tag is {tag}, 3 days ahead of this machine's clock" in trainer.run_here(tag=tag, code=2)


def test_fault_29_a_log_that_cannot_be_written_costs_nothing(trainer: TrainerProcess) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            trainer.argv("--tf-train-steps=5"), cwd=ROOT, env=trainer.env(), text=True, timeout=60, check=False,
            stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert export.is_published(str(trainer.export), 100)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 kB: room for one checkpoint of the linear model, not for two and a version."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a file system can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_fault_29_a_full_disk_keeps_the_last_good_checkpoint(small_disk: Path, trainer: TrainerProcess) -> None:
    trainer.bucket.mkdir()
    (trainer.bucket / "100").symlink_to(small_disk)
    said = trainer.run("--tf-train-steps=100", "--tf-checkpoint-every=10", code=1)
    assert "Could not write" in said
    assert "No space left on device" in said
    assert trainer.checkpoints()
    assert not list(small_disk.glob("*.partial-*"))
    (trainer.bucket / "100").unlink()
    shutil.copytree(small_disk, trainer.bucket / "100")  # a larger disk
    assert "Resuming after step" in trainer.run_here("--tf-train-steps=100", "--tf-checkpoint-every=10")


def test_fault_29_a_full_disk_under_the_export_leaves_no_version(small_disk: Path, trainer: TrainerProcess) -> None:
    trainer.bucket.mkdir()
    trainer.export.symlink_to(small_disk)
    (small_disk / "other").write_bytes(bytes(120_000))
    said = trainer.run_here("--tf-train-steps=5", code=1)
    assert "Could not write the export" in said
    assert [path.name for path in small_disk.iterdir()] == ["other"]
    (small_disk / "other").unlink()
    assert trainer.checkpoints()


def test_fault_29_a_file_size_limit_ends_in_one_sentence(trainer: TrainerProcess) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        trainer.argv("--tf-train-steps=5"), cwd=ROOT, env=trainer.env(), text=True, timeout=60, check=False,
        preexec_fn=limit, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Could not write ")
    assert done.stderr.endswith(": File too large.\n")
    assert not trainer.checkpoints()
    assert not list((trainer.bucket / "100").glob("*.partial-*"))


def test_fault_30_a_disk_that_fails_to_sync_ends_in_one_sentence(trainer: TrainerProcess) -> None:
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed: no system call can be made to fail")
    traced = [strace, "-f", "--seccomp-bpf", "-qq", "-o", str(trainer.folder / "trace"),
              "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=3+"]  # fmt: skip
    said = trainer.run_argv([*traced, *trainer.argv("--tf-train-steps=40", "--tf-checkpoint-every=10")], code=1)
    assert "Could not write" in said
    assert said.endswith(": Input/output error.\n")
    assert [name[11:19] for name in trainer.checkpoints()] == ["00000010"]
    assert not list((trainer.bucket / "100").glob("*.partial-*"))


def test_no_folder_of_its_own_is_left_behind(
    trainer: TrainerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = int(time.time())
    assert main([*trainer.small, "--tf-train-steps=5", f"--tf-export-dir={trainer.export}"]) == 0
    assert list(temporary.iterdir()) == []
    (version,) = export.versions(str(trainer.export))
    assert before <= version <= int(time.time())  # no tag was asked for: the Unix time


def local_flags() -> list[str]:
    """The training settings of the environment `local`, as its rendered job passes them."""
    layers = [yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())["training"] for name in ("base", "local")]
    values = layers[0] | layers[1]
    names = {"model": "model-type", "steps": "train-steps"}
    for_others = ("cpu", "memory", "backoff_limit", "gpus", "workers", "parameter_servers", "evaluator", "tuned_by")
    wanted = [key for key in values if key not in for_others]
    return [f"--tf-{names.get(key, key.replace('_', '-'))}={values[key]}" for key in wanted]


def accuracy(trainer: TrainerProcess) -> float:
    return json.loads((trainer.export / "100" / "model_card.json").read_text())["metrics"]["test_accuracy"]


def test_the_local_settings_are_flags_of_the_trainer() -> None:
    assert parse(local_flags(), {}).model_type == "fast"


def test_the_local_settings_reach_96_percent_on_the_digits(trainer: TrainerProcess) -> None:
    trainer.run(*local_flags(), "--tf-dataset=digits")
    assert accuracy(trainer) >= 0.96


@pytest.mark.mnist
def test_the_local_settings_reach_99_percent_on_mnist(trainer: TrainerProcess, mnist_dir: Path) -> None:
    said = trainer.run(*local_flags(), "--tf-dataset=mnist", MNIST_DIR=str(mnist_dir))
    assert "Test accuracy on 10000 images: 0.99" in said
    assert accuracy(trainer) >= 0.99


@pytest.mark.mnist
def test_the_tutorials_settings_run_too(trainer: TrainerProcess, mnist_dir: Path) -> None:
    flags = ("--tf-model-type=CNN", "--tf-optimizer=sgd", "--tf-batch-size=100", "--tf-dataset=mnist")
    trainer.run(*flags, MNIST_DIR=str(mnist_dir))
    assert 0.7 < accuracy(trainer) < 0.95
