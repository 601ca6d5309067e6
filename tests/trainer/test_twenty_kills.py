"""One training that is killed twenty times at random moments comes to what an undisturbed one comes to."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from trainer import export

from .conftest import ROOT, TrainerProcess

KILLS, SEED = 20, 4
STEPS = 6000
FLAGS = (f"--tf-train-steps={STEPS}", "--tf-checkpoint-every=50")

NURSERY = """
import json, os, sys, time
import keras, sklearn.datasets, tensorflow
from trainer import export, session
from trainer.__main__ import main

def late(*paths, rename=export._rename):
    time.sleep(1)
    rename(*paths)

export._rename = late
for line in sys.stdin:
    log, argv = json.loads(line)
    pid = os.fork()
    if pid == 0:
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.exit(main(argv))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Forks trainers, each a process of its own that does all that `python -m trainer` does but for 3 s of imports.

A version is written in 50 ms and is kept from its name for a second more: who kills may be late, not too late.
"""


@dataclass
class Attempt:
    """One try: when it was to be killed, how it ended, and what it said and left behind.

    `before` and `after` are the newest checkpoint's steps, `half` is a checkpoint that is not all there.
    """

    aim: str
    before: int
    code: int = 0
    said: str = ""
    after: int = 0
    half: bool = False


@dataclass
class Nursery:
    """Starts trainers for one bucket after another."""

    process: subprocess.Popen[str]

    def start(self, trainer: TrainerProcess) -> int:
        """Start a trainer; gives its pid."""
        words = [str(trainer.folder / "log"), trainer.argv(*FLAGS)[3:]]
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        """Give the next number it says: a pid, then that one's exit code."""
        assert self.process.stdout
        return int(self.process.stdout.readline())


@dataclass
class Watch:
    """Looks at a folder of versions without a pause: which were seen, whether whole, and which half-written."""

    folder: Path
    whole: dict[str, bool] = field(default_factory=dict)
    halves: set[str] = field(default_factory=set)
    looks: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self.done.wait(0.0005):
            names = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set[str]()
            for name in names - self.whole.keys():
                if name.isdigit():
                    self.whole[name] = export.is_whole(str(self.folder / name))
                else:
                    self.halves.add(name)
            self.looks += 1


@dataclass
class Ended:
    """The training that was killed, with its attempts and what the watch saw, and the one that was left alone."""

    killed: TrainerProcess
    attempts: list[Attempt]
    watch: Watch
    alone: TrainerProcess


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    killed, alone = (TrainerProcess(tmp_path_factory.mktemp(name)) for name in ("killed", "alone"))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], cwd=ROOT, env=killed.env(**quiet), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        nursery, watch = Nursery(process), Watch(killed.export)
        thread = threading.Thread(target=watch.look)
        thread.start()
        try:
            attempts = [*disturbed(killed, nursery), attempt(killed, nursery, "none", lambda pid: None)]
            alone.run(*FLAGS)  # in a Python of its own
        finally:
            watch.done.set()
            thread.join()
            process.terminate()
        yield Ended(killed, attempts, watch, alone)


def disturbed(trainer: TrainerProcess, nursery: Nursery) -> Iterator[Attempt]:
    """Kill the training in its first seconds, between two steps, while it saves and while it exports."""
    chance = random.Random(SEED)
    for aim in ["start"] * 2 + chance.choices(["train", "save"], k=12) + ["export"] * (KILLS - 14):
        on, pause = chance.randint(50, 300), chance.uniform(0, {"start": 1, "export": 0.05}.get(aim, 0.001))
        yield attempt(trainer, nursery, aim, partial(kill, trainer, aim, on, pause))


def attempt(trainer: TrainerProcess, nursery: Nursery, aim: str, meanwhile: Callable[[int], None]) -> Attempt:
    log = trainer.folder / "log"
    made, said = Attempt(aim, newest(trainer)), log.stat().st_size if log.exists() else 0
    meanwhile(pid := nursery.start(trainer))
    made.code, made.said, made.after = nursery.answer(), log.read_text()[said:], newest(trainer)
    made.half = any((trainer.bucket / "100").glob(f"*.partial-{pid}"))
    return made


def kill(trainer: TrainerProcess, aim: str, on: int, pause: float, pid: int) -> None:
    """Wait until the training has come `on` steps further and is at what is aimed at, and kill it a little later."""
    goal, run, exports = newest(trainer) + on, trainer.bucket / "100", trainer.export / f"100.partial-{pid}"
    moments: dict[str, Callable[[], bool]] = {
        "start": lambda: time.monotonic() > began + pause or newest(trainer) >= goal,
        "train": lambda: newest(trainer) >= goal,
        "save": lambda: newest(trainer) >= goal and is_stopped_within(run, pid),
        "export": exports.exists,
    }
    began = moved = time.monotonic()
    seen = newest(trainer)
    while not (moments[aim]() or exports.exists()):
        if (now := newest(trainer)) != seen:  # slow is not stuck: a disk may take its time for a hundred checkpoints
            seen, moved = now, time.monotonic()
        assert time.monotonic() < moved + 60, (trainer.folder / "log").read_text()[-1000:]
        time.sleep(0.0003)
    if aim in ("train", "export"):
        time.sleep(pause)
    os.kill(pid, signal.SIGKILL)


def is_stopped_within(run: Path, pid: int) -> bool:
    """Hold the trainer: it stays so if it is in the middle of a checkpoint, and else goes on."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.0001)
    if any(run.glob(f"*.partial-{pid}")):
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def newest(trainer: TrainerProcess) -> int:
    return max((int(name[11:19]) for name in trainer.checkpoints() if ".partial-" not in name), default=0)


def test_fault_28_twenty_attempts_were_killed_and_the_next_one_came_to_the_end(ended: Ended) -> None:
    assert [one.code for one in ended.attempts] == [-signal.SIGKILL] * KILLS + [0]


def test_fault_28_the_kills_were_on_the_way_within_checkpoints_and_within_exports(ended: Ended) -> None:
    assert len({one.after for one in ended.attempts if 0 < one.after < STEPS}) >= 8
    assert sum(one.half for one in ended.attempts) >= 3
    assert sum(one.before == STEPS for one in ended.attempts) >= 5


def test_fault_28_every_attempt_went_on_from_the_newest_checkpoint(ended: Ended) -> None:
    resumed = [(one.before, re.search(rf"Resuming after step (\d+) of {STEPS}", one.said)) for one in ended.attempts]
    assert all(int(found[1]) == before for before, found in resumed if found)
    assert all(
        found or one.before == 0 or one.aim == "start" for one, (_, found) in zip(ended.attempts, resumed, strict=True)
    )


def test_fault_28_no_kill_costs_a_checkpoint(ended: Ended) -> None:
    assert all(one.after >= one.before for one in ended.attempts)


def test_fault_28_the_weights_are_bit_for_bit_those_of_a_training_that_was_left_alone(ended: Ended) -> None:
    assert ended.killed.checkpoints() == ended.alone.checkpoints()  # a name holds the SHA-256 of weights and slots
    data = [one.export / "100/variables/variables.data-00000-of-00001" for one in (ended.killed, ended.alone)]
    assert data[0].read_bytes() == data[1].read_bytes()


def test_fault_28_the_metrics_are_those_of_a_training_that_was_left_alone(ended: Ended) -> None:
    cards = [json.loads((one.export / "100/model_card.json").read_text()) for one in (ended.killed, ended.alone)]
    assert cards[0]["metrics"] == cards[1]["metrics"]
    assert (cards[0]["resumed_from"], cards[1]["resumed_from"]) == (STEPS, 0)


def test_fault_28_the_folders_hold_what_those_of_a_training_that_was_left_alone_hold(ended: Ended) -> None:
    def held(trainer: TrainerProcess) -> set[str]:
        paths = (path.relative_to(trainer.bucket) for path in trainer.bucket.rglob("*"))
        return {path.as_posix() for path in paths if not path.name.startswith("events.")}

    assert held(ended.killed) == held(ended.alone)


def test_fault_34_no_half_version_was_ever_visible(ended: Ended) -> None:
    assert ended.watch.whole == {"100": True}
    assert len(ended.watch.halves) >= 5  # it looked while versions were being written
    assert ended.watch.looks > 1000
