"""The command line: the flags of tensorflow_model_server that this server knows, --host and --share_ports."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from serving.errors import StartError


@dataclass(frozen=True)
class Flags:
    """The command line, checked; ports are 0 where that API is off."""

    host: str
    port: int
    rest_api_port: int
    model_name: str
    model_base_path: str
    file_system_poll_wait_seconds: int
    model_config_file: Path | None
    model_config_file_poll_wait_seconds: int
    allow_version_labels_for_unavailable_models: bool
    monitoring_config_file: Path | None
    enable_grpc_healthcheck_service: bool
    share_ports: bool


def parse(argv: Sequence[str]) -> Flags:
    """Flags from the command line; StartError with one sentence where something is wrong."""
    parser = _parser()
    values, unknown = parser.parse_known_args(argv)
    if unknown:
        raise StartError(_unknown(unknown[0], parser))
    flags = Flags(**vars(values))
    if not flags.model_base_path and flags.model_config_file is None:
        raise StartError("Neither --model_base_path nor --model_config_file is given: say what to serve.")
    if not flags.port and not flags.rest_api_port:
        raise StartError("--port and --rest_api_port are both 0: there is nothing to listen on.")
    if flags.port == flags.rest_api_port:
        raise StartError(f"--port and --rest_api_port are both {flags.port}: each needs a port of its own.")
    return flags


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise StartError(f"{message[0].upper()}{message[1:]}.")


def _parser() -> argparse.ArgumentParser:
    # Defaults: tensorflow_serving/model_servers/main.cc; only --host and --share_ports are our own.
    parser = _Parser(prog="python -m serving", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on; tensorflow_model_server always takes 0.0.0.0",
    )
    add("--port", type=_port, default=8500, help="gRPC port, 0 for none (8500)")
    add("--rest_api_port", type=_port, default=0, help="HTTP port, 0 for none (0)")
    add("--model_name", default="default", help="ignored with --model_config_file")
    add("--model_base_path", default="", help="the folder that holds the versions")
    add(
        "--file_system_poll_wait_seconds",
        type=_seconds,
        default=1,
        help="between two looks; 0 looks once (1)",
    )
    add("--model_config_file", type=Path, default=None, help="a ModelServerConfig in protobuf's text form")
    add(
        "--model_config_file_poll_wait_seconds",
        type=_seconds,
        default=0,
        help="between two looks at that file; 0 looks once (0)",
    )
    add(
        "--allow_version_labels_for_unavailable_models",
        type=_bool,
        nargs="?",
        const=True,
        default=False,
        help="a label that is new may name a version that is not loaded yet; without it none can at the start (false)",
    )
    add("--monitoring_config_file", type=Path, default=None, help="a MonitoringConfig in protobuf's text form")
    add("--enable_grpc_healthcheck_service", type=_bool, nargs="?", const=True, default=False)
    add(
        "--share_ports",
        type=_bool,
        nargs="?",
        const=True,
        default=False,
        help="take ports that a process of ours is about to leave, once versions are loaded",
    )
    return parser


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("--"):
        return f"Unexpected argument {argument!r}: every argument is --flag=value."
    known = [name for name in parser._option_string_actions if name.startswith("--")]
    close = difflib.get_close_matches(argument.partition("=")[0], known, n=1)
    hint = f"Did you mean {close[0]}?" if close else "`python -m serving --help` lists what it knows."
    return f"Unknown flag {argument.partition('=')[0]}. {hint}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, a number from 0 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of seconds, 0 or more")
    return int(text)


def _bool(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]
