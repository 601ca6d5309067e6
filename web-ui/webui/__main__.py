"""`python -m webui`: read flags and variables, listen, serve the page until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from webui import limits
from webui.servers import read_port
from webui.settings import Settings, SettingsError

access = logging.getLogger("webui.access")


def main(argv: Sequence[str]) -> int:
    """Serve; the exit code is 0 when told to stop, 1 for a port that cannot be had, 2 for a mistake."""
    flags = _parser().parse_args(argv)
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as error:
        return _say(str(error), 2)
    # Loaded behind the checks: a mistake is said at once, not after Flask and gRPC.
    from webui import create_app
    from webui.http_server import HttpServer, listen

    try:
        sock = listen(flags.host, flags.port)
    except OSError as error:
        return _say(f"Cannot listen on {flags.host}, port {flags.port}: {error.strerror.partition(' (')[0]}.", 1)
    _log_requests()
    app = create_app(settings=settings)
    server = HttpServer(app, sock, app.extensions["lifecycle"], flags.request_seconds, flags.drain_seconds)
    _on_signals(server.stop)
    access.info("listening on %s, port %d", flags.host, flags.port)
    server.run()
    return 0


def _say(sentence: str, code: int) -> int:
    print(f"web-ui: {sentence}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SystemExit(_say(f"{message[0].upper()}{message[1:]}.", 2))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m webui",
        description="Serve the page that shows test images to a model server.",
        epilog="Which model, which server, and where test images are is told by variables: docs/containers.md. "
        "Ends with 0 after SIGTERM or SIGINT, 1 for a port that is taken, 2 for a mistake in flags or variables.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all, :: for IPv6 too (127.0.0.1)")
    add("--port", type=_port, default=5000, help="HTTP port (5000)")
    add(
        *("--request-seconds",),
        type=_seconds,
        default=float(limits.REQUEST_S),
        help=f"a client's time for a whole request, and for reading the answer ({limits.REQUEST_S})",
    )
    add(
        *("--drain-seconds",),
        type=_seconds,
        default=limits.DRAIN_S,
        help=f"after SIGTERM, how long connections are still taken while /readyz says 503 ({limits.DRAIN_S:g})",
    )
    return parser


def _port(text: str) -> int:
    try:
        return read_port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no port, a whole number from 1 to 65535") from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 3600")
    return seconds


def _log_requests() -> None:
    """A line for each on stdout; how many wait for a thread is no news."""
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("%(message)s"))
    access.addHandler(lines)
    access.setLevel(logging.INFO)
    access.propagate = False
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _on_signals(stop: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


if __name__ == "__main__":
    _on_signals(lambda: sys.exit(0))  # during the first moments, before there is anything to stop
    sys.exit(main(sys.argv[1:]))
