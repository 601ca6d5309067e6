"""kubectl delete: objects by name, by selector or by manifest, and waiting until they are gone."""

from __future__ import annotations

import time

from fakes.standins.kubectl.files import manifests
from fakes.standins.kubectl.looking import everything
from fakes.standins.kubectl.session import Failed, Kind, Refused, Session, complain, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakes.standins.arguments import Options

HOW_MUCH = """error: You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'"""


def delete(session: Session, options: Options) -> int:
    """Delete all that is meant, go on past what is not there, then wait for the end of what was deleted."""
    gone, missing = [], []
    all_meant = meant(session, options)
    if options.has("namespace") and any(not kind.namespaced for kind, _, _ in all_meant):
        complain("Warning: deleting cluster-scoped resources, not scoped to the provided namespace")
    for kind, namespace, name in all_meant:
        path = session.path(kind, namespace, name)
        try:
            session.ask("DELETE", path, {"propagationPolicy": "Background"})
        except Refused as refused:
            if refused.code != 404 or not options.has("ignore-not-found"):
                missing.append(refused)
            continue
        print(f'{kind.shown(name).rpartition("/")[0]} "{name}" deleted', flush=True)
        gone.append((kind, name, path))
    if options.one("wait", "true") != "false":
        ended(session, options, gone)
    for refusal in missing:
        complain(refusal)
    return 1 if missing else 0


def meant(session: Session, options: Options) -> list[tuple[Kind, str, str]]:
    """Kind, namespace and name of each object to delete."""
    if options.has("filename") or options.has("kustomize"):
        found, wrong = manifests(session, options)
        if wrong and not options.has("ignore-not-found"):
            raise Failed("\n".join(wrong))
        return [(one.kind, one.namespace, one.name) for one in found]
    if not options.words:
        raise Failed(HOW_MUCH)
    named = [(kind, session.namespace, name) for kind, name in session.named(options.words)]
    if named:
        return named
    if not any(options.has(flag) for flag in ("selector", "all", "field-selector")):
        raise Failed("error: resource(s) were provided, but no name was specified")
    listed = [(session.kind_of(one), one["metadata"]) for one in everything(session, options)]
    if not listed:
        print("No resources found")
    return [(kind, metadata.get("namespace", ""), metadata["name"]) for kind, metadata in listed if kind]


def ended(session: Session, options: Options, gone: list[tuple[Kind, str, str]]) -> None:
    """Wait until none is there any more; Failed after --timeout (0: a week)."""
    deadline = time.monotonic() + (seconds(options.one("timeout", "0")) or 7 * 86400)
    for kind, name, path in gone:
        pause = 0.01
        while there(session, path):
            if time.monotonic() > deadline:
                raise Failed(f"error: timed out waiting for the condition on {kind.plural}/{name}")
            time.sleep(pause)
            pause = min(pause * 2, 0.2)


def there(session: Session, path: str) -> bool:
    try:
        session.ask("GET", path)
    except Refused as refused:
        if refused.code == 404:
            return False
        raise
    return True
