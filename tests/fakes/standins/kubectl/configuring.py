"""kubectl config: what stands in the kubeconfig."""

from __future__ import annotations

import json

from fakes.standins.kubeconfig import NoContext
from fakes.standins.kubectl.printing import formatted
from fakes.standins.kubectl.session import Failed, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

ORDER = ("kind", "apiVersion", "preferences", "clusters", "users", "contexts", "current-context")
"""In which kubectl prints a kubeconfig as JSON."""

HIDDEN = ("certificate-authority-data", "client-certificate-data", "client-key-data", "token", "password")


def view(session: Session, options: Options) -> int:
    config = session.config
    value = config.value
    if options.has("minify"):
        if not (options.one("context") or value["current-context"]):
            raise Failed("error: current-context must exist in order to minify")
        try:
            value = config.minified(options.one("context"))
        except NoContext:
            raise Failed(f"error: cannot locate context {options.one('context')}") from None
    if not options.has("raw"):
        value = hidden(value)
    value = {name: value.get(name) or None if name.endswith("s") else value[name] for name in ORDER}
    value["preferences"], output = {}, options.one("output", "yaml")
    print(json.dumps(value, indent=4) if output == "json" else formatted(output, value))
    return 0


def hidden(value: Any) -> Any:
    """Secrets as kubectl shows them."""
    if isinstance(value, list):
        return [hidden(one) for one in value]
    if not isinstance(value, dict):
        return value
    marks = {name: "DATA+OMITTED" if name.startswith("certificate-authority") else "REDACTED" for name in HIDDEN}
    return {name: marks[name] if name in marks else hidden(one) for name, one in value.items()}


def current(session: Session, options: Options) -> int:
    name = session.config.value["current-context"]
    if not name:
        raise Failed("error: current-context is not set")
    print(name)
    return 0


def contexts(session: Session, options: Options) -> int:
    print("\n".join(one["name"] for one in session.config.value["contexts"] or []))
    return 0


def delete(session: Session, options: Options) -> int:
    config, name = session.config, options.words[0]
    if not config.named("contexts", name):
        raise Failed(f"error: cannot delete context {name}, not in {config.path}")
    config.value["contexts"] = [one for one in config.value["contexts"] if one["name"] != name]
    config.write()
    print(f"deleted context {name} from {config.path}")
    return 0
