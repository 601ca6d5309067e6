"""This machine as a cluster: the manifests that go to GKE, run as processes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.answering import Say
from pipeline.clusters import addresses, jobs, logfiles, pods
from pipeline.clusters.addresses import address as address
from pipeline.clusters.objects import store
from pipeline.clusters.supervisor import Supervisor
from pipeline.commands import Asking, Call, Probe, Result, Steps, Unchanged, Watch, Write
from pipeline.errors import PipelineError, RunFailed
from pipeline.manifests import Manifest, dump
from pipeline.processes import end, marked
from pipeline.settings import Settings

DISK_NEEDED = 500_000_000
"""Bytes for data, checkpoints, a few versions and logs; measured at about 60 MB a version with the CNN's."""


def create(settings: Settings) -> Steps:
    """Make the folders that a cluster and a bucket would be, after looking whether this machine will do."""
    ready = yield Probe("disk and folders", partial(fit, settings))
    if ready:
        yield Unchanged(f"{settings.build} and the bucket are there")
    else:
        yield Call(f"make {settings.build} and the bucket {settings.bucket}", partial(make_folders, settings))
    yield Result(f"bucket {settings.bucket}")


def fit(settings: Settings) -> bool:
    """Whether the folders are there; raises PipelineError where this machine cannot work."""
    there = next(path for path in (settings.build, *settings.build.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < DISK_NEEDED:
        raise PipelineError(
            f"{there} has {free / 1e6:.0f} MB free and {DISK_NEEDED / 1e6:.0f} MB are needed: make room"
        )
    return settings.build.is_dir() and Path(settings.bucket).is_dir()


def make_folders(settings: Settings, show: Say) -> None:
    from pipeline import storage

    try:
        for part in ("objects", "logs", "run"):
            (settings.build / part).mkdir(parents=True, exist_ok=True)
        storage.of(settings).create()
    except OSError as error:
        raise PipelineError(
            f"could not make {error.filename}: {error.strerror}; the checkout must be writable"
        ) from None


def guard(settings: Settings) -> Steps:
    """This machine is always the right one."""
    yield from ()


def apply(settings: Settings, component: str, documents: list[Manifest], **how: Any) -> Steps:
    """Bring each object to what its manifest says; a TFJob starts when it is waited for."""
    makes = str(how.get("makes", component))
    yield Write(settings.build / f"{component}.yaml", dump(documents))
    for manifest in documents:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if kind == "Deployment":
            same = yield Probe(f"whether {name} runs as it should", partial(deployed, settings, manifest))
            if same:
                yield Unchanged(f"{name} is up and its manifest is the same")
            else:
                yield Call(f"start {name} under the supervisor", partial(deploy, settings, manifest), makes=makes)
        elif store(settings).get(kind, name) != manifest:
            yield Call(f"apply {kind} {name}", partial(remember, settings, manifest), makes=makes)


def remember(settings: Settings, manifest: Manifest, show: Say) -> None:
    store(settings).put(manifest)


def deployed(settings: Settings, manifest: Manifest) -> bool:
    name = manifest["metadata"]["name"]
    if store(settings).get("Deployment", name) != manifest:
        return False
    return Supervisor(settings.build).runs(name, process_of(settings, manifest))


def process_of(settings: Settings, manifest: Manifest) -> pods.Process:
    pod = manifest["spec"]["template"]["spec"]
    return pods.process(pod, manifest["metadata"]["name"], settings.build / "volumes", store(settings))


def deploy(settings: Settings, manifest: Manifest, show: Say) -> None:
    """Start a Deployment's process, or start it anew; raises PipelineError where its port is taken."""
    name, supervisor = manifest["metadata"]["name"], Supervisor(settings.build)
    if manifest["spec"].get("replicas", 1) > 1:
        show(f"{name} asks for {manifest['spec']['replicas']} replicas; one machine runs one, which is supervised")
    for port in pods.ports(manifest["spec"]["template"]["spec"]):
        holder = pods.holder(port, but=settings.build)
        if holder:
            raise PipelineError(
                f"port {port} of {name} is taken by {holder}: stop it, or {addresses.instead(settings, port)}"
            )
    for other in renamed(settings, manifest):
        show(f"stop {other}, whose place it takes")
        supervisor.remove(other)
        store(settings).remove("Deployment", other)
    process = process_of(settings, manifest)
    supervisor.put(name, process)
    store(settings).put(manifest)


def renamed(settings: Settings, manifest: Manifest) -> list[str]:
    """The Deployments of the same component under another name: what a changed `serving.model_name` leaves."""
    component = manifest["metadata"]["labels"]["app.kubernetes.io/name"]
    there = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in store(settings).all("Deployment")}
    same = [name for name, labels in there.items() if labels.get("app.kubernetes.io/name") == component]
    return [name for name in same if name != manifest["metadata"]["name"]]


def withdraw(settings: Settings, component: str, documents: list[Manifest]) -> Steps:
    """Take back objects that were applied, the last first; a Deployment's process answers what it has begun."""
    for manifest in reversed(documents):
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        there = yield Probe(f"whether {kind} {name} is there", partial(store(settings).get, kind, name))
        if there:
            doing = f"stop {name}" if kind == "Deployment" else f"take back {kind} {name}"
            yield Call(doing, partial(forget, settings, kind, name))


def forget(settings: Settings, kind: str, name: str, show: Say) -> None:
    if kind == "Deployment":
        Supervisor(settings.build).remove(name)
    store(settings).remove(kind, name)


def wait(settings: Settings, documents: list[Manifest]) -> Steps:
    """Wait until a TFJob has succeeded, a Deployment answers its readiness probe and a Service its address."""
    for manifest in documents:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "TFJob":
            yield Call(f"run {name} here", partial(run_job, settings, manifest))
        elif manifest["kind"] == "Deployment":
            words = partial(last_words, settings)
            yield Watch(f"until {name} is ready", partial(addresses.ready, settings, manifest, words))
        elif manifest["kind"] == "Service":
            made_by = manifest["metadata"]["labels"]["app.kubernetes.io/name"]
            yield Probe(f"where {name} is", partial(address, settings, name, ""), needs=(made_by,))


def run_job(settings: Settings, manifest: Manifest, show: Say) -> None:
    jobs.run(manifest, settings.build, store(settings), show)


def last_words(settings: Settings, name: str) -> str:
    lines = list[str]()
    logs(settings, name, 5, False, lines.append)
    return "\n  ".join(lines) or "it said nothing"


@contextlib.contextmanager
def reach(settings: Settings, service: str, port: str, here: int = 0) -> Iterator[addresses.Way]:
    """A Service's port is on this machine's loopback already."""
    yield addresses.Way(address(settings, service, port))


@contextlib.contextmanager
def ways(settings: Settings, service: str, ports: tuple[str, ...]) -> Iterator[list[str]]:
    yield [address(settings, service, port) for port in ports]


def each(settings: Settings, service: str, ports: tuple[str, ...], ask: Callable[..., object]) -> None:
    """One machine runs one process behind a Service."""
    ask(*(address(settings, service, port) for port in ports))


def found(settings: Settings, kind: str, name: str) -> Asking:
    return (yield Probe(f"what {kind} {name} says", partial(store(settings).get, kind, name)))


def refreshed(settings: Settings, component: str, value: str) -> Steps:
    """A ConfigMap's files are written anew with the look at the process that reads them."""
    yield from ()


def logs(settings: Settings, name: str, lines: int, follow: bool, show: Say) -> None:
    """Show the last lines of a component's log, then, with `follow`, each new one until Ctrl-C."""
    path = settings.build / "logs" / f"{name}.log"
    if not path.exists():
        raise PipelineError(f"no log of {name} is there: {path}")
    for line in logfiles.read(path, lines, follow):
        show(line)


def newest_job(settings: Settings) -> str:
    """The log of the newest job's chief, by its name."""
    jobs = sorted((settings.build / "logs").glob("train-*-chief-0.log"))
    if not jobs:
        raise PipelineError("no training has run here: `invoke train` starts one")
    return jobs[-1].stem


def status(settings: Settings) -> list[tuple[str, ...]]:
    """A row for each object that runs: component, state, process, uptime, address."""
    states, rows = Supervisor(settings.build).states(), list[tuple[str, ...]]()
    for manifest in store(settings).all("Deployment"):
        name, pod = manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]
        state = states.get(name, {"statename": "unsupervised" if marked(settings.build) else "stopped"})
        process = f"process {state['pid']}" if state.get("pid") else ""
        places = ", ".join(f"127.0.0.1:{port}" for port in pods.ports(pod))
        up = state.get("description", "").partition("uptime ")[2]
        rows.append((name, state["statename"].lower(), process, up, places))
    return rows


def recover(settings: Settings) -> int:
    """End what a killed invoke or supervisor left running in this environment; how many processes there were."""
    return Supervisor(settings.build).recover()


def delete(settings: Settings, keep_models: bool = False) -> Steps:
    """Stop every process of the environment, delete what was made for it, and show what is left."""
    yield Call("stop the supervisor and all it keeps up", partial(stop_all, settings))
    if not keep_models:
        yield Call(f"delete the bucket {settings.bucket}", partial(delete_bucket, settings))
    yield Call(f"delete {settings.build}", partial(delete_build, settings, keep_models))
    left = yield Probe("what is left", partial(leftovers, settings, keep_models))
    if left:
        raise RunFailed("clean left behind: " + "; ".join(left))
    kept = ", 0 files"
    if keep_models:
        kept = f", the models kept in {settings.bucket}"
    elif not (yield Probe("whose the bucket is", partial(bucket_is_gone, settings), True)):
        kept = f"; {settings.bucket} was there before us and is as you see it: remove from it what you do not want"
    yield Result(f"nothing is left: 0 processes{kept}")


def bucket_is_gone(settings: Settings) -> bool:
    return not Path(settings.bucket).exists()


def stop_all(settings: Settings, show: Say) -> None:
    count = Supervisor(settings.build).stop() + end(marked(settings.build))
    show(f"{count} processes ended")


def delete_bucket(settings: Settings, show: Say) -> None:
    from pipeline import storage

    for line in storage.of(settings).delete():
        show(line)


def delete_build(settings: Settings, keep_models: bool, show: Say) -> None:
    """Delete the build folder, but for the bucket in it where that is kept or was not ours to delete."""
    bucket = Path(settings.bucket)
    for path in sorted(settings.build.glob("*")):
        if not (bucket.exists() and bucket.is_relative_to(path)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if settings.build.exists() and not any(settings.build.iterdir()):
        settings.build.rmdir()


def leftovers(settings: Settings, keep_models: bool) -> list[str]:
    """What still runs or lies there of this environment, in words; empty when all is gone."""
    from pipeline import storage

    running = [f"process {process.pid} ({process.name()})" for process in marked(settings.build)]
    bucket = storage.folder(settings)
    spared = bucket.path if keep_models or not bucket.ours() else None
    files = [path for path in settings.build.rglob("*") if path.is_file()]
    if spared is None and not bucket.path.is_relative_to(settings.build):
        files += [path for path in bucket.path.rglob("*") if path.is_file()]
    return running + [str(path) for path in files if spared is None or not path.is_relative_to(spared)]
