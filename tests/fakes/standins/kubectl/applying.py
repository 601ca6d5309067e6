"""kubectl apply and diff: manifests meet the objects of the cluster."""

from __future__ import annotations

import json

from fakes.standins.kubectl.files import Found, manifests
from fakes.standins.kubectl.merging import difference, merged
from fakes.standins.kubectl.session import Failed, Refused, Session, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

LAST = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "?fieldManager=kubectl-client-side-apply&fieldValidation=Strict"


def apply(session: Session, options: Options) -> int:
    """Apply what the server knows; go on past what it refuses, and say all that was wrong at the end."""
    found, wrong = manifests(session, options)
    dry = {"server": "&dryRun=All", "client": "client", "none": "", "": ""}[options.one("dry-run")]
    for one in found:
        try:
            verb = (
                server_side(session, one, options, dry)
                if options.has("server-side")
                else client_side(session, one, dry)[0]
            )
        except Refused as refused:
            wrong.append(explained(refused, one))
            continue
        note = f" ({options.one('dry-run')} dry run)" if dry else ""
        print(one.shown if options.one("output") == "name" else f"{one.shown} {verb}{note}")
    for text in wrong:
        complain(text)
    return 1 if wrong else 0


def explained(refused: Refused, one: Found) -> str:
    """A refusal with what it was about, where kubectl says so."""
    if refused.status.get("reason") in ("Invalid", "AlreadyExists", "NotFound", "Conflict"):
        return str(refused)
    head, _, message = str(refused).partition(": ")
    return f'{head}: error when applying "{one.shown}": {message}' if refused.code != 401 else str(refused)


def server_side(session: Session, one: Found, options: Options, dry: str) -> str:
    if dry == "client":
        raise Failed("error: --dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)")
    manager = options.one("field-manager", "kubectl")
    force = "true" if options.has("force-conflicts") else "false"
    query = f"?fieldManager={manager}&fieldValidation=Strict&force={force}{dry}"
    session.ask("PATCH", one.path + query, one.document, content="application/apply-patch+yaml")
    return "serverside-applied"


def client_side(session: Session, one: Found, dry: str = "") -> tuple[str, Json, Json | None]:
    """What was done, the object after it, and the one before it; nothing is sent where nothing differs."""
    document = with_note(one)
    try:
        live = session.ask("GET", one.path)
    except Refused as refused:
        if refused.code != 404:
            raise
        made = document if dry == "client" else session.ask("POST", one.collection + MANAGER + dry, document)
        return "created", made, None
    before = json.loads(live["metadata"].get("annotations", {}).get(LAST, "{}"))
    wanted = merged(before, document, live, own=not one.kind.custom)
    patch = difference(live, wanted)
    if not patch:
        return "unchanged", live, live
    if dry == "client":
        return "configured", wanted, live
    after = session.ask("PATCH", one.path + MANAGER + dry, patch, content="application/merge-patch+json")
    return ("unchanged" if after == live else "configured"), after, live


def with_note(one: Found) -> Json:
    """The manifest with the annotation by which the next apply knows what this one said."""
    metadata = dict(one.document["metadata"])
    if one.kind.namespaced:
        metadata["namespace"] = one.namespace
    plain = {**one.document, "metadata": {**metadata, "annotations": dict(metadata.get("annotations") or {})}}
    note = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    plain["metadata"]["annotations"][LAST] = note
    return plain


def diff(session: Session, options: Options) -> int:
    """0: the same; 1: differs, with the difference on stdout; 2: could not be told."""
    found, wrong = manifests(session, options)
    if wrong:
        raise Failed("\n".join(wrong))
    differs = 0
    for one in found:
        _, after, before = client_side(session, one, "&dryRun=All")
        if comparable(before) != comparable(after):
            differs = 1
            print(unified(one, before, after), end="")
    return differs


def comparable(one: Json | None) -> Json:
    """An object without what changes by itself; a secret's values are hidden, whether they differ or not is not."""
    if one is None:
        return {}
    metadata = {key: value for key, value in one["metadata"].items() if key not in ("managedFields", "resourceVersion")}
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key != LAST}
    metadata.pop("annotations", None)
    return {**one, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def unified(one: Found, before: Json | None, after: Json) -> str:
    import difflib

    texts = [yaml_lines(value, other) for value, other in ((comparable(before), comparable(after)),
                                                          (comparable(after), comparable(before)))]  # fmt: skip
    name = ".".join(filter(None, [one.kind.group, one.kind.version, one.kind.name, one.namespace, one.name]))
    places = f"LIVE/{name}", f"MERGED/{name}"
    return f"diff -u -N {' '.join(places)}\n" + "".join(difflib.unified_diff(*texts, *places))


def yaml_lines(value: Json, other: Json) -> list[str]:
    if not value:
        return []
    from fakes.standins.documents import dump

    if value.get("kind") == "Secret" and value.get("data"):
        marks = {key: "***" if other.get("data", {}).get(key) == text else f"*** ({len(text)} characters)"
                 for key, text in value["data"].items()}  # fmt: skip
        value = {**value, "data": marks}
    return dump(value).splitlines(keepends=True)
