"""YAML and JSON documents; PyYAML is looked for only when there is YAML, for it is slow to import."""

from __future__ import annotations

import glob
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_all(text: str) -> list[Any]:
    """Every document that is not empty."""
    text = text.strip()
    if text.startswith("{"):
        try:
            return [json.loads(text)]
        except ValueError:
            pass  # several JSON documents, or YAML's flow style
    if not text:
        return []
    yaml = pyyaml()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [one for one in yaml.load_all(text, loader) if one is not None]


def pyyaml() -> Any:
    """PyYAML of the environment that this Python belongs to: -S leaves that out of the path."""
    home = os.path.dirname(os.path.dirname(sys.executable))  # noqa: PTH120
    sys.path += glob.glob(f"{home}/lib/python3*/site-packages")  # noqa: PTH207
    import yaml

    return yaml


def dump(value: Any) -> str:
    return str(pyyaml().safe_dump(value, sort_keys=False))
