"""A TFJob as processes on this machine, with the TF_CONFIG, restarts and limits that the training operator gives it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.clusters.objects import Objects
from pipeline.clusters.pods import Process, process
from pipeline.errors import RunFailed
from pipeline.processes import end_group, environment
from pipeline.trainerlog import readable, readable_text

ROLES = ("Chief", "Master", "Worker", "PS", "Evaluator")
"""Replica types in the order in which they start; success is the first one's success."""

LONGEST_PAUSE = 8.0
"""Seconds before a restart at most; the kubelet's own cap of five minutes serves machines, not people who wait."""


LOGS_KEPT = 20
"""Replicas' logs that are kept, the newest ones; supervised programs' logs are rotated by their size."""


@dataclass
class Replica:
    """One pod of the job: its process, its log, and how often it was started again."""

    name: str
    role: str
    policy: str
    process: Process
    log: Path
    child: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    due: float = 0.0
    succeeded: bool = False
    seen: int = field(default=0)

    def start(self, build: Path) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.process.argv, env=environment(build, self.process.env), cwd=self.process.cwd,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def lines(self) -> list[str]:
        """The whole lines that its log has gained since the last look, as people read them."""
        with self.log.open("rb") as log:
            log.seek(self.seen)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.seen += len(whole)
        return [line for one in whole.decode(errors="replace").splitlines() for line in readable(one)]


def run(
    job: dict[str, Any],
    build: Path,
    objects: Objects,
    show: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Run a TFJob to its end, showing the first replica's log lines; raises RunFailed with the last ones.

    Success is the chief's (without one, worker 0's) exit with 0. However this ends, no replica is left running: on
    Ctrl-C and SIGTERM each gets SIGTERM and its grace period to save a checkpoint. `stopped()` is asked all the time:
    another thread's way to end it, with RunFailed.
    """
    prune(build / "logs")
    grace, limits = grace_of(job), job["spec"].get("runPolicy", {})
    replicas = plan(job, build, objects)
    deadline = time.monotonic() + limits.get("activeDeadlineSeconds", float("inf"))
    try:
        for replica in replicas:
            replica.start(build)
        while not replicas[0].succeeded:
            time.sleep(0.1)
            for replica in replicas:
                watch(replica, limits.get("backoffLimit", 6), build, show)
            for line in replicas[0].lines():
                show(line)
            if stopped():
                raise RunFailed(f"{replicas[0].name} was stopped")
            if time.monotonic() > deadline:
                raise RunFailed(f"{replicas[0].name}: not done after activeDeadlineSeconds, so it was stopped")
    finally:
        stop(replicas, grace)
        for line in replicas[0].lines():
            show(line)


def prune(logs: Path) -> None:
    """Delete the oldest replicas' logs but for the ones that are kept; their names end in the replica's index."""
    with contextlib.suppress(FileNotFoundError):  # a job beside this one does the same
        for path in sorted(logs.glob("*-[0-9].log"), key=lambda path: path.stat().st_mtime)[:-LOGS_KEPT]:
            path.unlink()


def grace_of(job: dict[str, Any]) -> float:
    specs = job["spec"]["tfReplicaSpecs"].values()
    return max(float(spec["template"]["spec"].get("terminationGracePeriodSeconds", 30)) for spec in specs)


def plan(job: dict[str, Any], build: Path, objects: Objects) -> list[Replica]:
    """The job's replicas, each with its TF_CONFIG; a lone replica gets none, as the operator has it."""
    specs = job["spec"]["tfReplicaSpecs"]
    members = [
        (role, index)
        for role in ROLES
        for index in range(specs.get(role, {}).get("replicas", 1) if role in specs else 0)
    ]
    hosts: dict[str, list[str]] = {}
    for (role, _), port in zip(members, free_ports(len(members)), strict=True):
        hosts.setdefault(role.lower(), []).append(f"127.0.0.1:{port}")
    replicas = []
    for role, index in members:
        name = f"{job['metadata']['name']}-{role.lower()}-{index}"
        made = process(specs[role]["template"]["spec"], name, build / "volumes", objects)
        if len(members) > 1:
            task = {"type": role.lower(), "index": index}
            made.env["TF_CONFIG"] = json.dumps({"cluster": hosts, "task": task, "environment": "cloud"})
        log = build / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        policy = specs[role].get("restartPolicy", "Never")
        replicas.append(Replica(name, role, policy, made, log, seen=log.stat().st_size))
    return replicas


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago; all are held until the last is found, so none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def watch(replica: Replica, backoff_limit: int, build: Path, show: Callable[[str], None]) -> None:
    """Look at one replica: note its success, start it again when its policy says so, or fail the job."""
    if replica.child is None:
        if time.monotonic() >= replica.due:
            replica.start(build)
        return
    code = replica.child.poll()
    if code is None or replica.succeeded:
        return
    code = 128 - code if code < 0 else code  # as a shell and the operator count a signal
    if code == 0 and replica.policy != "Always":
        replica.succeeded = True
        return
    if not retried(replica.policy, code) or replica.restarts >= backoff_limit:
        raise RunFailed(failure(replica, code, backoff_limit))
    replica.restarts += 1
    pause = min(LONGEST_PAUSE, 2.0 ** (replica.restarts - 1))
    replica.child, replica.due = None, time.monotonic() + pause
    show(f"{replica.name} ended with {code}; restart {replica.restarts} of {backoff_limit} in {pause:g} s")


def retried(policy: str, code: int) -> bool:
    """Whether a replica that ended is started again: ExitCode takes 1 to 127 for permanent (training operator)."""
    return {"Always": True, "OnFailure": code != 0, "ExitCode": code >= 128}.get(policy, False)


def failure(replica: Replica, code: int, backoff_limit: int) -> str:
    """How the job failed, and the replica's own last words."""
    after = f" after {replica.restarts} restarts (backoffLimit {backoff_limit})" if replica.restarts else ""
    said = readable_text(replica.log.read_text(errors="replace"))
    words = said.strip().splitlines()[-3:] or ["it said nothing"]
    return f"{replica.name} ended with {code}{after}\n  " + "\n  ".join(words) + f"\n  its whole log: {replica.log}"


def stop(replicas: list[Replica], grace: float) -> None:
    """End every replica that still runs, all at once first, so that their grace periods run together."""
    running = [replica.child for replica in replicas if replica.child is not None]
    for child in running:
        if child.poll() is None:
            child.terminate()
    for child in running:
        end_group(child, grace)
