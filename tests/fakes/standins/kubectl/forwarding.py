"""kubectl port-forward: a loopback port that leads, by SPDY 3.1 as the real one's, to a pod's."""

from __future__ import annotations

import socket
import threading

from fakes.standins.kubectl import spdy
from fakes.standins.kubectl.logs import chosen, selector
from fakes.standins.kubectl.session import Failed, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


def forward(session: Session, options: Options) -> int:
    """Listen until ended from outside."""
    if len(options.words) < 2:
        raise Failed("error: TYPE/NAME and list of ports are required for port-forward")
    target, *ports = options.words
    doors = [door(session, target, port) for port in ports]
    for here, there, listener, name in doors:
        print(f"Forwarding from 127.0.0.1:{here} -> {there}", flush=True)
        threading.Thread(target=serve, args=(session, listener, name, here, there), daemon=True).start()
    threading.Event().wait()
    return 0


def door(session: Session, target: str, port: str) -> tuple[int, int, socket.socket, str]:
    """A listening port for one `LOCAL:PORT`: the local one, the pod's, the socket and whose it is."""
    here, _, wanted = port.rpartition(":") if ":" in port else (port, "", port)
    there, name = behind(session, target, int(wanted))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", int(here or 0)))
    except OSError as error:
        raise Failed(
            f"Unable to listen on port {here}: Listeners failed to create with the following errors: [unable to create "
            f"listener: Error listen tcp4 127.0.0.1:{here}: bind: {str(error.strerror).lower()}]\n"
            f"error: unable to listen on any of the requested ports: [{{{here} {there}}}]"
        ) from None
    listener.listen()
    return listener.getsockname()[1], there, listener, name


def behind(session: Session, target: str, port: int) -> tuple[int, str]:
    """The pod's port for the target's, and the pod; Failed where none runs behind it."""
    kind, slash, name = target.partition("/")
    found, name = session.kind(kind if slash else "pods"), name if slash else kind
    owner = session.ask("GET", session.path(found, session.namespace, name))
    if found.plural == "pods":
        return port, running(owner)
    if found.plural == "services":
        entry = next((one for one in owner["spec"]["ports"] if one["port"] == port), None)
        if entry is None:
            raise Failed(f"error: Service {name} does not have a service port {port}")
        labels = ",".join(f"{key}={value}" for key, value in owner["spec"].get("selector", {}).items())
        pod = first(chosen(session, labels))
        return container_port(pod, entry.get("targetPort", port)), running(pod)
    return port, running(first(chosen(session, selector(owner))))


def first(pods: list[Json]) -> Json:
    """A pod that runs before one that does not; kubectl waits a minute for one, and this not at all."""
    if not pods:
        raise Failed("error: timed out waiting for the condition")
    return sorted(pods, key=lambda pod: pod["status"]["phase"] != "Running")[0]


def running(pod: Json) -> str:
    phase = pod["status"]["phase"]
    if phase != "Running":
        raise Failed(f"error: unable to forward port because pod is not running. Current status={phase}")
    return str(pod["metadata"]["name"])


def container_port(pod: Json, wanted: int | str) -> int:
    """The number of a port that a Service gives by number or by name."""
    if isinstance(wanted, int):
        return wanted
    every = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
    found = next((port["containerPort"] for port in every if port.get("name") == wanted), None)
    if found is None:
        raise Failed(f"error: Pod '{pod['metadata']['name']}' does not have a named port '{wanted}'")
    return int(found)


def serve(session: Session, listener: socket.socket, pod: str, here: int, there: int) -> None:
    path = f"{session.path(session.kind('pods'), session.namespace, pod)}/portforward"
    wire = session.connected()
    while True:
        client, _ = listener.accept()
        print(f"Handling connection for {here}", flush=True)
        threading.Thread(target=spdy.carry, args=(wire, path, client, there), daemon=True).start()
