"""A search on this machine: trials as processes, some at once, each as the TFJob that it would be on a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from threading import Event

from pipeline import manifests, trials, tuning
from pipeline.answering import Say
from pipeline.clusters import jobs
from pipeline.clusters.objects import store
from pipeline.errors import RunFailed
from pipeline.manifests import Manifest
from pipeline.settings import Settings
from pipeline.spaces import Value
from pipeline.tuning import Trial


def run(settings: Settings, show: Say) -> None:
    """Run the trials that are left, round by round; a line for each that ends.

    Ctrl-C and SIGTERM end all that run, each after a checkpoint; what has ended is kept in the bucket. RunFailed where
    every trial failed.
    """
    progress = Progress(settings, show)
    while left := tuning.due(settings, tuning.ended(settings)):
        together(settings, left, progress)
    ended = tuning.ended(settings)
    if not tuning.winner(settings, ended):
        raise RunFailed(f"every trial failed; the first: {ended[0].failure if ended else 'there was none'}")


def together(settings: Settings, left: list[tuple[int, int]], progress: Progress) -> None:
    """Run trials, so many at once as the settings say."""
    stopping = Event()
    with ThreadPoolExecutor(settings.tuning.parallel) as pool:
        waiting = [pool.submit(attempt, settings, number, steps, stopping.is_set) for number, steps in left]
        try:
            for done in as_completed(waiting):
                progress.tell(done.result())
        except BaseException:
            stopping.set()
            cancel(waiting)
            raise


def cancel(waiting: list[Future[Trial]]) -> None:
    for one in waiting:
        one.cancel()


def attempt(settings: Settings, number: int, steps: int, stopped: Callable[[], bool]) -> Trial:
    """Run one trial to its end; one that fails is written down, one that was stopped is not."""
    name, values = tuning.place_of(settings, number, steps), tuning.values_of(settings, number)
    started, lost = time.monotonic(), "it ended well and left no result"
    try:
        job = job_of(settings, name, values, steps)
        jobs.run(job, settings.build, store(settings), lambda line: None, stopped)
        found = [trial for trial in tuning.ended(settings) if (trial.name, trial.steps) == (name, steps)]
        trial = found[0] if found else Trial(name, steps, values, failure=lost)
    except RunFailed as error:
        trial = Trial(name, steps, values, failure=str(error.message))
    if trial.failure and not stopped():
        tuning.record_failure(settings, trial)
    return replace(trial, seconds=time.monotonic() - started)


def job_of(settings: Settings, name: str, values: dict[str, Value], steps: int) -> Manifest:
    """The TFJob of a trial, named after it."""
    job = manifests.render(trials.trained(settings, dict(values), steps), "train", "0")[0]
    place = tuning.folder(settings)
    made = trials.measured(settings, job, f"{settings.bucket}/{place}/{name}", threads(settings))
    made["metadata"]["name"] = f"{place.removeprefix('tune/')}-{name}"
    return made


def threads(settings: Settings) -> int:
    """Threads for each operation: the processors shared out among the trials that run at once."""
    return max(1, (os.cpu_count() or 1) // settings.tuning.parallel)


class Progress:
    """Says of each trial that ends what it reached, what is best so far, and how long the rest will take."""

    def __init__(self, settings: Settings, show: Say) -> None:
        before = tuning.ended(settings)
        self.settings, self.show = settings, show
        self.found = before
        self.seconds, self.steps = 0.0, 0
        if before:
            show(f"ended before: {len(before)} of {tuning.total(settings)}")

    def tell(self, trial: Trial) -> None:
        self.found.append(trial)
        self.seconds, self.steps = self.seconds + trial.seconds, self.steps + trial.steps
        reached = f"failed: {trial.failure.splitlines()[0]}" if trial.failure else tuning.figure(self.settings, trial)
        best = min(self.found, key=lambda one: tuning.rank(self.settings, one))
        so_far = "" if best.failure else f"; best {tuning.figure(self.settings, best)} ({best.name})"
        head = f"{len(self.found)} of {tuning.total(self.settings)}: {trial.name}, {tuning.told(trial.values)}"
        self.show(f"{head}: {reached} in {trial.seconds:.1f} s{so_far}; about {self.left():.0f} s left")

    def left(self) -> float:
        """Seconds: the steps that are still to be done, at the pace of those that were done by now."""
        whole = sum(count * steps for count, steps in tuning.rounds(self.settings))
        done = sum(trial.steps for trial in self.found)
        pace = self.seconds / max(1, self.steps) / self.settings.tuning.parallel
        return max(0.0, (whole - done) * pace)
