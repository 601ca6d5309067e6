"""supervisord for one environment: keeps Deployments' processes up after invoke has ended."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from pipeline.clusters.pods import Process
from pipeline.errors import RunFailed
from pipeline.execution import write
from pipeline.processes import end, environment, marked
from pipeline.settings import ROOT

GONE = (ConnectionError, FileNotFoundError, xmlrpc.client.ProtocolError)
"""What a call raises when no supervisor listens."""

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
[include]
files={home}/programs/*.conf
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
stdout_logfile={logs}/{name}.log
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

    @property
    def rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        return xmlrpc.client.ServerProxy("http://localhost", transport).supervisor

    def pid(self) -> int | None:
        """The live supervisor's process id, None if there is none."""
        try:
            return int(self.rpc.getPID())
        except GONE:
            return None

    def start(self) -> None:
        """Start a supervisor unless one lives; it goes on when this process ends."""
        if self.pid() is not None:
            return
        for folder in (self.home / "programs", self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        text = CONFIG.format(socket=self.socket, logs=escaped(self.logs), home=escaped(self.home))
        write(self.home / "supervisord.conf", text)
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
        self.rpc.shutdown()
        alive = psutil.wait_procs(family, timeout=40)[1]
        end(alive)
        self.socket.unlink(missing_ok=True)
        return len(family)

    def states(self) -> dict[str, dict[str, Any]]:
        """Each program's state as supervisord tells it, by name; empty without a supervisor."""
        try:
            return {one["name"]: one for one in self.rpc.getAllProcessInfo()}
        except GONE:
            return {}

    def runs(self, name: str, process: Process) -> bool:
        """Whether the program is up with this very process."""
        state = self.states().get(name, {}).get("statename")
        return state in ("RUNNING", "STARTING") and self.spec(name) == json.loads(json.dumps(process.spec()))

    def spec(self, name: str) -> Any:
        path = self.home / "programs" / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def halt(self, name: str) -> None:
        """Stop a program, if it is there; it stays known."""
        if self.states().get(name, {}).get("statename") in ("RUNNING", "STARTING", "BACKOFF"):
            self.rpc.stopProcess(name)

    def put(self, name: str, process: Process) -> None:
        """Run this process under this name, instead of what ran there."""
        self.start()
        self.halt(name)
        spec = self.home / "programs" / f"{name}.json"
        write(spec, json.dumps(process.spec(), indent=1))
        conf = PROGRAM.format(
            name=name,
            python=escaped(sys.executable),
            spec=escaped(spec),
            root=escaped(ROOT),
            logs=escaped(self.logs),
        )
        write(spec.with_suffix(".conf"), conf)
        self.rpc.reloadConfig()
        if name not in self.states():
            self.rpc.addProcessGroup(name)
        else:
            self.rpc.startProcess(name, False)

    def recover(self) -> int:
        """End what runs for this build folder without a supervisor or a job over it; how many there were."""
        pid, kept = self.pid(), {os.getpid()}
        if pid is not None:
            kept |= {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
        return end(process for process in marked(self.build) if process.pid not in kept)


def escaped(value: object) -> str:
    """A value as supervisord's file takes it: it expands percent signs."""
    return str(value).replace("%", "%%")
