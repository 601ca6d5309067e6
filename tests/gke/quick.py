"""Stages brought up in a fake cloud by this very process: no pause is waited for, but each is counted."""

from __future__ import annotations

import contextlib
import copy
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit

from cloud import Cloud
from conftest import copied
from pipeline import running
from pipeline.clusters.workloads import POLL

CLUSTER = "mnist-staging"
FIXED = ("hooks", "live clusters")
"""Of a cloud's state, what is not data."""


@dataclass(frozen=True)
class Told:
    """What came of a run: its exit code and words, the writes that it made, and the pauses that it wanted."""

    code: int
    said: str
    writes: list[str]
    pauses: list[float] = field(default_factory=list)

    @property
    def error(self) -> str:
        """The message with which it ended."""
        return self.said.partition("\nerror: ")[2]


class Quick:
    """One environment in one fake cloud, in which stages are brought up again and again.

    `poll`: seconds between two looks at what is waited for; longer ones make fewer.
    """

    def __init__(self, cloud: Cloud, env: str = "staging") -> None:
        self.cloud, self.env, self.poll = cloud, env, POLL
        cloud.checkout.root.joinpath("build").mkdir(exist_ok=True)

    @property
    def cluster(self) -> Any:
        return self.cloud.world.cluster(CLUSTER)

    @property
    def bucket(self) -> dict[str, bytes]:
        return self.cloud.world.objects("demo-project-1-mnist-staging-bucket")

    def up(self, *names: str, changes: tuple[str, ...] = (), **options: Any) -> Told:
        """What `invoke NAMES` does."""
        return self.told(lambda c: running.up(c, *names, **options), changes)

    def plan(self, *names: str, changes: tuple[str, ...] = ()) -> Told:
        return self.told(lambda c: running.plan(c, *names), changes)

    def look(self, act: Callable[[Context], None], changes: tuple[str, ...] = ()) -> Told:
        """What a task that changes nothing does, such as `views.status`."""
        return self.told(act, changes)

    def told(self, act: Callable[[Context], None], changes: tuple[str, ...]) -> Told:
        """Do it in the cloud as the process that invoke would have started; the message is the last that it says."""
        chosen = {"environment": self.env, "set": [*self.cloud.sets, *changes]}
        said, pauses, code = io.StringIO(), list[float](), 0
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
        self.cloud.state.writes.clear()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
            for name, value in self.cloud.environ().items():
                patch.setenv(name, value)
            patch.setattr("pipeline.settings.ROOT", self.cloud.checkout.root)
            patch.setattr("pipeline.execution.time", clock)
            patch.setattr("pipeline.clusters.workloads.POLL", self.poll)
            try:
                act(Context(Config(overrides={"pipeline": chosen})))
            except Exit as error:
                code = error.code
                print(f"\nerror: {error.message}")
        return Told(code, said.getvalue(), list(self.cloud.state.writes), pauses)

    def restoring(self) -> Callable[[], None]:
        """What brings the cloud's data back to what it is now; faults and what was to go wrong are forgotten."""
        state = self.cloud.state
        whole = {name: copy.deepcopy(one) for name, one in state.objects.items() if name not in FIXED}
        forget = self.cluster.controllers.remembering()

        def restore() -> None:
            with state.lock:
                state.faults.clear()
                self.cluster.heal()
                forget()
                for name, one in state.objects.items():
                    if name not in FIXED:
                        one.clear()
                        one.update(copy.deepcopy(whole.get(name, {})))
            for folder in self.cloud.export.glob("*"):
                if f"export/{folder.name}/model_card.json" not in self.bucket:
                    shutil.rmtree(folder)
                    self.cloud.served.discard(folder.name)
            self.cloud.start_anew(self.cluster)

        return restore

    @property
    def tags(self) -> list[str]:
        """The tags of the runs and versions in the bucket."""
        return sorted({tag for name in self.bucket for tag in re.findall(r"\b\d{10}\b", name)})


T = TypeVar("T")


def played_once(there: Quick, play: Callable[[str], T]) -> Callable[[str], T]:
    """What came of each scene, by its name; it is played when it is first asked for, and then undone."""
    known: dict[str, T] = {}
    restore = there.restoring()

    def of(name: str) -> T:
        if name not in known:
            known[name] = play(name)
            restore()
        return known[name]

    return of


@contextlib.contextmanager
def quick(folder: Path, version: Path, *stages: str) -> Iterator[Quick]:
    """An environment in which these stages are up."""
    cloud = Cloud(copied(folder / "checkout"), folder, version)
    try:
        made = Quick(cloud)
        first = made.up(*stages)
        assert first.code == 0, first.said
        yield made
    finally:
        cloud.close()
