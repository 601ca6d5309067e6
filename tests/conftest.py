"""A checkout of one's own for every test that runs invoke: real files, real processes, and none left behind."""

from __future__ import annotations

import compileall
import contextlib
import fcntl
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from pipeline.clusters.supervisor import Supervisor
from pipeline.processes import end, marked
from ports import row_of_ports

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("tasks.py", "inv", "pipeline", "config", "templates", "trainer", "serving", "web-ui", "notebooks", "bench",
         "requirements.txt", "requirements-dev.txt", "constraints.txt")  # fmt: skip

SMALL = ("--set", "training.steps=60", "--set", "data.dataset=digits", "--set", "training.model=linear")
"""A training of a few seconds that needs no network."""

NO_GATE = ("serving.gate.min_accuracy=0", "serving.gate.max_drop=1")
"""Settings with which a version that learned for a second is served: a test of the gate takes others."""

NOT_PASSED_ON = ("MNIST_DIR", "INVOKE_ENV", "PIPELINE_COMMAND")
"""Variables of whoever runs the tests that would change what invoke does."""

for _name in ("INVOKE_ENV", "PIPELINE_COMMAND"):
    os.environ.pop(_name, None)  # `./inv test` sets the second; what runs within the tests' own process reads it too

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of a thousand starts of Python compiles all that it imports
sys.dont_write_bytecode = False

hypothesis.settings.register_profile("here", deadline=None)  # an example's time says how busy the machine is
hypothesis.settings.load_profile("here")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it that runs the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST = (ROOT / "tests" / "longest.txt").read_text().split()
"""The files that take half a minute or more, the longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that run the longest: a process that is left with one at the end has all others wait."""
    place = {ROOT / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))
    for item in items:
        if item.get_closest_marker("timed"):
            item.add_marker(pytest.mark.flaky(reruns=2))
    if not config.getoption("--every"):
        for item in items:
            for mark in item.iter_markers("repeats"):
                reason = f"{mark.args[0]} shows the same: pytest --every has it here too"
                item.add_marker(pytest.mark.skip(reason=reason))


class Checkout:
    """A copy of the repository in a folder of its own, with ports that nobody else uses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = root / "build" / "local"
        self.grpc, self.rest, self.ui, self.board = free_ports(4)
        self.sets = [
            f"serving.grpc_port={self.grpc}", f"serving.rest_port={self.rest}", f"web_ui.port={self.ui}",
            f"web_ui.service_port={self.ui}", f"tensorboard.port={self.board}",
            f"tensorboard.service_port={self.board}", f"serving.canary.first_port={row_of_ports(5)[0]}", *NO_GATE,
        ]  # fmt: skip

    def argv(self, *words: str) -> list[str]:
        sets = [word for change in self.sets for word in ("--set", change)]
        return [sys.executable, "-m", "invoke", *sets, *words]

    def env(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        return {**kept, **extra}

    def invoke(self, *words: str, code: int = 0, timeout: float = 200, **env: str) -> str:
        """Run invoke, check its exit code, and return all that it printed."""
        done = subprocess.run(
            self.argv(*words), cwd=self.root, env=self.env(**env), capture_output=True, text=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done.stdout + done.stderr

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """Start invoke and come back at once."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.root,
            env=self.env(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> None:
        """End whatever still runs for this checkout."""
        for build in {self.build, *self.build.parent.glob("*")}:  # a test may run other environments too
            end(marked(build), grace=2)
            with contextlib.suppress(NotADirectoryError):  # or put a file in build's place
                Supervisor(build).socket.unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, each another one."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until_listening(port: int, seconds: float = 20) -> None:
    """Wait until somebody takes connections at a port of this machine; OSError where nobody does in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), seconds).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@functools.cache
def compile_all() -> None:
    """Compile the repository's modules once: every start of invoke in a copy would do it again."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            compileall.compile_dir(ROOT / part, quiet=2)


def copied(to: Path) -> Checkout:
    """A copy of the repository, compiled modules and all: they are known by their sources' times, which are kept."""
    compile_all()
    to.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, to / part)
        elif source.exists():
            shutil.copy2(source, to / part)
    return Checkout(to)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A fresh checkout; whatever still runs for it afterwards is ended."""
    made = copied(tmp_path / "checkout")
    yield made
    made.end()


@contextlib.contextmanager
def shared_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder of all the processes of a run, which is this one's alone for the moment."""
    place = tmp_path_factory.getbasetemp()
    folder = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def small_bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bucket of a checkout in which SMALL was trained, once for all the processes of a run."""
    with shared_folder(tmp_path_factory, "trained") as folder:
        if not (folder / "done").exists():
            made = copied(folder / "checkout")
            try:
                made.invoke("train", *SMALL)
            finally:
                made.end()
            (folder / "done").touch()
        return folder / "checkout" / "build" / "local" / "bucket"


@pytest.fixture
def trained(checkout: Checkout, small_bucket: Path) -> Checkout:
    """A fresh checkout in which SMALL was trained."""
    shutil.copytree(small_bucket, checkout.build / "bucket")
    return checkout


@pytest.fixture(scope="session")
def shared_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Checkout]]:
    """Checkouts by name that several tests of a module share, because what they do to it takes seconds."""
    made: dict[str, Checkout] = {}

    def get(name: str) -> Checkout:
        if name not in made:
            made[name] = copied(tmp_path_factory.mktemp(name) / "checkout")
        return made[name]

    yield get
    for one in made.values():
        one.end()


@pytest.fixture(scope="session")
def version(small_bucket: Path) -> Path:
    """A version of SMALL: for tests that want one to serve, and what every fake TFJob leaves in its bucket."""
    (made,) = (small_bucket / "export").iterdir()
    return made


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The real MNIST, if the machine has it."""
    place = os.environ.get("MNIST_DIR")
    if not place:
        pytest.skip("MNIST_DIR is not set: the real MNIST is not on this machine")
    return Path(place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-expected", action="store_true", help="write the expected files anew, then compare")
    parser.addoption("--requests", type=int, default=3000, help="how many requests tests/serving/test_load.py sends")
    parser.addoption("--seconds", type=float, default=8, help="how long tests/web_ui/test_load.py asks")
    parser.addoption("--every", action="store_true", help="all rows, and runs broken off at every write")


@pytest.fixture(scope="session")
def stride(pytestconfig: pytest.Config) -> int:
    """How many writes further a run goes each time before it is broken off."""
    return 1 if pytestconfig.getoption("--every") else 9
