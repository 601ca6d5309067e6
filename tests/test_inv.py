"""./inv makes its .venv once, again when what it needs has changed, and mends an installation that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAIN = "import sys; print('invoked', *sys.argv[1:])\n"


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A wheel on disk, so that pip needs no network."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    whole = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": kind}
    record = "".join(f"{path},,\n" for path in [*whole, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**whole, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


class Small:
    """A checkout with the real ./inv and a requirement that installs in a second."""

    def __init__(self, root: Path) -> None:
        self.root, self.wheels = root, root / "wheels"
        self.wheels.mkdir(parents=True)
        shutil.copy2(ROOT / "inv", root / "inv")
        wheel(self.wheels, "invoke", {"invoke/__init__.py": "", "invoke/__main__.py": MAIN})
        wheel(self.wheels, "more", {"more.py": ""})
        for name, text in (
            ("constraints.txt", ""),
            ("requirements.txt", "invoke\n"),
            ("requirements-dev.txt", "-r requirements.txt\nmore\n"),
        ):
            (root / name).write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), "PYTHON": sys.executable}
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            [self.root / "inv", *words], env={**env, **offline}, cwd="/", stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        started = self.start(*words)
        out, err = started.communicate(timeout=120)
        assert started.returncode == code, out + err
        return out, err


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    made = Small(tmp_path_factory.mktemp("small"))
    out, err = made.run("--list")
    assert "invoked" in out
    assert "making .venv" in err
    return made


def test_a_second_call_installs_nothing_and_passes_every_word_on(small: Small) -> None:
    out, err = small.run("train", "--set", "a=b c")
    assert out == f"invoked --search-root={small.root} train --set a=b c\n"
    assert err == ""


def test_test_installs_what_the_checks_need_and_it_stays(small: Small) -> None:
    assert "installing requirements-dev.txt" in small.run("test")[1]
    assert list(small.root.glob(".venv/lib/*/site-packages/more.py"))
    assert small.run("train")[1] == ""


def test_a_changed_requirement_is_installed(small: Small) -> None:
    wheel(small.wheels, "another", {"another.py": ""})
    (small.root / "requirements.txt").write_text("invoke\nanother\n")
    assert "installing" in small.run("train")[1]
    assert list(small.root.glob(".venv/lib/*/site-packages/another.py"))


def test_a_failed_installation_says_how_to_go_on_and_is_done_again(small: Small) -> None:
    before = (small.root / "requirements.txt").read_text()
    (small.root / "requirements.txt").write_text(f"{before}no-such-package\n")
    assert "run ./inv again" in small.run("train", code=1)[1]
    (small.root / "requirements.txt").write_text(before)
    assert "invoked" in small.run("train")[0]


def test_a_killed_installation_is_mended(small: Small) -> None:
    (small.root / "requirements.txt").write_text("invoke\n")
    killed = small.start("train")
    mark, deadline = small.root / ".venv" / "installing", time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    (package,) = small.root.glob(".venv/lib/*/site-packages/invoke/__main__.py")
    package.unlink()  # as half an installation has it: its metadata is there, its code is not
    out, err = small.run("train")
    assert "making .venv" in err
    assert "invoked" in out


def test_no_fit_python_is_one_sentence_and_exit_3(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "inv", tmp_path / "inv")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "rm", "cksum", "mkdir", "readlink"):
        (tools / name).symlink_to(shutil.which(name) or "")
    done = subprocess.run([tmp_path / "inv"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("inv: no Python 3.11, 3.12 or 3.13 was found: install one")
    assert len(done.stderr.splitlines()) == 1


def test_two_first_calls_at_once_install_one_after_the_other(tmp_path: Path) -> None:
    made = Small(tmp_path / "two")
    both = [made.start("train"), made.start("train")]
    said = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("making .venv" in err for _, err in said) == 1


def test_a_dead_installers_lock_is_taken(small: Small) -> None:
    (small.root / ".venv.lock").mkdir()
    (small.root / ".venv.lock" / "pid").write_text("999999999")
    assert "invoked" in small.run("train")[0]
    assert not (small.root / ".venv.lock").exists()


def test_a_link_to_inv_runs_the_checkout_that_it_leads_to(small: Small, tmp_path: Path) -> None:
    (tmp_path / "inv").symlink_to(small.root / "inv")
    done = subprocess.run([tmp_path / "inv", "train"], capture_output=True, text=True, check=True)
    assert done.stdout == f"invoked --search-root={small.root} train\n"
    assert [path.name for path in tmp_path.iterdir()] == ["inv"]


def test_a_lone_help_shows_the_options_of_this_repository(small: Small) -> None:
    assert small.run("--help")[0] == f"invoked --search-root={small.root}\n"
