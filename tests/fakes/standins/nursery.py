"""One process that has every stand-in's modules in memory: a stand-in that starts has it fork, and need import nothing.

The imports are most of a stand-in's time. The program `CLIENT` hands its words, folder, variables and streams over,
and ends as its fork does, which ends with it too. Without a nursery, and to forward a port, it does the imports itself.
"""

from __future__ import annotations

import _thread
import functools
import gc
import marshal
import os
import select
import shutil
import signal
import socket
import sys
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

CLIENT = """#!{python} -SE
import _socket, marshal, os, posix, sys
def begun():
    nursery = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    streams = b"".join(one.to_bytes(4, sys.byteorder) for one in (0, 1, 2))
    try:
        nursery.connect({nursery!r})
        told = marshal.dumps(({name!r}, sys.argv, os.getcwd(), dict(posix.environ), {bin!r}, {google!r}))
        nursery.sendmsg([len(told).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        nursery.sendall(told)
    except OSError:
        return None
    return nursery
nursery = None if "port-forward" in sys.argv else begun()
if nursery:
    code = nursery.recv(1)
    if not code:
        os.kill(os.getpid(), 9)
    os._exit(code[0])
import gc
gc.disable()
sys.path[:1] = [{tests!r}]
from fakes.standins.{name} import main
code = main(sys.argv[1:], {bin!r}, {google!r})
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
"""
"""A stand-in. A run of the tests starts ten thousand: to collect no garbage and tidy nothing up spares time too."""

# In the order in which they find one another.
PACKAGES = ("docker", "gcloud", "kubectl", "plugin")


@functools.cache
def started() -> str:
    """The socket of this process's nursery, which ends with it."""
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.mkdtemp(prefix="stand-ins-")
    path = os.path.join(folder, "socket")  # noqa: PTH118
    kept = {name: value for name, value in os.environ.items() if name.startswith(("LANG", "LC_", "PATH", "TMPDIR"))}
    nursery = subprocess.Popen(
        [sys.executable, "-SE", __file__, path], env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    nursery.stdout.readline()

    def end() -> None:
        nursery.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return path


def serve(path: str) -> None:
    """Fork for whoever connects to the socket at `path`, until standard input ends."""
    mains = everything()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(path)
    door.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a fork
    gc.disable()
    gc.freeze()
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([door, 0], [], [])
        if 0 in ready:
            return
        client, _ = door.accept()
        if os.fork() == 0:
            door.close()
            born(client, mains)
        client.close()


def everything() -> dict[str, Callable[[list[str], str, str], int]]:
    """Each stand-in's main by its module, with all that any of them imports in memory."""
    import ssl  # noqa: F401

    from fakes.standins import documents

    documents.pyyaml()
    here = os.path.dirname(__file__)  # noqa: PTH120
    for package in ("gcloud", "kubectl"):
        for name in sorted(os.listdir(os.path.join(here, package))):  # noqa: PTH118, PTH208
            if name.endswith(".py") and name != "__init__.py":
                import_module(f"fakes.standins.{package}.{name.removesuffix('.py')}")
    return {name: import_module(f"fakes.standins.{name}").main for name in PACKAGES}


def born(client: socket.socket, mains: dict[str, Callable[[list[str], str, str], int]]) -> NoReturn:
    """Be the program that the client is, and tell it the exit code."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        name, argv, folder, environ, bin, google = heard(client)
        os.chdir(folder)
        os.environb.clear()
        os.environb.update(environ)
        sys.argv[:] = argv
        _thread.start_new_thread(end_with, (client,))
        code = mains[name](argv[1:], bin, google)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    client.send(bytes([code]))
    os._exit(0)


def heard(client: socket.socket) -> Any:
    """What `CLIENT` tells; its streams become ours."""
    head, streams, _, _ = socket.recv_fds(client, 4, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    told = bytearray()
    while len(told) < int.from_bytes(head, "big"):
        told += client.recv(1 << 20)
    return marshal.loads(told)  # noqa: S302


def end_with(client: socket.socket) -> None:
    """End when the client does: it was killed, or was told to end."""
    if not client.recv(1):
        os._exit(1)


if __name__ == "__main__":
    sys.path[:1] = [os.path.dirname(os.path.dirname(os.path.dirname(__file__)))]  # noqa: PTH120
    serve(sys.argv[1])
