"""Where the members of a synchronous training wait for each other, before TensorFlow does.

TensorFlow's own waiting answers no signal, prints nothing, and takes a member that is about to go for one that has
come. So each worker first calls at the chief's address and stays on the line; when all are there, the chief gives the
word. A member that is started again calls again: the word is given anew when the others have come back as well.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.cluster import Member, host_and_port
from trainer.errors import LostMember, UsageError
from trainer.log import say

PATIENCE = 1800.0
"""Seconds to wait for the others: the autoscaler takes two minutes for a node, with GPUs up to ten."""

REMIND, LOOK = 15.0, 0.2
"""Seconds between two lines about who is missing, and between two looks."""

LONGEST = 100_000
"""Bytes that a member may say about itself."""


def meet(member: Member, terms: Mapping[str, Any], patience: float = PATIENCE) -> None:
    """Come back when every member is here; `terms` is what all must have alike.

    Raises UsageError where a worker's terms differ from the chief's, LostMember after `patience` seconds.
    """
    (_gather if member.leads else _call)(member, dict(terms), time.monotonic() + patience)


def reach(member: Member, patience: float = PATIENCE) -> None:
    """Come back when every worker and parameter server accepts connections; raises LostMember after `patience` s."""
    missing = {f"{role} {i}": at for role in ("ps", "worker") for i, at in enumerate(member.cluster[role])}
    for left in _waiting(time.monotonic() + patience):
        missing = {name: address for name, address in missing.items() if not answers(host_and_port(address))}
        if not missing:
            return
        left(", ".join(f"{name} at {address}" for name, address in missing.items()))


def answers(address: tuple[str, int]) -> bool:
    """Tell whether somebody accepts connections there."""
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True


def _gather(member: Member, terms: dict[str, Any], deadline: float) -> None:
    wanted, here = {f"worker {index}" for index in range(len(member.cluster["worker"]))}, dict[str, socket.socket]()
    host, port = member.address
    with contextlib.ExitStack() as open_, _listening(host, port) as server:
        for left in _waiting(deadline):
            here = {name: line for name, line in here.items() if _holds(line)}
            if caller := _accepted(server):
                open_.enter_context(caller)
                said = _heard(caller)
                if said and said.get("name") in wanted:
                    _refuse_other_terms(caller, said, terms)
                    here[said["name"]] = caller
            if here.keys() == wanted:
                break
            left(", ".join(sorted(wanted - here.keys())))
        for line in here.values():
            with contextlib.suppress(OSError):  # it has gone this instant: TensorFlow will notice
                line.sendall(b'{"go": true}\n')


def _call(member: Member, terms: dict[str, Any], deadline: float) -> None:
    chief = host_and_port(member.cluster["chief"][0])
    for left in _waiting(deadline):
        with contextlib.suppress(OSError), socket.create_connection(chief, timeout=2) as line:
            line.sendall(json.dumps({"name": member.name, "terms": terms}).encode() + b"\n")
            while time.monotonic() < deadline and _holds(line):
                if answer := _heard(line):
                    if "go" in answer:
                        return
                    raise UsageError(str(answer.get("no")))
                left("the others")
        left(f"the chief at {member.cluster['chief'][0]}")


def _waiting(deadline: float) -> Iterator[Any]:
    """Look again and again; what is given takes the names of the missing, and says them every so often."""
    told = time.monotonic()

    def left(missing: str) -> None:
        nonlocal told
        now = time.monotonic()
        if now > deadline:
            raise LostMember(f"Waited in vain for {missing}.")
        if now - told >= REMIND:
            say(f"Waiting for {missing}")
            told = now

    while True:
        yield left
        time.sleep(LOOK)


def _listening(host: str, port: int) -> socket.socket:
    """Listen on loopback where that is meant, else on every address: the name may be a Service's."""
    try:
        server = socket.create_server(("127.0.0.1" if host in ("127.0.0.1", "localhost") else "", port))
    except OSError as error:
        raise LostMember(f"Could not listen on port {port} of TF_CONFIG: {error.strerror}.") from None
    server.setblocking(False)
    return server


def _accepted(server: socket.socket) -> socket.socket | None:
    try:
        return server.accept()[0]
    except BlockingIOError:
        return None


def _heard(line: socket.socket) -> dict[str, Any] | None:
    """Give the object that the other side has said in one line, None where it says nothing, or nonsense."""
    line.settimeout(1.0)
    said = b""
    with contextlib.suppress(OSError, ValueError):
        while not said.endswith(b"\n") and len(said) < LONGEST and (part := line.recv(LONGEST)):
            said += part
        found = json.loads(said)
        return found if isinstance(found, dict) else None
    return None


def _holds(line: socket.socket) -> bool:
    """Tell whether the other side is still there."""
    line.setblocking(False)
    try:
        return line.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _refuse_other_terms(line: socket.socket, said: Mapping[str, Any], terms: Mapping[str, Any]) -> None:
    theirs = said.get("terms")
    theirs = theirs if isinstance(theirs, dict) else {}
    ours = json.loads(json.dumps(dict(terms)))
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            sentence = (
                f"{said['name']} has {key} {theirs.get(key)!r} and the chief {ours.get(key)!r}; give all the same."
            )
            with contextlib.suppress(OSError):
                line.sendall(json.dumps({"no": sentence}).encode() + b"\n")
            raise UsageError(sentence)
