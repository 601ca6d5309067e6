"""The command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import StartError
from serving.flags import parse

from .conftest import REPO

BASE = "--model_base_path=/models"


def test_the_defaults_are_tensorflow_model_servers() -> None:
    flags = parse([BASE])
    assert (flags.port, flags.rest_api_port, flags.model_name) == (8500, 0, "default")
    assert (flags.file_system_poll_wait_seconds, flags.enable_grpc_healthcheck_service) == (1, False)
    assert (flags.model_config_file_poll_wait_seconds, flags.allow_version_labels_for_unavailable_models) == (0, False)


def test_the_own_default_host_is_loopback() -> None:
    assert parse([BASE]).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("--enable_grpc_healthcheck_service", True),
        ("--enable_grpc_healthcheck_service=true", True),
        ("--enable_grpc_healthcheck_service=false", False),
    ],
)
def test_a_switch_may_be_bare_or_have_a_value(text: str, value: bool) -> None:
    assert parse([BASE, text]).enable_grpc_healthcheck_service is value


def test_a_value_may_follow_as_its_own_argument() -> None:
    assert parse(["--model_base_path", "/models", "--port", "9000"]).port == 9000


WRONG = {
    "unknown": ([BASE, "--prt=1"], "Unknown flag --prt. Did you mean --port?"),
    "nothing like it": (
        [BASE, "--zzz"],
        "Unknown flag --zzz. `python -m serving --help` lists what it knows.",
    ),
    "abbreviated": ([BASE, "--model_n=x"], "Unknown flag --model_n. Did you mean --model_name?"),
    "bare word": ([BASE, "mnist"], "Unexpected argument 'mnist': every argument is --flag=value."),
    "nothing to serve": (
        [],
        "Neither --model_base_path nor --model_config_file is given: say what to serve.",
    ),
    "no port": ([BASE, "--port=0"], "--port and --rest_api_port are both 0: there is nothing to listen on."),
    "one port": (
        [BASE, "--port=9", "--rest_api_port=9"],
        "--port and --rest_api_port are both 9: each needs a port of its own.",
    ),
    "large port": ([BASE, "--port=70000"], "Argument --port: '70000' is no port, a number from 0 to 65535."),
    "seconds": (
        [BASE, "--file_system_poll_wait_seconds=-1"],
        "Argument --file_system_poll_wait_seconds: '-1' is no whole number of seconds, 0 or more.",
    ),
    "switch": (
        [BASE, "--enable_grpc_healthcheck_service=maybe"],
        "Argument --enable_grpc_healthcheck_service: 'maybe' is neither true nor false.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_one_sentence(case: str) -> None:
    argv, sentence = WRONG[case]
    with pytest.raises(StartError) as caught:
        parse(argv)
    assert (str(caught.value), caught.value.exit_code) == (sentence, 2)


def test_a_mistake_costs_no_tensorflow_import_and_exits_2(tmp_path: Path) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "serving", "--prt=1"]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "serving: Unknown flag --prt. Did you mean --port?"
    assert "tensorflow" not in done.stderr
