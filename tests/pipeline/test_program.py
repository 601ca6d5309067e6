"""`--env` and `--set` work on the stock `invoke` binary in every spelling; each test runs the real one."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from pipeline import program
from pipeline.errors import PipelineError
from tests.pipeline.running import BINARIES, KNOWN, environ, refused, run, seen


@pytest.mark.parametrize(
    "line",
    [
        "--env=staging stage",
        "--env staging stage",
        "-E staging stage",
        "-E=staging stage",
        "-Estaging stage",
        "stage --env=staging",
        "stage --env staging",
        "stage -E staging",
        "--env=local stage --env=staging",
    ],
)
def test_every_spelling_of_env_reaches_the_task(project: Path, line: str) -> None:
    assert seen(project, *line.split())["environment"] == "staging"


@pytest.mark.parametrize(
    "line", ["--dry --env=staging stage", "--env staging --dry stage", "stage --env=staging --dry"]
)
def test_dry_before_and_after_env(project: Path, line: str) -> None:
    found = seen(project, *line.split())
    assert (found["environment"], found["dry"]) == ("staging", True)


def test_a_tasks_own_flag_beside_env(project: Path) -> None:
    assert seen(project, "--env=staging", "stage", "--force")["force"] is True
    assert seen(project, "stage", "--force", "--env", "staging")["force"] is True


def test_inv_and_python_m_invoke_do_the_same(project: Path) -> None:
    assert seen(project, "--env=staging", "stage", binary="inv")["environment"] == "staging"
    assert seen(project, "-m", "invoke", "--env", "staging", "stage", binary="python")["environment"] == "staging"


def test_a_subfolder_does_the_same(project: Path) -> None:
    assert seen(project / "deep" / "er", "--env=staging", "stage")["environment"] == "staging"


def test_without_env_it_is_invoke_env_and_else_local(project: Path) -> None:
    assert seen(project, "stage")["environment"] == "local"
    assert seen(project, "stage", INVOKE_ENV="")["environment"] == "local"
    assert seen(project, "stage", INVOKE_ENV="production")["environment"] == "production"
    assert seen(project, "stage", "--env=staging", INVOKE_ENV="production")["environment"] == "staging"


def test_set_before_and_after_the_tasks_adds_up_in_order(project: Path) -> None:
    words = ["--set", "a.b=1", "--set=c=2", "stage", "--set", "d=x=y", "--set=a.b=-3"]
    assert seen(project, *words)["set"] == ["a.b=1", "c=2", "d=x=y", "a.b=-3"]


@pytest.mark.parametrize("line", ["--set steps stage", "stage --set =5", "--set= stage"])
def test_set_without_a_setting_and_a_value_is_refused(project: Path, line: str) -> None:
    assert "write a setting and its value, as in --set training.steps=500" in refused(project, *line.split())


@pytest.mark.parametrize("line", ["--env", "stage --env", "stage --set", "--set a=1 stage --set", "--set --dry stage"])
def test_an_option_without_its_value_is_refused(project: Path, line: str) -> None:
    assert refused(project, *line.split()).endswith("wants a value")


@pytest.mark.parametrize("line", ["--env=nope stage", "stage -E nope", "--list --env nope", "--env=nope --help stage"])
def test_fault_16_an_unknown_environment_is_refused_with_the_known_ones(project: Path, line: str) -> None:
    assert refused(project, *line.split()) == f'unknown environment "nope": known are {KNOWN}'


def test_fault_16_an_unknown_environment_from_invoke_env_says_so(project: Path) -> None:
    sentence = f'unknown environment "nope" (from INVOKE_ENV): known are {KNOWN}'
    assert refused(project, "stage", INVOKE_ENV="nope") == sentence


def test_fault_16_no_environment_file_escapes_the_folder() -> None:
    with pytest.raises(PipelineError, match="unknown environment"):
        program.check_environment("../config/local")


def test_a_misspelled_task_is_refused_with_a_suggestion(project: Path) -> None:
    assert refused(project, "--env=staging", "stag") == "No idea what 'stag' is! Did you mean \"stage\"?"


def test_options_that_choose_tasks_py_stand_before_env(project: Path) -> None:
    assert "before --env" in refused(project, "--env=staging", "-c", "other", "stage")
    assert seen(project, "-r", str(project), "--env=staging", "stage")["environment"] == "staging"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("about", ["", "", 1, "local"]),
        ("about training", ["training", "", 1, "local"]),
        ("about stage", ["stage", "", 1, "local"]),  # like Invoke's own positionals, before task names
        ("about training --env staging", ["training", "", 1, "staging"]),
        ("about --env staging training", ["training", "", 1, "staging"]),
        ("about --diff staging production", ["production", "staging", 1, "local"]),
        ("about --diff=staging production --lines 5", ["production", "staging", 5, "local"]),
        ("about --component training", ["training", "", 1, "local"]),
        ("about -c training", ["training", "", 1, "local"]),
        ("about -E staging training", ["training", "", 1, "staging"]),
    ],
)
def test_an_optional_positional_argument_is_filled(project: Path, line: str, expected: list[object]) -> None:
    done = run(project, *line.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == expected


def test_a_task_may_follow_a_filled_positional_argument(project: Path) -> None:
    assert run(project, "about", "training", "again").stdout.splitlines()[1] == "again"
    assert run(project, "about", "--component=x", "again").stdout.splitlines()[1] == "again"


def test_a_required_positional_argument_stays_required(project: Path) -> None:
    assert json.loads(run(project, "needs", "it").stdout) == "it"
    assert refused(project, "needs") == "'needs' did not receive required positional arguments: 'what'"


def test_ctrl_c_in_a_task_exits_130_without_a_traceback(project: Path) -> None:
    argv = [str(BINARIES / "invoke"), "--env=staging", "sleep"]
    with subprocess.Popen(argv, cwd=project, env=environ(), stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "Interrupted.\n")


def test_fab_is_left_alone(project: Path) -> None:
    assert run(project, "again", binary="fab").stdout == "again\n"
    assert "No idea what '--env' is!" in run(project, "--env=staging", "again", binary="fab").stderr


def test_importing_tasks_py_outside_invoke_changes_nothing(project: Path) -> None:
    code = "import invoke.main, tasks; print(type(invoke.main.program).__name__)"
    assert run(project, "-c", code, binary="python").stdout == "Program\n"
