"""Manifests: from --filename, or from --kustomize."""

from __future__ import annotations

import sys

from fakes.standins.documents import load_all
from fakes.standins.kubectl.kustomize import kustomized
from fakes.standins.kubectl.session import Failed, Kind, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


ASTRAY = (
    'the namespace from the provided object "{own}" does not match the namespace "{asked}". '
    "You must pass '--namespace={own}' to perform this operation."
)


class Found:
    """A manifest with its kind and the namespace in which it belongs."""

    def __init__(self, session: Session, document: Json, kind: Kind) -> None:
        self.document, self.kind = document, kind
        self.name = document["metadata"]["name"]
        self.namespace = (document["metadata"].get("namespace") or session.namespace) if kind.namespaced else ""
        self.collection = session.path(kind, self.namespace)
        self.path = session.path(kind, self.namespace, self.name)

    @property
    def shown(self) -> str:
        return self.kind.shown(self.name)


def manifests(session: Session, options: Options) -> tuple[list[Found], list[str]]:
    """The manifests whose kinds the server knows, and what is wrong with the others."""
    found, wrong, astray = [], [], []
    for source, document in documents(options):
        kind = session.kind_of(document)
        asked, own = options.one("namespace"), document["metadata"].get("namespace")
        if kind is None:
            wrong.append(unknown(source, document))
        elif kind.namespaced and asked and own and own != asked:
            astray.append(ASTRAY.format(own=own, asked=asked))
        else:
            found.append(Found(session, document, kind))
    if astray:
        raise Failed("\n".join(astray) if len(astray) > 1 else f"error: {astray[0]}")
    return found, wrong


def unknown(source: str, document: Json) -> str:
    name, namespace = document["metadata"]["name"], document["metadata"].get("namespace", "")
    what = f'no matches for kind "{document["kind"]}" in version "{document["apiVersion"]}"'
    where = f'name: "{name}" namespace: "{namespace}" from "{source}"'
    return f"error: resource mapping not found for {where}: {what}\nensure CRDs are installed first"


def documents(options: Options) -> list[tuple[str, Json]]:
    """Each document with the place that it came from; lists are opened."""
    if not options.has("filename") and not options.has("kustomize"):
        raise Failed("error: must specify one of -f and -k")
    read = [(path, one) for path in options.all("filename") for one in load(path)]
    read += [(path, one) for path in options.all("kustomize") for one in kustomized(path, load)]
    return [(path, inner) for path, one in read for inner in (one["items"] if one["kind"] == "List" else [one])]


def load(path: str) -> list[Json]:
    try:
        if path == "-":
            return load_all(sys.stdin.read())
        with open(path) as file:  # noqa: PTH123 - pathlib costs a tenth of the start
            return load_all(file.read())
    except FileNotFoundError:
        raise Failed(f'error: the path "{path}" does not exist') from None
