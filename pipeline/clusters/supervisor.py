"""supervisord for one environment: keeps Deployments' processes up after invoke has ended."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from pipeline.clusters.pods import Process
from pipeline.errors import PipelineError, RunFailed
from pipeline.files import write
from pipeline.processes import end, environment, marked
from pipeline.settings import ROOT

GONE = (OSError, xmlrpc.client.ProtocolError)
"""What a call raises when no supervisor listens, or a frozen one does not answer in time."""

SHUTTING_DOWN = 6
"""supervisord's fault code for a call that comes while it ends its programs (supervisor.xmlrpc.Faults)."""

PATIENCE = 45.0
"""Seconds for one call, and for a supervisor to end: longer than the 30 s that it gives a program to stop."""

CONFIG = """\
[unix_http_server]
file={socket}
chmod=0700
[supervisord]
logfile={logs}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=2
pidfile={home}/supervisord.pid
childlogdir={logs}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """\
[program:{name}]
command="{python}" -m pipeline.clusters.launch "{spec}"
directory={root}
autorestart=true
startsecs=1
; About three minutes of ever longer pauses; then its state is FATAL, which `invoke status` shows.
startretries=20
stopwaitsecs=30
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={twice}/{name}.log
stdout_logfile_maxbytes=2MB
stdout_logfile_backups=3
"""


class Supervisor:
    """The supervisor of one build folder: at most one lives, found by its socket."""

    def __init__(self, build: Path) -> None:
        self.build, self.home, self.logs = build, build / "run", build / "logs"
        self.socket = self.home / "supervisor.sock"
        if len(str(self.socket)) > 100:  # a socket's path holds 107 bytes on Linux, 103 on macOS
            digest = hashlib.sha256(f"{os.getuid()}:{build}".encode()).hexdigest()[:16]
            # Not TMPDIR: it differs from shell to shell, and the next one must find the same supervisor.
            self.socket = Path("/tmp") / f"pipeline-{digest}.sock"  # noqa: S108

    def call(self, name: str, *arguments: Any, seconds: float = PATIENCE) -> Any:
        """What supervisord answers to a call; None where none listens or answers in time.

        One that is shutting down is waited for. Raises RunFailed with its own words for any other fault.
        """
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        deadline, before = time.monotonic() + PATIENCE, socket.getdefaulttimeout()
        socket.setdefaulttimeout(seconds)  # the transport has no time limit of its own
        try:
            while True:
                try:
                    return getattr(xmlrpc.client.ServerProxy("http://localhost", transport).supervisor, name)(
                        *arguments
                    )
                except xmlrpc.client.Fault as fault:
                    if fault.faultCode != SHUTTING_DOWN:
                        raise RunFailed(f"supervisord refused {name}: {fault.faultString}") from None
                    if time.monotonic() > deadline:
                        return None
                    time.sleep(0.2)
        except GONE:
            return None
        finally:
            transport.close()
            socket.setdefaulttimeout(before)

    def pid(self) -> int | None:
        """The live supervisor's process id, None if there is none that answers."""
        pid = self.call("getPID", seconds=3)
        return None if pid is None else int(pid)

    def start(self) -> None:
        """Start a supervisor unless one lives; it goes on when this process ends."""
        if self.pid() is not None:
            return
        for folder in (self.home / "programs", self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self.configure()
        argv = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self.home / "supervisord.conf"),
        ]
        done = subprocess.run(argv, env=environment(self.build), cwd=ROOT, capture_output=True, text=True, check=False)
        deadline = time.monotonic() + 10
        while self.pid() is None:
            if done.returncode or time.monotonic() > deadline:
                raise RunFailed(f"supervisord did not start: {(done.stderr or done.stdout).strip()[-300:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Stop the supervisor and all it keeps up; how many processes ended."""
        pid = self.pid()
        if pid is None:
            self.socket.unlink(missing_ok=True)
            return 0
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        self.call("shutdown")
        alive = psutil.wait_procs(family, timeout=40)[1]
        end(alive)
        self.socket.unlink(missing_ok=True)
        return len(family)

    def states(self) -> dict[str, dict[str, Any]]:
        """Each program's state as supervisord tells it, by name; empty without a supervisor."""
        return {one["name"]: one for one in self.call("getAllProcessInfo", seconds=3) or []}

    def runs(self, name: str, process: Process) -> bool:
        """Whether the program is up with this very process."""
        state = self.states().get(name, {}).get("statename")
        return state in ("RUNNING", "STARTING") and self.spec(name) == json.loads(json.dumps(process.spec()))

    def path(self, name: str) -> Path:
        return self.home / "programs" / f"{name}.json"

    def spec(self, name: str) -> Any:
        try:
            return json.loads(self.path(name).read_text())
        except (FileNotFoundError, ValueError):  # what cannot be read is not what should run
            return None

    def halt(self, name: str) -> None:
        """Stop a program, if it is there; it stays known."""
        if self.states().get(name, {}).get("statename") in ("RUNNING", "STARTING", "BACKOFF"):
            self.call("stopProcess", name)

    def put(self, name: str, process: Process) -> None:
        """Run this process under this name, instead of what ran there."""
        self.start()
        self.halt(name)
        write(self.path(name), json.dumps(process.spec(), indent=1))
        self.configure()
        self.call("reloadConfig")
        if name in self.states():
            self.call("startProcess", name, False)
        else:
            self.call("addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Stop a program and forget it."""
        self.halt(name)
        self.path(name).unlink(missing_ok=True)
        if name in self.states():
            self.call("removeProcessGroup", name)

    def configure(self) -> None:
        """Write supervisord's one file, with a section for every program that is known."""
        specs = sorted((self.home / "programs").glob("*.json"))
        # supervisord expands percent signs in a log's path twice.
        places = {"python": escaped(sys.executable), "root": escaped(ROOT), "twice": escaped(escaped(self.logs))}
        head = CONFIG.format(socket=escaped(self.socket), home=escaped(self.home), logs=escaped(self.logs))
        programs = [PROGRAM.format(name=spec.stem, spec=escaped(spec), **places) for spec in specs]
        write(self.home / "supervisord.conf", head + "".join(programs))

    def recover(self) -> int:
        """End what runs for this build folder without a supervisor or a job over it; how many there were."""
        pid, kept = self.pid(), {os.getpid()}
        if pid is not None:
            kept |= {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
        return end(process for process in marked(self.build) if process.pid not in kept)


def escaped(value: object) -> str:
    """A value as supervisord's file takes it: percent signs doubled; what it cannot hold is refused."""
    text = str(value)
    if re.search(r"[\"\n]|\s[;#]", text):
        raise PipelineError(
            f'{text}: supervisord takes no path with a quote, or with ";" or "#" behind a space: move it'
        )
    return text.replace("%", "%%")
