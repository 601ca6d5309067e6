"""kubectl wait and rollout status: asking again until it is so, or the time is over."""

from __future__ import annotations

import time

from fakes.standins.kubectl.deleting import there
from fakes.standins.kubectl.jsonpath import evaluate
from fakes.standins.kubectl.looking import everything
from fakes.standins.kubectl.session import Failed, Kind, Session, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

PAUSE = 0.03


def wait(session: Session, options: Options) -> int:
    """Wait for `condition=NAME[=VALUE]`, `jsonpath={…}[=VALUE]` or `delete`; 30 seconds unless --timeout says else."""
    met = condition(options.one("for"))
    deadline = time.monotonic() + seconds(options.one("timeout", "30s"))
    named = [(kind, name, session.namespace) for kind, name in session.named(options.words)] or selected(
        session, options
    )
    if not named and options.one("for") != "delete":
        raise Failed("error: no matching resources found")
    for kind, name, namespace in named:
        path = session.path(kind, namespace, name)
        while not (gone(session, path) if met is None else met(session.ask("GET", path))):
            if time.monotonic() > deadline:
                raise Failed(f"error: timed out waiting for the condition on {kind.plural}/{name}")
            time.sleep(PAUSE)
        print(f"{kind.shown(name)} condition met", flush=True)
    return 0


def gone(session: Session, path: str) -> bool:
    return not there(session, path)


def selected(session: Session, options: Options) -> list[tuple[Kind, str, str]]:
    if not (options.has("selector") or options.has("all") or options.has("field-selector")):
        raise Failed("error: resource(s) were provided, but no name was specified")
    found = [(session.kind_of(one), one["metadata"]) for one in everything(session, options)]
    return [(kind, metadata["name"], metadata.get("namespace", "")) for kind, metadata in found if kind]


def condition(text: str) -> Callable[[Json], bool] | None:
    """What an object must fulfil; None for its end."""
    kind, _, rest = text.partition("=")
    if text == "delete":
        return None
    if kind == "condition":
        name, _, value = rest.partition("=")
        return lambda found: has(found, name, value or "true")
    if kind == "jsonpath":
        path, _, value = rest.strip("'").rpartition("}")
        wanted = value.removeprefix("=")
        return lambda found: matches(evaluate(f"{path}}}", found), wanted, exact=value.startswith("="))
    raise Failed(f'error: unrecognized condition: "{text}"')


def has(found: Json, name: str, value: str) -> bool:
    conditions = found.get("status", {}).get("conditions") or []
    return any(one["type"].lower() == name.lower() and one["status"].lower() == value.lower() for one in conditions)


def matches(text: str, wanted: str, exact: bool) -> bool:
    return text == wanted if exact else bool(text)


def status(session: Session, options: Options) -> int:
    """Wait for a Deployment's rollout; its stages are told as they change."""
    named = list(session.named(options.words))
    if not named:
        raise Failed("error: required resource not specified")
    [(kind, name)] = named
    limit = seconds(options.one("timeout", "0"))
    deadline = time.monotonic() + (limit or 7 * 86400)
    said = ""
    while True:
        text, done = stage(session.ask("GET", session.path(kind, session.namespace, name)))
        if text != said:
            print(text, flush=True)
            said = text
        if done or options.one("watch") == "false":
            return 0
        if time.monotonic() > deadline:
            raise Failed("error: timed out waiting for the condition")
        time.sleep(PAUSE)


def stage(found: Json) -> tuple[str, bool]:
    """How far a Deployment's rollout is, in kubectl's words, and whether it is done."""
    name, wanted, state = found["metadata"]["name"], found["spec"].get("replicas", 1), found.get("status", {})
    if found["kind"] != "Deployment":
        raise Failed(f"error: the stand-in knows the rollout of Deployments only, not of a {found['kind']}")
    if state.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return "Waiting for deployment spec update to be observed...", False
    late = [one for one in state.get("conditions", []) if one.get("reason") == "ProgressDeadlineExceeded"]
    if late:
        raise Failed(f'error: deployment "{name}" exceeded its progress deadline')
    updated, total, ready = (state.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    head = f'Waiting for deployment "{name}" rollout to finish'
    if updated < wanted:
        return f"{head}: {updated} out of {wanted} new replicas have been updated...", False
    if total > updated:
        return f"{head}: {total - updated} old replicas are pending termination...", False
    if ready < updated:
        return f"{head}: {ready} of {updated} updated replicas are available...", False
    return f'deployment "{name}" successfully rolled out', True
