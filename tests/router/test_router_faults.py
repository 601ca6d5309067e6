"""What a router of ours says when it cannot begin: one sentence, and whose turn it is."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.settings import ROOT
from ports import row_of_ports
from routers import written

SETTINGS = "serving.canary.first_port={}", "serving.grpc_port={}", "serving.rest_port={}"


def said(file: Path) -> tuple[int, str]:
    """Its exit code and what it says."""
    argv = [sys.executable, "-m", "serving.router", "-c", str(file)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.fixture
def ports() -> list[int]:
    return row_of_ports(7)


@pytest.fixture
def file(ports: list[int], tmp_path: Path) -> Path:
    changes = [key.format(port) for key, port in zip(SETTINGS, (ports[0], *ports[5:]), strict=True)]
    return written(load("local", changes).settings, tmp_path, 10)


@pytest.mark.parametrize("which", [4, 5, 6])
def test_a_port_that_somebody_else_has_is_named(ports: list[int], file: Path, which: int) -> None:
    with socket.create_server(("127.0.0.1", ports[which])):
        code, words = said(file)
    assert code == 1
    assert re.fullmatch(rf"router: port {ports[which]} on 127\.0\.0\.1 cannot be opened: .+\.", words.splitlines()[-1])
    assert "Traceback" not in words


@pytest.mark.parametrize("cut", ["split_clients", "map $uri", "upstream stable-grpc", "listen", "proxy_pass", "http {"])
def test_a_file_that_leaves_something_out_is_refused(file: Path, cut: str) -> None:
    text = file.read_text()
    assert cut in text
    file.write_text(text.replace(cut, "other"))
    code, words = said(file)
    sentence = f"router: {file}: says not how requests are shared out as a router's nginx.conf does."
    assert (code, words.strip()) == (2, sentence)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, words = said(tmp_path / "none.conf")
    assert code == 2
    assert "none.conf: cannot be read (No such file or directory); it should be an nginx.conf." in words
