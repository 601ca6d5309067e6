"""Files and folders on the host are written whole, kept to their owner, and mirrored by what changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.sshd import Sshd
from pipeline.commands import Command
from pipeline.errors import RunFailed
from pipeline.there import There
from tests.remote.machine import on, remote, shell


def test_a_file_is_written_once_and_then_found_unchanged(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "train.yaml"
    assert [there.write(path, text, False) for text in ("é: 1\n", "é: 1\n", "é: 2\n")] == [True, False, True]
    assert remote(there, path).read_text() == "é: 2\n"


def test_a_private_file_is_readable_by_its_owner_only_and_so_is_the_whole_folder(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "key.json"
    there.write(path, "{}", True)
    place = remote(there, path)
    assert place.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in place.parents if ".kubeflow-pipeline" in str(folder))


def test_a_write_that_fails_changes_nothing_and_says_why(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "taken"
    remote(there, path).mkdir()
    (remote(there, path) / "kept").write_text("")
    with pytest.raises(RunFailed, match=r"could not keep taken there"):
        there.write(path, "text", False)
    assert [one.name for one in remote(there, path.parent).iterdir()] == ["taken"]


def test_a_file_is_removed_and_one_that_is_not_there_is_fine(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "key.json"
    there.write(path, "{}", True)
    there.remove(path)
    there.remove(path)
    assert not remote(there, path).exists()


def tree(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file below a folder, its bytes, and whether it can be run; folders that hold none do not count."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK)) for path in files}


@pytest.fixture
def source(root: Path) -> Path:
    folder = root / "trainer"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a name.py").write_text("one")
    (folder / "sub" / "deep" / "b.bin").write_bytes(bytes(range(256)))
    (folder / "sub" / "empty").write_text("")
    (folder / ".dockerignore").write_text("*.pyc")
    return folder


def test_a_folder_arrives_whole(there: There, source: Path) -> None:
    there.upload(source)
    assert tree(remote(there, source)) == {
        "a name.py": (b"one", os.access(source / "a name.py", os.X_OK)), "sub/deep/b.bin": (bytes(range(256)), False),
        "sub/empty": (b"", False), ".dockerignore": (b"*.pyc", False),
    }  # fmt: skip


def test_a_folder_is_a_mirror_after_every_kind_of_change(there: There, source: Path) -> None:
    there.upload(source)
    (source / "a name.py").write_text("two")
    (source / "sub" / "empty").chmod(0o755)
    (source / "sub" / "deep" / "b.bin").unlink()
    (source / "sub" / "deep").rmdir()
    (source / "sub" / "deep").write_text("a file now")
    (source / ".dockerignore").unlink()
    there.upload(source)
    assert tree(remote(there, source)) == tree(source)
    there.upload(source)
    assert tree(remote(there, source)) == tree(source)


def test_only_what_differs_is_sent(there: There, source: Path) -> None:
    there.upload(source)
    place = remote(there, source)
    before = {path: path.stat().st_ino for path in place.rglob("*")}
    (source / "a name.py").write_text("two")
    there.upload(source)
    assert [path.name for path, number in before.items() if path.stat().st_ino != number] == ["a name.py"]


def test_caches_are_left_out(there: There, source: Path) -> None:
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("")
    (source / ".a.swp").write_text("")
    there.upload(source)
    assert not {"__pycache__/a.pyc", ".a.swp"} & tree(remote(there, source)).keys()


def test_a_single_file_leaves_its_neighbours_alone(there: There, root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_text(name)
        there.upload(root / name)
    assert {"one": (b"one", False), "two": (b"two", False)}.items() <= tree(remote(there, root)).items()


def test_what_is_not_here_is_left_as_it_is_there(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "secret" / "kustomization.yaml"
    there.write(path, "{}", False)
    there.upload(path.parent)
    assert remote(there, path).read_text() == "{}"


def test_a_folder_outside_the_checkout_is_found_under_its_own_path(there: There, tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "kustomization.yaml").write_text("resources: []")
    there.upload(tmp_path / "operator")
    done = there.run(Command(("cat", f"{tmp_path}/operator/kustomization.yaml"), "read"), None)
    assert done.stdout == "resources: []"
    assert ".kubeflow-pipeline" in there.run(Command(("echo", f"{tmp_path}/operator"), "print"), None).stdout


def test_the_working_folder_can_be_removed_whole_and_comes_again(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "train.yaml"
    there.write(path, "a", False)
    place = remote(there, path)
    there.discard()
    assert not place.parents[2].exists()
    assert there.run(shell("echo on"), None).stdout == "on\n"
    assert there.write(path, "a", False)


def test_two_checkouts_never_share_a_working_folder(server: Sshd, tmp_path: Path) -> None:
    places = []
    for name in ("one", "two"):
        with on(server, tmp_path / name) as there:
            places.append(remote(there, tmp_path / name))
    assert places[0] != places[1]
