"""`invoke notebook` on this machine: the checkout's notebook in Jupyter, for who has the key; kept up, taken down."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import Checkout, free_ports
from pipeline.processes import marked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def there(shared_checkout: Callable[[str], Checkout]) -> Checkout:
    """A checkout in which Jupyter is up."""
    checkout = shared_checkout("notebook")
    (checkout.port,) = free_ports(1)  # type: ignore[attr-defined]
    checkout.sets += [f"notebook.port={checkout.port}", f"notebook.service_port={checkout.port}"]  # type: ignore[attr-defined]
    checkout.said = checkout.invoke("notebook", "--no-browser")  # type: ignore[attr-defined]
    return checkout


def key(checkout: Checkout) -> str:
    return re.search(rf"http://127\.0\.0\.1:{checkout.port}/\?token=(\w+)\n", checkout.said)[1]  # type: ignore[attr-defined, index]


def ask(checkout: Checkout, path: str, given: str, method: str = "GET") -> Any:
    """What Jupyter answers to who gives this key."""
    url = f"http://127.0.0.1:{checkout.port}/api/{path}"  # type: ignore[attr-defined]
    request = urllib.request.Request(url, headers={"Authorization": f"token {given}"}, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read())


def open_to_others(path: Path, below: Path) -> bool:
    """Whether another user of this machine can read a file: its own mode says so, and those of the folders above it."""
    folders = [one for one in path.parents if one.is_relative_to(below)]
    return bool(path.stat().st_mode & 0o044) and all(one.stat().st_mode & 0o011 for one in folders)


def servers(checkout: Checkout) -> list[psutil.Process]:
    return [one for one in marked(checkout.build) if "jupyterlab" in one.cmdline()]


def test_jupyter_has_the_checkouts_own_notebook(there: Checkout) -> None:
    shown = ask(there, "contents/mnist.ipynb", key(there))["content"]
    kept = json.loads((there.root / "notebooks" / "mnist.ipynb").read_text())
    assert [cell["source"] for cell in shown["cells"]] == ["".join(cell["source"]) for cell in kept["cells"]]


@pytest.mark.parametrize("given", ["", "0" * 48])
def test_nobody_enters_without_the_key(given: str, there: Checkout) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(there, "contents/mnist.ipynb", given)


def test_the_key_stands_in_no_file_that_others_can_read_and_in_no_command_line(there: Checkout) -> None:
    for path in there.build.rglob("*"):
        if path.is_file() and open_to_others(path, there.build):
            assert key(there).encode() not in path.read_bytes(), path
    assert all(key(there) not in " ".join(one.cmdline()) for one in marked(there.build))


def test_jupyter_listens_on_the_loopback_address_only(there: Checkout) -> None:
    (server,) = servers(there)
    assert {one.laddr.ip for one in server.net_connections("tcp") if one.status == "LISTEN"} == {"127.0.0.1"}


def test_open_status_and_logs_know_it(there: Checkout) -> None:
    assert there.invoke("open", "notebook", "--no-browser").endswith(f"/?token={key(there)}\n")
    assert re.search(
        rf"^notebook +running +process \d+ .*127\.0\.0\.1:{there.port}$",  # type: ignore[attr-defined]
        there.invoke("status"), re.MULTILINE,
    )  # fmt: skip
    assert "Serving notebooks from local directory" in there.invoke("logs", "notebook")


def test_a_notebook_that_was_saved_is_no_reason_to_start_jupyter_anew(there: Checkout) -> None:
    before, notebook = servers(there), there.root / "notebooks" / "mnist.ipynb"
    notebook.write_text(notebook.read_text().replace("trained here", "trained by me"))
    assert "Jupyter is installed" in there.invoke("notebook", "--no-browser")
    assert servers(there) == before
    assert "plan: nothing would change" in there.invoke("plan", "notebook")


def test_clean_ends_jupyter_and_its_kernels(there: Checkout) -> None:
    ask(there, "kernels", key(there), "POST")
    deadline = time.monotonic() + 20
    while not any("ipykernel_launcher" in one.cmdline() for one in marked(there.build)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "nothing is left: 0 processes, 0 files" in there.invoke("clean")
    assert marked(there.build) == []
    assert sorted(path.name for path in (there.root / "notebooks").iterdir() if path.name != ".dockerignore") == [
        "Dockerfile", "mnist.ipynb", "requirements.txt",
    ]  # fmt: skip
