"""A real sshd for every test that runs something on a host; without one they skip and say why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.sshd import MISSING, PROGRAM, Sshd
from pipeline.there import There
from tests.remote.machine import at_home, on


@pytest.fixture(scope="session")
def program() -> str:
    """The sshd to start."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    return PROGRAM


@pytest.fixture(scope="session")
def running(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with contextlib.closing(Sshd(tmp_path_factory.mktemp("sshd"), {"GREETING": "of the host"})) as server:
        yield server


@pytest.fixture
def server(running: Sshd, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    return at_home(running, monkeypatch)


@pytest.fixture
def own_server(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A server that a test may change or kill."""
    with contextlib.closing(Sshd(tmp_path / "sshd")) as made:
        yield at_home(made, monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout."""
    made = tmp_path / "checkout"
    (made / "build" / "staging").mkdir(parents=True)
    return made


@pytest.fixture
def there(server: Sshd, root: Path) -> Iterator[There]:
    with on(server, root) as made:
        yield made
        made.discard()


@pytest.fixture
def noisy(own_server: Sshd) -> Sshd:
    """A server whose logins print something before the command runs."""
    noise = "echo Welcome; echo to you >&2; $SSH_ORIGINAL_COMMAND; true"
    own_server.authorized.write_text(f'command="{noise}",{own_server.authorized.read_text()}')
    return own_server
