"""gcloud as a table of commands that make the same REST calls as the real one, on the fakes of Google's APIs.

Each module holds one group's COMMANDS: words → (function, names of the positional words, valued flags, switches). A
function gets the Cloud, the options and the words, and returns what is to be shown. Two differences are meant: it does
not try again by itself (the pipeline's own retries are what is tested), and it asks for no terminal.
"""

from __future__ import annotations

import sys

from fakes.standins.arguments import Bad, Options, parse
from fakes.standins.gcloud.cloud import Cloud, Failed
from fakes.standins.gcloud.formats import NoSuchFormat, shown
from fakes.standins.gcloud.formats import check as checked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GROUPS = {"artifacts": "artifacts", "auth": "login", "billing": "projects", "builds": "builds", "compute": "compute",
          "config": "login", "container": "container", "endpoints": "endpoints", "iam": "accounts", "iap": "projects",
          "projects": "projects", "services": "projects", "storage": "buckets", "version": "login"}  # fmt: skip

EVERYWHERE = "project format filter flatten limit sort-by verbosity account page-size"
SWITCHES = "quiet q uri no-user-output-enabled"


def main(argv: list[str], bin: str, google: str) -> int:
    """Perform one gcloud command line; exit codes and messages are the real one's."""
    words, rest = leading(argv)
    table = table_of(words[0]) if words else {}
    name = next((" ".join(words[:count]) for count in range(len(words), 0, -1) if " ".join(words[:count]) in table), "")
    if not name:
        known = known_part(words, table)
        wrong = (words[len(known) :] or [""])[0]
        return complain(".".join(["gcloud", *known]), f"Invalid choice: '{wrong}'.", 2)
    function, positional, valued, switches = table[name]
    told = ".".join(["gcloud", *name.split()])
    try:
        options = understood(words[len(name.split()) :] + rest, valued, switches)
        check(options.words, positional.split())
        checked(options)
        value = function(Cloud(options.one("project"), google), options, *options.words)
        print(shown(value, options), end="")
    except Bad as bad:
        return complain(told, str(bad), 2)
    except NoSuchFormat as unknown:
        return complain(told, f"the stand-in does not know {unknown}", 2)
    except Failed as failed:
        return complain(told, str(failed), 1)
    except OSError as error:
        print(f"ERROR: gcloud crashed ({type(error).__name__}): {error}", file=sys.stderr)
        return 1
    return 0


def leading(argv: list[str]) -> tuple[list[str], list[str]]:
    """The words before the first flag, and the rest."""
    count = next((number for number, word in enumerate(argv) if word.startswith("-")), len(argv))
    return argv[:count], argv[count:]


def table_of(group: str) -> dict[str, Any]:
    if group not in GROUPS:
        return {}
    from importlib import import_module

    return dict(import_module(f"fakes.standins.gcloud.{GROUPS[group]}").COMMANDS)


def known_part(words: list[str], table: dict[str, Any]) -> list[str]:
    """As many of the words as begin a command."""
    count = 0
    while any(name.split()[: count + 1] == words[: count + 1] for name in table) and count < len(words):
        count += 1
    return words[:count]


def understood(argv: list[str], valued: str, switches: str) -> Options:
    try:
        return parse(argv, f"{EVERYWHERE} {valued}", f"{SWITCHES} {switches}", "q=quiet")
    except Bad as bad:
        kind, _, flag = str(bad).rpartition(" ")
        raise Bad(
            f"argument {flag}: expected one argument" if "needs" in kind else f"unrecognized arguments: {flag}"
        ) from None


def check(words: list[str], names: list[str]) -> None:
    """Raises Bad for too many or too few words; `NAMES...` takes one or more, `[NAME]` none or one."""
    needed = [name for name in names if not name.startswith("[")]
    if len(words) < len(needed):
        raise Bad(f"argument {needed[len(words)]}: Must be specified.")
    if len(words) > len(names) and not (names and names[-1].endswith("...")):
        raise Bad(f"unrecognized arguments: {words[len(names)]}")


def complain(told: str, text: str, code: int) -> int:
    print(f"ERROR: ({told}) {text}", file=sys.stderr)
    return code
