"""`invoke bench`: what a run costs, whose turn it is, what the table says, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

from conftest import ROOT, Checkout
from pipeline import bench
from pipeline.bench import contestants, meter, page, table, training, venvs
from pipeline.bench.contestants import Contestant
from pipeline.bench.trainings import Trainings
from pipeline.clusters.pods import Process
from pipeline.config import load
from pipeline.errors import PipelineError, RunFailed
from pipeline.processes import environment


def measured(tmp_path: Path, program: str) -> meter.Measured:
    argv = (sys.executable, "-c", textwrap.dedent(program))
    return meter.measure(argv, environment(tmp_path), tmp_path, tmp_path)


def test_the_processor_time_of_a_childs_child_counts(tmp_path: Path) -> None:
    used = measured(
        tmp_path,
        """
        import subprocess, sys
        work = "import time\\nwhile time.process_time() < 0.6: pass"
        below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
        subprocess.run([sys.executable, "-c", below], check=True)
        """,
    ).usage
    assert 0.6 <= used.cpu_s < 5
    assert used.wall_s >= 0.55


def test_the_memory_of_a_whole_tree_is_added_up(tmp_path: Path) -> None:
    used = measured(
        tmp_path,
        """
        import subprocess, sys
        hold = "held = b'x' * 80_000_000; import time; time.sleep(0.5)"
        both = [subprocess.Popen([sys.executable, "-c", hold]) for _ in range(2)]
        [one.wait() for one in both]
        """,
    ).usage
    assert 160 <= used.peak_mb < 300


def test_a_short_peak_of_one_process_is_not_missed(tmp_path: Path) -> None:
    assert measured(tmp_path, "held = b'x' * 200_000_000; del held").usage.peak_mb >= 200


def test_what_other_programs_take_meanwhile_is_seen(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        used = measured(tmp_path, "import time; time.sleep(1)").usage
    finally:
        other.kill()
        other.wait()
    assert 0.05 < used.elsewhere <= 1
    assert used.cpu_s < 0.5


def test_a_run_that_fails_ends_with_its_own_last_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"(?s)ended with 3: .*no such digit"):
        measured(tmp_path, "import sys; print('no such digit', file=sys.stderr); sys.exit(3)")


def whole_job(tmp_path: Path, program: str) -> meter.Measured:
    """A chief and two workers that run a program in the trainer's place."""
    argv = contestants.whole(load("local", ["training.workers=2"]).settings, tmp_path).argv
    path = tmp_path / "job.json"
    job = json.loads(path.read_text())
    for spec in job["spec"]["tfReplicaSpecs"].values():
        spec["template"]["spec"]["containers"][0]["command"] = ["python", "-c", program]
    path.write_text(json.dumps(job))
    return meter.measure(argv, environment(tmp_path), tmp_path, ROOT)


def test_the_replicas_of_a_job_are_measured_as_one(tmp_path: Path) -> None:
    used = whole_job(tmp_path, "import os, time; os.environ['TF_CONFIG']\nwhile time.process_time() < 0.4: pass").usage
    assert 3 * 0.4 <= used.cpu_s < 10


def test_a_job_that_fails_ends_with_its_replicas_last_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"(?s)ended with 1: .*train-100-chief-0 ended with 3\s+no such digit"):
        whole_job(tmp_path, "print('no such digit'); raise SystemExit(3)")


def run(wall: float, cpu: float, accuracy: float = 0.99, trained: int = 11) -> table.Run:
    return table.Run(accuracy, trained, "epochs", wall, cpu, 700.4, 0.1)


def test_the_ratios_follow_from_the_medians_that_are_shown() -> None:
    ours = table.row("ours", [run(10.04, 14.0), run(10.04, 15.0), run(99.0, 16.0)])
    other = table.row("other", [run(80.0, 150.0, 0.9901, 11), run(90.0, 160.0, 0.9923, 12)])
    shown = table.cells([ours, other])
    assert shown[1] == ("ours", "99.00 %", "11 epochs", "3", "10.0", "15.0", "700", "1.0", "1.0")
    assert shown[2] == ("other", "99.01–99.23 %", "11–12 epochs", "2", "85.0", "155.0", "700", "8.5", "10.3")


def test_a_table_is_read_back_as_it_was_written() -> None:
    rows = [table.row("ours", [run(1, 2)]), table.row("other", [], "could not install torch: a | b\nc")]
    assert table.parsed(table.markdown(table.cells(rows))) == rows
    assert rows[1].accuracy == "not measured: could not install torch: a / b c"
    assert table.cells(rows)[2][-2:] == ("–", "–")


def test_a_benchmark_writes_between_its_own_markers_only(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    empty = "".join(f"{name}\n{begin}\n{end}\n" for name in ("a", "b") for begin, end in [page.markers(name)])
    path.write_text(empty)
    page.put("b", "old", path)
    page.put("b", "new\n", path)
    assert page.block(path.read_text(), "b") == "\nnew\n\n"
    assert path.read_text().replace("\nnew\n\n", "") == empty


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"docs/benchmarks\.md lacks the lines .*put them back"):
        page.block("# Benchmarks\n", "train")


def test_ours_is_the_process_that_the_stage_would_start_but_for_places_data_and_seed(tmp_path: Path) -> None:
    settings = load("local", ["training.steps=77"]).settings
    process = contestants.ours(settings, "ours", {"batch_size": 32}).prepare(tmp_path, 5, sys.executable)
    staged = contestants.chief(settings, tmp_path)
    told = dict(zip(map(name, staged.argv), zip(staged.argv, process.argv, strict=True), strict=True))
    changed = {flag: after.split("=")[1] for flag, (before, after) in told.items() if before != after}
    assert changed == {
        "--tf-data-dir": str(tmp_path / "volumes/bench/data"), "--tf-model-dir": str(tmp_path / "100"),
        "--tf-export-dir": str(tmp_path / "export"), "--tf-dataset": "mnist", "--tf-batch-size": "32", "--tf-seed": "5",
    }  # fmt: skip
    assert "--tf-train-steps=77" in process.argv
    assert process.cwd == str(ROOT)


def name(argument: str) -> str:
    return argument.partition("=")[0]


def scripted(title: str, program: str, environment: str = "") -> Contestant:
    """A contestant that is a line of Python; `seed` is there for it."""

    def prepare(folder: Path, seed: int, python: str) -> Process:
        return Process((sys.executable, "-c", f"seed = {seed}\n{program}"), {}, str(folder), "")

    return Contestant(title, prepare, contestants.read_line, environment)


def line(accuracy: str = "0.9 + seed / 100", examples: int = 10_000, off: float = 0.0) -> str:
    said = {
        "examples": examples,
        "trained": [3, "epochs"],
        "versions": {"a": "1"},
        "looks": {"wall_s": off, "cpu_s": 0},
    }
    return f"import json; print(json.dumps({{'accuracy': {accuracy}, **{said}}}))"


@pytest.fixture
def turns(tmp_path: Path) -> Callable[..., Trainings]:
    def make(*those: Contestant) -> Trainings:
        return Trainings(those, tmp_path / "bench", mnist=tmp_path)

    return make


def test_ours_runs_before_each_of_the_others_and_never_with_the_same_seed(turns: Callable[..., Trainings]) -> None:
    those = [scripted(title, line()) for title in ("ours", "one", "two")]
    made = turns(*those)
    for one in training.order(those, "train"):
        made.take(one)
    assert [one.name for one in training.order(those, "train")] == ["ours", "one", "ours", "two"]
    assert {title: [run.accuracy for run in runs] for title, runs in made.runs.items()} == {
        "ours": [0.91, 0.92], "one": [0.91], "two": [0.91],
    }  # fmt: skip
    assert not list(made.folder.glob("*")), "a run left something behind"


def test_looks_that_a_recipe_does_not_take_are_taken_off(turns: Callable[..., Trainings]) -> None:
    made = turns(scripted("one", f"import time; time.sleep(1); {line(off=0.9)}"))
    made.take(made.contestants[0])
    assert 0.1 <= made.runs["one"][0].wall_s < 0.9


def test_a_peer_that_fails_has_a_row_that_says_so_and_no_second_turn(turns: Callable[..., Trainings]) -> None:
    made = turns(scripted("ours", line()), scripted("peer", "raise SystemExit('no luck')", environment="apart"))
    for one in made.contestants * 2:
        made.take(one)
    ours, peer = made.rows()
    assert (ours.runs, peer.runs) == ("2", "0")
    assert "ended with 1" in peer.accuracy
    assert "no luck" in peer.accuracy


def test_our_own_failure_ends_the_benchmark(turns: Callable[..., Trainings]) -> None:
    made = turns(scripted("ours", "raise SystemExit('no luck')"))
    with pytest.raises(RunFailed, match="no luck"):
        made.take(made.contestants[0])


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (line(examples=359), "measured on 359 test images, 10,000 would be right"),
        ("print('hello')", "without its line"),
    ],
)
def test_a_run_that_does_not_say_how_good_it_is_on_all_test_images_does_not_count(
    turns: Callable[..., Trainings], program: str, sentence: str
) -> None:
    made = turns(scripted("ours", program))
    with pytest.raises(RunFailed, match=sentence):
        made.take(made.contestants[0])


def test_a_peer_that_cannot_be_installed_is_told_of_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RunFailed, match="could not install no-such-thing==1: No matching distribution found"):
        venvs.python_of("apart", ["no-such-thing==1"], tmp_path, print, contestants.CONSTRAINTS)
    assert not list(tmp_path.glob("*"))


def test_an_environment_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    (tmp_path / "apart" / "installed").write_text("a\nb==2")
    said = list[str]()
    python = venvs.python_of("apart", ["a", "b==2"], tmp_path, said.append, contestants.CONSTRAINTS)
    assert python == str(tmp_path / "apart" / "bin" / "python")
    assert not said


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["", 3, False, False], "which benchmark?: known are train, serve, as in `invoke bench train`"),
        (["dance", 3, False, False], 'there is no benchmark "dance": known are train, serve'),
        (["train", 0, False, False], "--rounds=0: ask for 1 or more"),
        (["train", 3, True, True], "--scaling goes with `invoke bench train`, and without --quick: leave it out"),
        (["serve", 3, False, True], "--scaling goes with `invoke bench train`, and without --quick: leave it out"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(given: list[Any], sentence: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(sentence)) as refused:
        bench.run(Context(), *given)
    assert refused.value.code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bench", "train"], "has not MNIST's four files: set MNIST_DIR to a folder with them; no other data will do"),
        (["bench", "serve"], "has not MNIST's four files: set MNIST_DIR to a folder with them; no other data will do"),
        (
            ["--set", "training.model=cnn", "bench", "serve", "--quick"],
            "written for the model fast; leave that setting",
        ),
        (["--env=staging", "bench", "serve"], "environment staging is a cluster's, and bench measures this machine"),
    ],
)
def test_what_cannot_be_measured_here_is_refused_in_one_line(
    checkout: Checkout, words: list[str], sentence: str
) -> None:
    said = checkout.invoke(*words, code=2)
    assert sentence in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.mnist
@pytest.mark.slow
def test_a_quick_benchmark_runs_ours_and_peers_that_need_no_installation(checkout: Checkout, mnist_dir: Path) -> None:
    said = checkout.invoke("bench", "train", "--quick", MNIST_DIR=str(mnist_dir))
    table_printed = said[said.rindex("\nrecipe ") :].splitlines()[2:5]
    rows = [re.split("  +", line)[0] for line in table_printed]
    assert rows == ["`fast`", "the same, until 99.0 %", "keras.io's MNIST convnet"]
    assert "these figures mean nothing" in said
    assert [path.name for path in (checkout.root / "build").iterdir()] == ["bench"]
    assert [path.name for path in (checkout.root / "build" / "bench").iterdir()] == ["keras"]  # its own settings
