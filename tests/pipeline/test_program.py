"""`--env` and `--set` work on the stock `invoke` binary in every spelling; each test runs the real one."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import program
from pipeline.errors import PipelineError
from pipeline.settings import ROOT

BINARIES = Path(sys.executable).parent
KNOWN = "local, production, staging"

TASKS = '''
from pipeline import program
program.adopt()
import json, time
from invoke import task

@task
def stage(c, force=False):
    """Run a stage."""
    print(json.dumps({**c.config.pipeline, "dry": c.config.run.dry, "force": force}))

@task
def again(c):
    """Run another."""
    print("again")

@task(positional=["component"])
def about(c, component="", diff="", lines=1):
    """Show one."""
    print(json.dumps([component, diff, lines, c.config.pipeline["environment"]]))

@task(positional=["what"])
def needs(c, what):
    """Show a thing."""
    print(json.dumps(what))

@task
def sleep(c):
    """Wait."""
    print("waiting", flush=True)
    time.sleep(60)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tasks.py that adopts the running program, and a subfolder."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tasks.py").write_text(TASKS)
    (folder / "fabfile.py").write_text(TASKS)
    (folder / "deep" / "er").mkdir(parents=True)
    return folder


def environ(**more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("INVOKE_")}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


def run(folder: Path, *words: str, binary: str = "invoke", **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(BINARIES / binary), *words]
    return subprocess.run(
        argv, cwd=folder, env=environ(**env), capture_output=True, text=True, timeout=60, check=False
    )


def seen(folder: Path, *words: str, **more: str) -> dict[str, object]:
    """What the task `stage` found in its configuration."""
    done = run(folder, *words, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def refused(folder: Path, *words: str, **env: str) -> str:
    done = run(folder, *words, **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()


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
    assert (
        seen(project, "-m", "invoke", "--env", "staging", "stage", binary="python")["environment"]
        == "staging"
    )


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


@pytest.mark.parametrize(
    "line", ["--env", "stage --env", "stage --set", "--set a=1 stage --set", "--set --dry stage"]
)
def test_an_option_without_its_value_is_refused(project: Path, line: str) -> None:
    assert refused(project, *line.split()).endswith("wants a value")


@pytest.mark.parametrize(
    "line", ["--env=nope stage", "stage -E nope", "--list --env nope", "--env=nope --help stage"]
)
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
    assert listed[:6] == ["deploy", "build", "train", "serve", "ui", "all"]
    assert all(line.endswith(".") for line in done.stdout.splitlines()[2:-1])
    assert len(listed) == len(set(listed))


def test_help_of_the_program_names_the_environments_and_set(project: Path) -> None:
    text = " ".join(run(project, "--env=staging", "--help").stdout.split())
    assert "-E STRING, --env=STRING Environment: local, production, staging;" in text
    assert "--set training.steps=500" in text


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
    assert re.search(r"^training.steps +9 +whole number from 1 +--set$", done.stdout, re.MULTILINE)


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
