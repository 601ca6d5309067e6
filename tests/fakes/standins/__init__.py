"""Stand-ins for docker, gcloud and kubectl: small programs that start quickly, by `nursery`, and ask the fakes.

`install(bin, google)` puts them into a folder that goes first in PATH. What they know is a table of commands; anything
else ends with the real tool's words for an unknown command, so that a test fails loudly. `control.Docker(bin)` lets
docker go wrong and tells what it was asked. This file imports nothing at its top: each stand-in's start reads it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PLUGIN = "gke-gcloud-auth-plugin"
MODULES = {PLUGIN: "plugin"}
"""Executables whose module has another name."""


def install(bin: Path, google: str, names: Iterable[str] = ("docker",)) -> None:
    """Write the named executables into `bin`; `google` is where every Google API answers.

    gke-gcloud-auth-plugin comes with gcloud.
    """
    import sys
    from pathlib import Path

    from fakes.standins import nursery
    from fakes.standins.control import put

    wanted = list(names)
    wanted += [PLUGIN] if "gcloud" in wanted and PLUGIN not in wanted else []
    tests = Path(__file__).resolve().parent.parent.parent
    bin.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        module = MODULES.get(name, name)
        text = nursery.CLIENT.format(
            python=sys.executable, tests=str(tests), name=module, bin=str(bin), google=google,
            nursery=nursery.started(),
        )  # fmt: skip
        put(bin / name, text, 0o755)
