"""Breaks runs of invoke off at a write: it fails, its answer is lost, or who asked for it is killed."""

from __future__ import annotations

import contextlib
import copy
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psutil

from cloud import Cloud
from fakes.state import Request
from pipeline.processes import marked
from tests.gke.flows import Run

KILLED = -9
FOREVER = 10**9
TOO_MANY = 60
"""Runs after which a chain of them is not going to end."""

TAG = re.compile(r"\b[0-9]{10}\b")


def plain(lines: Iterable[str]) -> list[str]:
    """Lines that are the same for two environments that hold the same things: a version's tag is the time.

    A run that begins anew leaves the Job that looked before it; that one goes by itself after ten minutes.
    """
    return sorted({TAG.sub("<tag>", line) for line in lines})


def named(request: Request) -> str:
    """A write by what it is about: two objects of a kind are made with the same line, and changed in several ways."""
    how, about = request.headers.get("content-type", ""), ""
    if how.startswith("multipart/related"):  # an upload: its first part says what it is to be called
        about = " ".join(re.findall('"name": *"([^"]+)"', request.body.decode(errors="replace"))[:1])
    if how == "application/json":
        body = request.json
        about = body.get("metadata", {}).get("name") or body.get("image", "")
    return f"{request} {how if request.method == 'PATCH' else ''} {TAG.sub('<tag>', about)}"


class Breaking:
    """Breaks runs off at writes, each write once; `met` has those that it happened to, in their order.

    `stride`: which of a run's new writes it is that fails or at which it dies; those before it are let through.
    """

    def __init__(self, cloud: Cloud, stride: int = 1) -> None:
        self.cloud, self.skip, self.met = cloud, stride - 1, list[str]()

    def fails(self, *words: str, once: bool = False, status: int = 403, pattern: str = "") -> Run:
        """A run whose first new write fails, and all after that one too, or with `once` none of them."""
        before = list(self.met)

        def note(request: Request) -> None:
            if self.met == before:
                self.met.append(named(request))

        return self.run(words, pattern=pattern, status=status, times=1 if once else FOREVER, skip=self.skip, then=note,
                        where=lambda request: named(request) not in before)  # fmt: skip

    def loses(self, *words: str, **how: Any) -> Run:
        """A run in which every new write is carried out, but not answered well the first time."""
        return self.run(words, times=FOREVER, done_first=True, then=self.note, where=self.new, **how)

    def dies(self, *words: str, kill: Callable[[psutil.Process], None], pattern: str = "", delay: float = 0) -> Run:
        """A run that is killed at its first new write, which is carried out all the same, after a delay."""
        return self.run(words, kill, pattern=pattern, delay=delay, skip=self.skip, then=self.note, where=self.new)

    def new(self, request: Request) -> bool:
        return named(request) not in self.met

    def note(self, request: Request) -> None:
        self.met.append(named(request))

    def run(self, words: Iterable[str], kill: Callable[[psutil.Process], None] | None = None, *,
            then: Callable[[Request], None], pattern: str = "", **fault: Any) -> Run:  # fmt: skip
        """Run invoke while its writes meet a fault."""
        self.cloud.state.writes.clear()
        process = subprocess.Popen(
            self.cloud.argv(*words), cwd=self.cloud.checkout.root, env=self.cloud.environ(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

        def meets(request: Request) -> None:
            then(request)
            if kill:
                kill(psutil.Process(process.pid))

        self.cloud.state.fault(pattern, writes=True, then=meets, **fault)
        try:
            said, _ = process.communicate(timeout=120)
        finally:
            process.kill()
            self.cloud.state.faults.clear()
        return Run(process.returncode, said, list(self.cloud.state.writes), self.cloud.world.summary())


def until_done(run: Callable[..., Run], *stages: str) -> list[Run]:
    """Runs, one after the other, up to the first that succeeds; each begins with the stage that the last broke off in.

    The last succeeds with what was still to be done, so that together they are one whole run.
    """
    runs = [run(*stages)]
    while runs[-1].code and len(runs) < TOO_MANY:
        stages = stages and stages[stages.index(stage_of(runs[-1])) :]
        runs.append(run(*stages))
    return runs


def enough(broken: int, writes: int, stride: int) -> bool:
    """Whether so many runs were broken off as a whole run's writes ask for; with a stride some writes come again."""
    return broken == writes if stride == 1 else writes // (stride + 1) <= broken < writes


def stage_of(run: Run) -> str:
    """The stage in which a run ended."""
    return run.said.rpartition("==> ")[2].split()[0]


def kill_all(process: psutil.Process) -> None:
    """As a machine that loses its power ends them: the process and all that it has started, at once."""
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def way_on(run: Run) -> list[str]:
    """The command that a run said to go on with, as a shell takes it apart."""
    told = re.search(r"go on with: (invoke .+)$", run.said, re.MULTILINE)
    assert told, f"it does not say how to go on:\n{run.said}"
    return shlex.split(told[1])


SAID_AGAIN = re.compile("PATCH |POST .*/jobs$")
"""Writes that say again what is so already, as a server-side apply does, and the Job that looks before a training."""


def changed_once(runs: Iterable[Run]) -> list[str]:
    """The writes of several runs, in their order; those that may be said again only where they came first."""
    lines = [line for run in runs for line in run.writes]
    return [line for place, line in enumerate(lines) if not SAID_AGAIN.match(line) or line not in lines[:place]]


def left_running(cloud: Cloud, env: str = "staging") -> list[str]:
    """The command lines of what runs for the environment on this machine."""
    return [" ".join(process.cmdline()) for process in marked(cloud.checkout.root / "build" / env)]


@contextlib.contextmanager
def kept(cloud: Cloud) -> Iterator[Callable[[], None]]:
    """Gives what brings the whole cloud back to what it is now; meanwhile its clusters stay within reach."""
    state = cloud.state
    clusters = dict(state.of("live clusters"))
    fixed = {"hooks": dict(state.of("hooks")), "live clusters": clusters}
    whole = {name: copy.deepcopy(one) for name, one in state.objects.items() if name not in fixed}

    def bring_back() -> None:
        with state.lock:
            for name, one in state.objects.items():
                one.clear()
                one.update(fixed[name] if name in fixed else copy.deepcopy(whole.get(name, {})))
            for cluster in clusters.values():
                cluster.closed = False

    for cluster in clusters.values():
        cluster.front.close = lambda: None
    try:
        yield bring_back
    finally:
        for cluster in clusters.values():
            del cluster.front.close
            cluster.close()
