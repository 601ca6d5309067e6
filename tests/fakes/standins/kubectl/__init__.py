"""kubectl as a table of commands that make the real one's calls on the cluster that the kubeconfig names.

Each entry of COMMANDS: words → (module, function, valued flags, switches, one-letter flags). A function gets the
Session and the options, prints what the real one prints, and returns the exit code. Meant to differ: the patch of
`apply` is worked out as a whole object and sent as a JSON merge patch, and port-forward asks the fake where to lead.
"""

from __future__ import annotations

import sys
from importlib import import_module

from fakes.standins.arguments import Bad, parse
from fakes.standins.kubectl.session import Failed, Session

EVERYWHERE = "kubeconfig context namespace request-timeout cache-dir cluster user v"
SHORT = "n=namespace f=filename k=kustomize l=selector o=output A=all-namespaces c=container p=previous R=recursive"
FILES = "filename kustomize"

COMMANDS = {
    "version": ("looking", "version", "output", "client", ""),
    "api-resources": ("looking", "resources", "output api-group namespaced verbs", "", ""),
    "get": ("looking", "get", f"{FILES} output selector field-selector raw sort-by chunk-size template",
            "ignore-not-found all-namespaces show-labels no-headers show-managed-fields", ""),
    "logs": ("logs", "logs",
             "selector container tail since since-time max-log-requests pod-running-timeout limit-bytes",
             "timestamps previous follow all-containers prefix ignore-errors all-pods", "f=follow"),
    "events": ("looking", "events", "for output types", "all-namespaces", ""),
    "apply": ("applying", "apply", f"{FILES} field-manager dry-run output validate selector",
              "server-side force-conflicts recursive wait", ""),
    "diff": ("applying", "diff", f"{FILES} field-manager", "server-side force-conflicts", ""),
    "create": ("changing", "create", f"{FILES} dry-run output field-manager", "", ""),
    "create namespace": ("changing", "create_namespace", "dry-run output", "", ""),
    "create secret generic": ("changing", "create_secret", "from-file from-literal dry-run output type", "", ""),
    "delete": ("deleting", "delete", f"{FILES} selector field-selector timeout cascade grace-period",
               "ignore-not-found wait now force all all-namespaces recursive", ""),
    "label": ("changing", "label", "selector field-manager", "overwrite all all-namespaces", ""),
    "annotate": ("changing", "annotate", "selector field-manager", "overwrite all all-namespaces", ""),
    "rollout status": ("waiting", "status", "timeout", "watch", ""),
    "rollout restart": ("changing", "restart", "selector", "", ""),
    "wait": ("waiting", "wait", "for timeout selector field-selector output", "all all-namespaces", ""),
    "port-forward": ("forwarding", "forward", "address pod-running-timeout", "", ""),
    "config view": ("configuring", "view", "output", "raw minify flatten merge", ""),
    "config current-context": ("configuring", "current", "", "", ""),
    "config get-contexts": ("configuring", "contexts", "output", "no-headers", ""),
    "config delete-context": ("configuring", "delete", "", "", ""),
}  # fmt: skip


def main(argv: list[str], bin: str, google: str) -> int:
    """Perform one kubectl command line; exit codes and messages are the real one's."""
    name = named(argv)
    if not name:
        print(f'Error: unknown command "{argv[0] if argv else ""}" for "kubectl"', file=sys.stderr)
        return 1
    try:
        module, function, valued, switches, short = COMMANDS[name]
        options = parse(argv[len(name.split()) :], f"{EVERYWHERE} {valued}", switches, f"{short} {SHORT}")
        act = getattr(import_module(f"fakes.standins.kubectl.{module}"), function)
    except Bad as bad:
        print(f"Error: {bad}\nSee 'kubectl {name} --help' for usage.", file=sys.stderr)
        return 1
    session = Session(options)
    try:
        if options.one("output").startswith("jsonpath"):
            import_module("fakes.standins.kubectl.printing").formatted(options.one("output"), {})
        return int(act(session, options) or 0)
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 2 if name == "diff" else 1
    except OSError as error:
        print(session.lost(error), file=sys.stderr)
        return 2 if name == "diff" else 1


def named(argv: list[str]) -> str:
    """The longest command that argv begins with; empty if none."""
    for count in (3, 2, 1):
        name = " ".join(argv[:count])
        if len(argv) >= count and name in COMMANDS:
            return name
    return ""
