"""The stand-ins together: they know every command that the code can run, and lead from a login to a cluster."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from argvs import every_command
from conftest import ROOT
from fakes.standins import MODULES, install, nursery
from fakes.standins.control import Docker
from fakes.world import World

TOOLS = ("docker", "gcloud", "kubectl", "gke-gcloud-auth-plugin")
UNKNOWN = re.compile(r"unknown (command|flag|shorthand)|unrecognized arguments|Invalid choice|the stand-in|Traceback")

ONE_BY_ONE = """
import json, os, sys
tests, bin, google, modules, commands = json.load(sys.stdin)
sys.path[:1] = [tests]
from importlib import import_module
mains = {name: import_module(f"fakes.standins.{module}").main for name, module in modules.items()}
nothing, ends = os.open(os.devnull, os.O_RDWR), []
for program, *words in commands:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for stream, number in enumerate((nothing, nothing, write)):
            os.dup2(number, stream)
        os.close(write)
        sys.argv[:] = [f"{bin}/{program}", *words]
        sys.exit(mains[program](words, bin, google))
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    ends.append([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text])
json.dump(ends, sys.stdout)
"""
"""Forks each command from one Python, as its own start would run it but for the imports: they are most of its time."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.enable()
        yield made


def test_every_command_that_the_code_can_run_is_known(world: World) -> None:
    """Nobody is logged in, no daemon runs and no kubeconfig is there: each ends as soon as it is understood."""
    world.login.leave()
    Docker(world.bin).daemon(up=False)
    env = {**world.env(), "KUBECONFIG": str(world.folder / "nothing"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    commands = [command.argv for command in every_command().values() if command.argv[0] in TOOLS]
    assert len(commands) > 100
    given = [str(ROOT / "tests"), str(world.bin), world.api_address, {name: MODULES.get(name, name) for name in TOOLS}]
    done = subprocess.run(
        [sys.executable, "-SE", "-c", ONE_BY_ONE], input=json.dumps([*given, commands]), env=env, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    refused = {}
    for argv, (code, said) in zip(commands, json.loads(done.stdout), strict=True):
        wrong = code == 2 and argv[1] != "diff"  # whose failures all end with 2
        if wrong or UNKNOWN.search(said):
            refused[" ".join(argv)] = said
    assert refused == {}


def forks() -> list[psutil.Process]:
    """What the nursery has forked and what is still running of that."""
    living = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    (found,) = [one for one in living if "nursery.py" in " ".join(one.cmdline())]
    return found.children()


def until(holds: Callable[[], bool]) -> None:
    """Wait up to ten seconds."""
    ends = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_stand_in_that_is_ended_takes_what_works_for_it_along(world: World, how: signal.Signals) -> None:
    world.docker.fail("version", delay=60)
    with subprocess.Popen([world.bin / "docker", "version"], env=world.env(), stderr=subprocess.DEVNULL) as running:
        until(lambda: len(forks()) == 1)
        running.send_signal(how)
        until(lambda: forks() == [])
    assert running.returncode == -how


def test_a_stand_in_that_kills_itself_is_seen_to_be_killed(world: World) -> None:
    world.docker.fail("version", kill=True)
    assert world.run("docker", "version").returncode == -signal.SIGKILL


def test_a_stand_in_whose_nursery_is_gone_does_its_own_imports(world: World) -> None:
    before = world.run("docker", "version")
    program = world.bin / "docker"
    program.write_text(program.read_text().replace(nursery.started(), "/nowhere"))
    after = world.run("docker", "version")
    assert (before.returncode, before.stdout) == (after.returncode, after.stdout)


def test_the_plugin_comes_with_gcloud_and_hands_out_the_logins_token(world: World) -> None:
    told = json.loads(world.run("gke-gcloud-auth-plugin").stdout)
    assert told["status"]["token"].startswith("fake-token-")


def test_the_plugin_says_its_version_as_the_real_one_does(world: World) -> None:
    assert world.run("gke-gcloud-auth-plugin", "--version").stdout.startswith("Kubernetes v")


def test_the_plugin_fails_where_nobody_is_logged_in(world: World) -> None:
    world.login.leave()
    assert world.run("gke-gcloud-auth-plugin").returncode == 1


def test_installing_twice_leaves_one_of_each(tmp_path: Path) -> None:
    for _ in range(2):
        install(tmp_path, "http://127.0.0.1:9", TOOLS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(TOOLS)
