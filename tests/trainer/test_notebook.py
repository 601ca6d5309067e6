"""A training in one cell: the notebook runs as it stands, options come by keyword, errors are sentences."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from trainer import export
from trainer.errors import UsageError
from trainer.notebook import train
from trainer.report import Report, chart, smoothed

from .conftest import ROOT, TrainerProcess

SMALL = {"model_type": "linear", "dataset": "digits", "optimizer": "adam", "batch_size": 32}


@pytest.fixture
def temporary(trainer: TrainerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files; signals and variables are as the fixture `trainer` has them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What the notebook's cell puts out; no mirror answers, so that it trains on the digits."""
    folder = tmp_path_factory.mktemp("notebook")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "MNIST_"))}
    places = {name: str(folder) for name in ("TMPDIR", "TF_DATA_DIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to=notebook", "--execute", f"--output-dir={folder}",
         str(ROOT / "notebooks" / "mnist.ipynb")],
        env=env | places | {"TF_MIRRORS": "http://127.0.0.1:9/"}, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (cell,) = [one for one in json.loads((folder / "mnist.ipynb").read_text())["cells"] if one["cell_type"] == "code"]
    return list(cell["outputs"])


@pytest.mark.slow
def test_the_notebook_trains_in_one_cell_and_says_what_it_does(executed: list[dict]) -> None:
    said = "".join("".join(one.get("text", "")) for one in executed)
    assert "Model: fast, 106122 parameters" in said
    assert "step = 2814/2814, loss = " in said
    assert "STAND-IN DATA" in said
    assert {one["output_type"] for one in executed} == {"stream", "execute_result"}
    assert not [one for one in executed if one.get("name") == "stderr"]


@pytest.mark.slow
def test_the_notebook_shows_accuracy_curves_confusion_matrix_and_mistakes(executed: list[dict]) -> None:
    data = executed[-1]["data"]
    plain, shown = "".join(data["text/plain"]), "".join(data["text/html"])
    assert float(plain.partition(": ")[2].partition("%")[0]) > 96
    assert plain in shown
    assert [shown.count(f'aria-label="{name}"') for name in ("loss", "accuracy", "learning_rate")] == [1, 1, 1]
    assert [shown.count(f'alt="{name}"') for name in ("confusion matrix", "mistakes")] == [1, 1]
    assert "http" not in shown.replace("http://www.w3.org", "")  # nothing is loaded from elsewhere


def test_the_notebook_lies_in_the_repository_without_outputs() -> None:
    for cell in json.loads((ROOT / "notebooks" / "mnist.ipynb").read_text())["cells"]:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")


@pytest.fixture
def report(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Of a short training, called as from a kernel of Jupyter's."""
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "/run/user/0/jupyter/kernel-1.json"])
    return train(**SMALL, train_steps=40, learning_rate=0.02)


def test_what_a_cell_gives_has_card_version_curves_and_pictures(report: Report, temporary: Path) -> None:
    assert Path(report.path).parent == temporary / "mnist"
    assert export.is_published(str(temporary / "mnist"), int(report.card["tag"]))
    assert report.card["settings"]["learning_rate"] == 0.02
    assert [step for step, _ in report.curves["loss"]] == [10, 20, 30, 40]
    assert report.curves["test_accuracy"] == [(40, pytest.approx(report.card["metrics"]["test_accuracy"]))]
    assert set(report.pictures) == {"confusion_matrix", "mistakes"}
    assert repr(report).endswith("% of 359 digits test images: STAND-IN DATA, not MNIST")


def test_a_cell_leaves_only_the_version_behind(report: Report, temporary: Path) -> None:
    assert [path.name for path in temporary.iterdir()] == ["mnist"]


def test_jupyters_own_signal_handlers_come_back(temporary: Path) -> None:
    mine = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    train(**SMALL, train_steps=1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (signal.default_int_handler, mine[1])


def interrupted(checkpoints: str, folder: Path, **options: object) -> str:
    """Train for ever, press ■ as soon as one more checkpoint than before is there, and give what is said."""
    before = set(folder.glob(checkpoints))

    def press() -> None:
        deadline = time.monotonic() + 60
        while set(folder.glob(checkpoints)) <= before and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(**SMALL, train_steps=10_000_000, **options)
    presser.join()
    return str(stopped.value)


def test_a_cell_that_is_interrupted_ends_and_keeps_nothing(temporary: Path) -> None:
    assert interrupted("trainer-*/checkpoint-*.npz", temporary) == "nothing is kept of this training"
    assert not list(temporary.glob("mnist/*"))
    assert not list(temporary.glob("trainer-*"))


def test_a_cell_with_a_model_dir_goes_on_where_it_was_interrupted(
    temporary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept"
    assert "saved a checkpoint after step" in interrupted("checkpoint-*.npz", kept, model_dir=str(kept))
    capsys.readouterr()
    assert "saved a checkpoint after step" in interrupted("checkpoint-*.npz", kept, model_dir=str(kept))
    assert "Resuming after step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model_typ": "fast"}, "There is no option 'model_typ'; did you mean 'model_type'?"),
        ({"model_type": "fat"}, "--tf-model-type: 'fat' is not one of cnn, linear, fast, accurate."),
        ({"train_steps": 0.5}, "--tf-train-steps: '0.5' is not a whole number from 1 to 2147483647."),
    ],
)
def test_a_mistake_in_a_cell_is_one_sentence(options: dict, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        train(**options)
    assert caught.value._render_traceback_() == [sentence]


def test_an_option_may_be_a_list_and_a_variable_counts_where_none_is_given(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_SEED", "7")
    made = train(**SMALL, train_steps=1, mirrors=["http://a.example", "http://b.example"])
    assert made.card["settings"]["mirrors"] == ["http://a.example/", "http://b.example/"]
    assert made.card["seed"] == 7


def test_a_curve_is_smoothed_by_the_mean_of_what_came_before() -> None:
    assert smoothed([(1, 4.0), (2, 2.0), (3, 0.0)], 2) == [(1, 4.0), (2, 3.0), (3, 1.0)]


def test_a_chart_labels_the_ends_of_its_axes() -> None:
    drawn = chart("loss", [(10, 2.5), (20, 0.5)])
    assert [text in drawn for text in (">2.5<", ">0.5<", ">step 10<", ">20<", "<polyline")] == [True] * 5


def test_a_curve_of_one_point_can_be_drawn() -> None:
    assert 'points="60.0,180.0"' in chart("loss", [(10, 2.5)])
