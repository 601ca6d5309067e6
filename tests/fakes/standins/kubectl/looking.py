"""kubectl get, events and version: looking at what is there."""

from __future__ import annotations

import json

from fakes.standins.kubectl.files import manifests
from fakes.standins.kubectl.printing import printed
from fakes.standins.kubectl.session import Failed, Kind, Refused, Session, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

CLIENT = {"major": "1", "minor": "32+", "gitVersion": "v1.32.4-dispatcher", "platform": "linux/amd64"}
"""With the plus sign and the suffix that the Cloud SDK's kubectl has."""


def version(session: Session, options: Options) -> int:
    """The client's version, and the server's unless --client; the client's is shown although the server fails."""
    told: Json = {"clientVersion": CLIENT, "kustomizeVersion": "v5.5.0"}
    problem: Exception | None = None
    if not options.has("client"):
        try:
            told["serverVersion"] = session.ask("GET", "/version")
        except (OSError, Failed) as error:
            problem = error
    if options.one("output") == "json":
        print(json.dumps(told, indent=2))
    else:
        lines = {"Client": "clientVersion", "Server": "serverVersion"}
        print("\n".join(f"{name} Version: {told[key]['gitVersion']}" for name, key in lines.items() if key in told))
    if isinstance(problem, OSError):
        raise problem
    if problem:
        raise problem
    return 0


def get(session: Session, options: Options) -> int:
    if options.has("raw"):
        print(session.send("GET", options.one("raw")).body.decode(), end="")
        return 0
    if options.has("filename") or options.has("kustomize"):
        return get_files(session, options)
    if not options.words:
        raise Failed("error: Required resource not specified.")
    named = [session.path(kind, session.namespace, name) for kind, name in session.named(options.words)]
    found, missing = objects(session, options, named) if named else (everything(session, options), [])
    alone = len(named) == 1
    if found or not alone:
        printed(session, options, found[0] if alone else found, nothing=not named)
    for refusal in missing:
        complain(refusal)
    return 1 if missing else 0


def get_files(session: Session, options: Options) -> int:
    """What manifests are about; one object by itself, however many were asked for."""
    found, missing = objects(session, options, [one.path for one in manifests(session, options)[0]])
    if found:
        printed(session, options, found[0] if len(found) == 1 else found)
    for refusal in missing:
        complain(refusal)
    return 1 if missing else 0


def resources(session: Session, options: Options) -> int:
    """`api-resources --output=name`; every kind of the fake has every verb."""
    if options.one("output") != "name":
        raise Failed("error: the stand-in only knows --output=name")
    scope = options.one("namespaced", "true") == "true"
    groups = [options.one("api-group")] if options.has("api-group") else {kind.group for kind in session.kinds}
    found = {kind.resource for kind in session.kinds if kind.namespaced == scope and kind.group in groups}
    print("".join(f"{name}\n" for name in sorted(found)), end="")
    return 0


def objects(session: Session, options: Options, paths: list[str]) -> tuple[list[Json], list[Refused]]:
    """The objects at these places, and the refusals for those that are not there."""
    found, missing = [], []
    for path in paths:
        try:
            found.append(session.ask("GET", path))
        except Refused as refused:
            if refused.code != 404 or not options.has("ignore-not-found"):
                missing.append(refused)
    return found, missing


def everything(session: Session, options: Options) -> list[Json]:
    """The objects of one kind or several that the selectors choose."""
    return [one for kind in session.kinds_of(options.words[0]) for one in listed(session, options, kind)]


def listed(session: Session, options: Options, kind: Kind) -> list[Json]:
    namespace = "" if options.has("all-namespaces") else session.namespace
    found = session.ask("GET", session.path(kind, namespace) + query(options))
    named = {"apiVersion": kind.api_version, "kind": kind.name}
    return [{**one, **named} for one in found.get("items", [])]


def query(options: Options) -> str:
    """The selectors as a query."""
    flags = {"labelSelector": options.one("selector"), "fieldSelector": options.one("field-selector")}
    parts = [f"{name}={escaped(value)}" for name, value in flags.items() if value]
    return f"?{'&'.join(parts)}" if parts else ""


def escaped(text: str) -> str:
    return "".join(char if char.isalnum() or char in "-._~" else f"%{ord(char):02X}" for char in text)


def events(session: Session, options: Options) -> int:
    kind = session.kind("events")
    found = listed(session, options, kind)
    wanted = options.one("for").partition("/")[2]
    chosen = [one for one in found if not wanted or one["involvedObject"]["name"] == wanted]
    printed(session, options, chosen, nothing=True)
    return 0
