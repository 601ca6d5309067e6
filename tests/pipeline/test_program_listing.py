"""`--list`, `--help` and completion know this repo's options, and cost little."""

from __future__ import annotations

import re
import resource
import shutil
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.pipeline.running import KNOWN, run


@pytest.mark.parametrize("line", ["--list", "--env staging --list", "--list --env staging", "-l -E staging"])
def test_list_keeps_the_order_of_tasks_py_on_one_line_each(project: Path, line: str) -> None:
    done = run(project, *line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert [words.split() for words in done.stdout.splitlines()[2:-1]] == [
        ["stage", "Run", "a", "stage."],
        ["again", "Run", "another."],
        ["about", "Show", "one."],
        ["needs", "Show", "a", "thing."],
        ["sleep", "Wait."],
    ]


def test_every_task_of_this_repo_is_one_line_in_the_order_of_the_file() -> None:
    done = run(ROOT, "--list")
    listed = [line.split()[0] for line in done.stdout.splitlines()[2:-1]]
    assert listed[:8] == ["deploy", "build", "train", "serve", "promote", "rollback", "ui", "all"]
    assert all(line.endswith(".") for line in done.stdout.splitlines()[2:-1])
    assert len(listed) == len(set(listed))


def test_help_of_the_program_names_the_environments_and_set(project: Path) -> None:
    text = " ".join(run(project, "--env=staging", "--help").stdout.split())
    assert "-E STRING, --env=STRING Environment: local, production, staging;" in text
    assert "--set training.steps=500" in text


def complete(project: Path, *words: str, **env: str) -> list[str]:
    done = run(project, "--complete", "--", "invoke", *words, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_completion_knows_tasks_options_and_environments(project: Path) -> None:
    assert complete(project, "") == ["about", "again", "needs", "sleep", "stage"]
    assert {"--env", "--set", "--dry"} <= set(complete(project, "--e"))
    assert complete(project, "--env=staging", "stage", "--f") == ["--force"]
    assert complete(project, "--env") == complete(project, "-E", "") == KNOWN.split(", ")
    assert complete(project, "stage", "--env", "=", "st") == KNOWN.split(", ")
    assert complete(project, "--env", "staging") == ["about", "again", "needs", "sleep", "stage"]


def test_completion_works_while_the_environment_is_unknown(project: Path) -> None:
    assert "stage" in complete(project, "", INVOKE_ENV="nope")


def test_the_completion_script_is_printed_beside_env(project: Path) -> None:
    for line in ("--print-completion-script bash", "--env staging --print-completion-script bash"):
        assert "complete -F _complete_invoke -o default invoke inv" in run(project, *line.split()).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The task file, the package and the settings of this repo, to break."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "tasks.py", folder)
    for name in ("pipeline", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "config" / "broken.yaml").write_text("training:\n  stepz: 5\n")
    (folder / "config" / "bare.yaml").write_text("protected: true\n")
    return folder


def test_a_fresh_clone_lists_its_settings(clone: Path) -> None:
    done = run(clone, "--env=bare", "config", "--set", "training.steps=9", PYTHONPATH="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "environment bare\n" in done.stdout
    assert re.search(r"^protected +true +true or false +config/bare.yaml:1$", done.stdout, re.MULTILINE)
    assert re.search(r"^training.steps +9 +whole number from 1 to 10000000 +--set$", done.stdout, re.MULTILINE)


def test_a_fresh_clone_compares_two_environments(clone: Path) -> None:
    done = run(clone, "config", "--diff", "bare", "production", PYTHONPATH="")
    assert done.returncode == 0
    assert done.stdout.startswith("setting ")
    assert "config/production.yaml:" in done.stdout


@pytest.mark.parametrize("task", ["config", "render", "status", "train"])
def test_fault_1_a_broken_environment_stops_every_task_before_it_begins(clone: Path, task: str) -> None:
    done = run(clone, "--env=broken", task, PYTHONPATH="")
    sentence = 'config/broken.yaml:2 training.stepz: unknown setting. Did you mean "steps"?\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)
    assert not (clone / "build").exists()


HEAVY = {"tensorflow", "keras", "numpy", "sklearn", "pydantic", "yaml", "jinja2", "fabric", "paramiko"}
HEAVY |= {"google", "grpc", "flask", "psutil", "filelock", "supervisor"}


def test_listing_this_repos_tasks_imports_nothing_heavy() -> None:
    code = (  # invoke.main itself imports yaml's C reader where it finds one
        "import sys; from invoke.main import program; stock = set(sys.modules); "
        "program.run(['invoke', '--list'], exit=False); "
        "print('pipeline.program' in sys.modules, sorted(set(sys.argv[1:]) & set(sys.modules) - stock))"
    )
    done = run(ROOT, "-c", code, *HEAVY, binary="python")
    assert done.stdout.splitlines()[-1] == "True []"


def cpu_seconds(folder: Path) -> float:
    """User and system seconds of one `invoke --list`; wall time says little on a busy machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder, "--list")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_listing_costs_less_than_1_6_times_an_empty_tasks_py(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("")
    turns = [(cpu_seconds(ROOT), cpu_seconds(tmp_path)) for _ in range(7)]
    ours, empty = (min(times) for times in zip(*turns, strict=True))
    assert ours < 1.6 * empty, f"{ours:.3f} s against {empty:.3f} s"
