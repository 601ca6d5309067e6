"""kubectl create, label, annotate and rollout restart: single changes."""

from __future__ import annotations

import base64
import datetime
import os

from fakes.standins.kubectl.files import manifests
from fakes.standins.kubectl.looking import everything
from fakes.standins.kubectl.printing import formatted
from fakes.standins.kubectl.session import Failed, Kind, Refused, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

MERGE = "application/merge-patch+json"


def create(session: Session, options: Options) -> int:
    found, wrong = manifests(session, options)
    if wrong:
        raise Failed("\n".join(wrong))
    for one in found:
        session.ask("POST", f"{one.collection}?fieldManager=kubectl-create&fieldValidation=Strict", one.document)
        print(f"{one.shown} created")
    return 0


def create_namespace(session: Session, options: Options) -> int:
    return made(session, options, "namespaces", {"metadata": {"name": options.words[0]}})


def create_secret(session: Session, options: Options) -> int:
    """A secret of files (`key=path` or `path`) and literals."""
    data = {}
    for text in options.all("from-file"):
        key, equals, path = text.partition("=")
        path = path if equals else text
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs a tenth of the start
                data[key if equals else os.path.basename(path)] = encoded(file.read())  # noqa: PTH119
        except OSError:
            raise Failed(f"error: error reading {path}: no such file or directory") from None
    for text in options.all("from-literal"):
        key, _, value = text.partition("=")
        data[key] = encoded(value.encode())
    secret = {"metadata": {"name": options.words[0]}, "type": options.one("type", "Opaque"), "data": data}
    return made(session, options, "secrets", secret)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def made(session: Session, options: Options, resource: str, document: Json) -> int:
    """Create an object, or show it with --dry-run=client."""
    kind = session.kind(resource)
    document = {"apiVersion": kind.api_version, "kind": kind.name, **document}
    if kind.namespaced:
        document["metadata"]["namespace"] = session.namespace
    if options.one("dry-run") == "client":
        print(formatted(options.one("output"), document) if options.has("output") else
              f"{kind.shown(document['metadata']['name'])} created (dry run)")  # fmt: skip
        return 0
    try:
        session.ask("POST", f"{session.path(kind, session.namespace)}?fieldManager=kubectl-create", document)
    except Refused as refused:
        if refused.status.get("reason") == "AlreadyExists" and resource == "secrets":
            raise Failed(f"error: failed to create secret {refused.status['message']}") from None
        raise
    print(f"{kind.shown(document['metadata']['name'])} created")
    return 0


def label(session: Session, options: Options) -> int:
    return marked(session, options, "labels", "labeled")


def annotate(session: Session, options: Options) -> int:
    return marked(session, options, "annotations", "annotated")


def marked(session: Session, options: Options, field: str, verb: str) -> int:
    """Set (`key=value`) or take away (`key-`) labels or annotations."""
    manager = options.one("field-manager", f"kubectl-{field.removesuffix('s').replace('annotation', 'annotate')}")
    pairs = [word for word in options.words if "=" in word or word.endswith("-")]
    options.words = [word for word in options.words if word not in pairs]
    wanted = {key.removesuffix("-") if not equals else key: value if equals else None
              for key, equals, value in (word.partition("=") for word in pairs)}  # fmt: skip
    for kind, found in chosen(session, options):
        name, present = found["metadata"]["name"], found["metadata"].get(field, {})
        taken = [key for key, value in wanted.items() if value is not None and present.get(key, value) != value]
        if taken and not options.has("overwrite"):
            raise Failed(f"error: '{taken[0]}' already has a value ({present[taken[0]]}), and --overwrite is false")
        if all(present.get(key) == value for key, value in wanted.items()):
            print(f"{kind.shown(name)} not {verb}")
            continue
        path = session.path(kind, found["metadata"].get("namespace", ""), name)
        session.ask("PATCH", f"{path}?fieldManager={manager}", {"metadata": {field: wanted}}, content=MERGE)
        print(f"{kind.shown(name)} {verb}")
    return 0


def chosen(session: Session, options: Options) -> list[tuple[Kind, Json]]:
    """The objects that names or a selector choose."""
    named = list(session.named(options.words))
    if named:
        return [(kind, session.ask("GET", session.path(kind, session.namespace, name))) for kind, name in named]
    return [(kind, one) for one in everything(session, options) if (kind := session.kind_of(one))]


def restart(session: Session, options: Options) -> int:
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    note = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": stamp}}}
    for kind, found in chosen(session, options):
        path = session.path(kind, session.namespace, found["metadata"]["name"])
        session.ask("PATCH", f"{path}?fieldManager=kubectl-rollout", {"spec": {"template": note}}, content=MERGE)
        print(f"{kind.shown(found['metadata']['name'])} restarted")
    return 0
