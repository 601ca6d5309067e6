"""kubectl logs: of a pod, or of the pods that belong to something."""

from __future__ import annotations

import sys

from fakes.standins.kubectl.looking import escaped
from fakes.standins.kubectl.session import Failed, Refused, Session, seconds
from fakes.standins.wire import Unwelcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


USAGE = """error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.
POD or TYPE/NAME is a required argument for the logs command
See 'kubectl logs -h' for help and examples"""


def logs(session: Session, options: Options) -> int:
    for name in pods(session, options):
        path = f"{session.path(session.kind('pods'), session.namespace, name)}/log{query(options)}"
        if options.has("follow"):
            follow(session, path)
        else:
            sys.stdout.write(text(session, path, name))
    return 0


def text(session: Session, path: str, name: str) -> str:
    try:
        return session.send("GET", path).body.decode(errors="replace")
    except Refused as refused:
        raise wrapped(refused, session, name) from None


def wrapped(refused: Refused, session: Session, name: str) -> Failed:
    """A missing pod is told with its namespace, anything else as the server says it."""
    if refused.code == 404:
        return Failed(
            f'error: error from server (NotFound): pods "{name}" not found in namespace "{session.namespace}"'
        )
    return refused


def follow(session: Session, path: str) -> None:
    """Print lines as they come, until the pod has ended."""
    try:
        for line in session.connected().lines(path):
            sys.stdout.write(line.decode(errors="replace") + "\n")
            sys.stdout.flush()
    except Unwelcome as unwelcome:
        raise Refused(unwelcome.answer) from None


def query(options: Options) -> str:
    flags = {"container": options.one("container"), "sinceTime": options.one("since-time")}
    if int(options.one("tail", "-1")) >= 0:
        flags["tailLines"] = options.one("tail")
    if options.has("since"):
        flags["sinceSeconds"] = str(int(seconds(options.one("since"))))
    for name in ("timestamps", "previous", "follow"):
        if options.has(name):
            flags[name] = "true"
    parts = [f"{name}={escaped(value)}" for name, value in flags.items() if value]
    return f"?{'&'.join(parts)}" if parts else ""


def pods(session: Session, options: Options) -> list[str]:
    """The pods meant: one by name, those of a selector, or the first one of a workload."""
    if options.has("selector"):
        return [one["metadata"]["name"] for one in chosen(session, options.one("selector"))]
    if not options.words:
        raise Failed(USAGE)
    kind, slash, name = options.words[0].partition("/")
    if not slash:
        return [options.words[0]]
    if session.kind(kind).plural == "pods":
        return [name]
    owner = session.ask("GET", session.path(session.kind(kind), session.namespace, name))
    found = [one["metadata"]["name"] for one in chosen(session, selector(owner))]
    if not found:
        raise Failed("error: timed out waiting for the condition")
    return found[:1]


def selector(owner: Json) -> str:
    """How the pods of a workload are found."""
    labels = owner.get("spec", {}).get("selector", {}).get("matchLabels")
    if labels is None and owner["kind"] == "Job":
        labels = {"job-name": owner["metadata"]["name"]}
    if labels is None:
        raise Failed(
            f"error: cannot get the logs from {owner['apiVersion']}, Kind={owner['kind']}: no kind of it is known"
        )
    return ",".join(f"{key}={value}" for key, value in labels.items())


def chosen(session: Session, labels: str) -> list[Json]:
    path = session.path(session.kind("pods"), session.namespace)
    return list(session.ask("GET", f"{path}?labelSelector={escaped(labels)}").get("items", []))
