"""What `invoke models` prints: every version with what it reached, what it was made from, and what it is used for."""

from __future__ import annotations

import json

from invoke.context import Context

from pipeline import aliases, versions, views
from pipeline.aliases import Aliases
from pipeline.execution import say
from pipeline.versions import Version

HEAD = ("version", "is", "test accuracy", "trained on", "model", "trained with", "parent", "made", "MB", "server")

STAND_IN = "STAND-IN DATA: a version trained on digits has never seen MNIST; its accuracy is on held-out digits."


def models(c: Context, as_json: bool = False) -> None:
    """The versions in the bucket, newest first; asks the server where one runs."""
    settings = views.attached(c)
    there, (known, _) = versions.listed(settings), aliases.read(settings)
    served = views.served_by(settings, known)
    if as_json:
        say(json.dumps([record(one, known, served) for one in there], indent=1))
    elif not there:
        say(f"no version is in {settings.bucket}/export yet: `invoke train` makes one")
    else:
        views.show(HEAD, [row(one, known, served) for one in there])
        for line in remarks(there, known, served):
            say(line)


def record(version: Version, known: Aliases, served: dict[str, str]) -> dict[str, object]:
    """A version's card, and what is known of its use."""
    return {
        **version.card, "size": version.size, "served": served.get(version.tag), "stable": version.tag == known.stable,
        "canary": share(version, known), "forced": known.forced(version.tag),
    }  # fmt: skip


def share(version: Version, known: Aliases) -> int | None:
    """The percent of the requests that a version on trial gets; None for one that is not."""
    return known.canary.percent if known.canary and known.canary.version == version.tag else None


def row(version: Version, known: Aliases, served: dict[str, str]) -> tuple[str, ...]:
    card = version.card
    accuracy = f"{card['metrics']['test_accuracy']:.2%} of {card['metrics']['test_examples']:,}"
    made_with = (card["dataset"]["name"], card["model"], trained_with(card), str(card.get("parent") or "-"))
    state = served.get(version.tag, "-")
    return (version.tag, use(version, known), accuracy, *made_with, card["created"], f"{version.size / 1e6:.1f}", state)


def use(version: Version, known: Aliases) -> str:
    """Stable, on trial with its share of the requests, or stable once."""
    percent = share(version, known)
    if version.tag == known.stable:
        return "stable"
    return f"canary {percent} %" if percent else "was stable" if known.left(version.tag) else "-"


def trained_with(card: dict[str, object]) -> str:
    """The settings of a training that matter most: `2814 x 64 nesterov 0.08`; an older card may lack some."""
    given = card.get("settings")
    given = given if isinstance(given, dict) else {}
    rate = given.get("learning_rate")
    words = (f"x {given['batch_size']}" if "batch_size" in given else "", given.get("optimizer", ""), rate or "")
    return " ".join(str(word) for word in (card["steps"], *words) if word)


def remarks(there: list[Version], known: Aliases, served: dict[str, str]) -> list[str]:
    """What a person should know besides the table."""
    missed = {one.tag: known.forced(one.tag) for one in there}
    lines = [f"\nforced through the gate: version {tag}: {figure}" for tag, figure in missed.items() if figure]
    if known.stable and known.stable not in missed:
        lines.append(f"\nstable is {known.stable}, which is not there, or damaged: `invoke serve` takes another")
    if not served:
        lines.append("\nno model server answers: `invoke serve` starts one")
    if any(one.card["dataset"]["stand_in"] for one in there):
        lines.append(f"\n{STAND_IN}")
    return lines
