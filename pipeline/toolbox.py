"""The tools that a cloud needs on this machine: there, new enough, and close enough to the cluster's version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.clusters.existing import yours
from pipeline.commands import Command, Steps
from pipeline.config import require_project
from pipeline.errors import UNFIT, PipelineError
from pipeline.findings import INSTALL, Asking, Row, Rows, failed
from pipeline.settings import Settings
from pipeline.tools import docker, gcloud, gcloud_environment, kubectl

OLDEST_GCLOUD = 500
"""Of 2024: what every command here was tried with and after; older ones lack some."""

OLDEST_KUBECTL = 28
"""1.28: the first whose `wait` takes a jsonpath without a value."""

SKEW = 1
"""Kubernetes' own rule: kubectl and the server may lie one minor version apart."""


NO_DAEMON = "docker's daemon does not answer: start it, or let Cloud Build do it: --set build_images.tool=cloud-build"


def preconditions(settings: Settings, *names: str) -> Steps:
    """What must be so before any change of these stages: the tools are there and fit; PipelineError (exit 3) else."""
    if settings.cluster.kind == "local":
        return
    require_project(settings)
    refuse(gcloud_fault((yield from present(gcloud_version(settings)))))
    if settings.cluster.kind == "gke":
        yield from present(plugin_version(settings))
    client = yield from present(kubectl_version(settings))
    refuse(kubectl_fault(client))
    refuse(kubectl_fault(versions((yield both_versions(settings)), client)))
    if "build" in names and settings.build_images.tool == "docker":
        refuse("" if (yield from present(docker_daemon(settings)))[0] == 0 else NO_DAEMON)


def present(command: Command) -> Asking[Any]:
    """Ask a tool for its version; where it is missing the error says how to get it."""
    try:
        return (yield command)
    except PipelineError as error:
        if error.code != UNFIT:
            raise
        where = str(error.message).partition(": ")[0]
        raise PipelineError(f"{where}: {INSTALL[command.argv[0]]}", UNFIT) from None


def refuse(fault: str) -> None:
    """Raise exit 3 with a fault, if it is one."""
    if fault:
        raise PipelineError(fault, UNFIT)


def gcloud_version(settings: Settings) -> Command:
    return gcloud(settings, "version", "--format=json", doing="look at gcloud's version", kind="ask", parse="json",
                  unasked={}, timeout=60)  # fmt: skip


def plugin_version(settings: Settings) -> Command:
    """Asks the door between kubectl and GKE, which `get-credentials` writes into the kubeconfig."""
    argv = ("gke-gcloud-auth-plugin", "--version")
    return Command(argv, "look for gke-gcloud-auth-plugin", env=gcloud_environment(settings), kind="ask", parse="text",
                   unasked="", timeout=60)  # fmt: skip


def kubectl_version(settings: Settings) -> Command:
    return kubectl(settings, "version", "--client", "-o", "json", doing="look at kubectl's version", kind="ask",
                   parse="json", unasked={}, timeout=60)  # fmt: skip


def both_versions(settings: Settings) -> Command:
    """Asks kubectl and the server; without a cluster or a kubeconfig it fails, which is an answer too."""
    return kubectl(settings, "version", "-o", "json", doing="compare kubectl's version with the cluster's", limit="5s",
                   kind="ask", codes=(0, 1), unasked=(0, ""), timeout=60, needs=("cluster",))  # fmt: skip


def docker_version(settings: Settings) -> Command:
    return docker(settings, "version", "--format={{.Server.Version}}", doing="look for docker's daemon", kind="ask",
                  parse="text", unasked="", timeout=20)  # fmt: skip


def docker_daemon(settings: Settings) -> Command:
    """Asks whether docker's daemon answers; that it does not is an answer too."""
    return replace(docker_version(settings), codes=(0, 1), unasked=(0, ""))


def versions(answer: tuple[int, str], client: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `kubectl version` printed before it failed or not; at least the client's version."""
    try:
        return dict(json.loads(answer[1]))
    except ValueError:
        return client


def gcloud_fault(answer: Mapping[str, Any]) -> str:
    """What is wrong with gcloud's version; empty if nothing is."""
    version = str(answer.get("Google Cloud SDK", ""))
    first = re.match(r"\d+", version)
    if first and int(first[0]) < OLDEST_GCLOUD:
        return f"gcloud {version} is too old: {OLDEST_GCLOUD} or newer is needed; `gcloud components update`"
    return ""


def kubectl_fault(answer: Mapping[str, Any]) -> str:
    """What is wrong with kubectl's version, by itself or beside the server's; empty if nothing is."""
    client, server = minor(answer, "clientVersion"), minor(answer, "serverVersion")
    if client is not None and client < OLDEST_KUBECTL:
        return f"kubectl 1.{client} is too old: 1.{OLDEST_KUBECTL} or newer is needed; {INSTALL['kubectl']}"
    if client is not None and server is not None and abs(client - server) > SKEW:
        return (
            f"kubectl 1.{client} is too far from the cluster's 1.{server}: {SKEW} minor version apart is allowed; "
            f"put a kubectl 1.{server} on PATH (gcloud's own brings several: `gcloud components install kubectl`)"
        )
    return ""


def minor(answer: Mapping[str, Any], side: str) -> int | None:
    """The minor version of one side, which GKE writes as `32+`."""
    found = re.match(r"\d+", str(answer.get(side, {}).get("minor", "")))
    return int(found[0]) if found else None


def rows(settings: Settings) -> Rows:
    """A row for each tool of a cloud."""
    found = [(yield from gcloud_row(settings)), (yield from kubectl_row(settings))]
    if settings.cluster.kind == "gke":
        found.append((yield from plugin_row(settings)))
    if settings.cluster.kind == "existing":
        found.append((yield from context_row(settings)))
    return [*found, (yield from docker_row(settings))]


def gcloud_row(settings: Settings) -> Asking[Row]:
    command = gcloud_version(settings)
    try:
        answer = yield command
    except PipelineError as error:
        return failed("gcloud", command, error)
    return judged("gcloud", str(answer.get("Google Cloud SDK", "")), gcloud_fault(answer))


def kubectl_row(settings: Settings) -> Asking[Row]:
    command = kubectl_version(settings)
    try:
        client = yield command
        answer = versions((yield both_versions(settings)), client)
    except PipelineError as error:
        return failed("kubectl", command, error)
    there = minor(answer, "serverVersion")
    beside = "no cluster answers yet" if there is None else f"the cluster has 1.{there}"
    return judged("kubectl", f"1.{minor(answer, 'clientVersion')}; {beside}", kubectl_fault(answer))


def plugin_row(settings: Settings) -> Asking[Row]:
    command = plugin_version(settings)
    try:
        yield command
    except PipelineError as error:
        return failed(command.argv[0], command, error)
    return Row(command.argv[0], "ok", "installed")


def context_row(settings: Settings) -> Asking[Row]:
    """Whether your own kubeconfig, which is only read, has the context that the settings name."""
    name = settings.cluster.context or ""
    command = Command(
        ("kubectl", "config", "get-contexts", name, "--output=name"), f"look for the context {name}", kind="ask",
        env=yours(settings), parse="text", unasked=name, timeout=30, absent=r"not found",
    )  # fmt: skip
    try:
        known = yield command
    except PipelineError as error:
        return failed("context", command, error)
    fix = "`kubectl config get-contexts` lists them: --set cluster.context=…"
    return Row("context", "ok", name) if known else Row("context", "missing", f"no {name} in your kubeconfig", fix)


def docker_row(settings: Settings) -> Asking[Row]:
    """Docker is needed only where the settings say so: without a daemon Cloud Build makes the images."""
    if settings.build_images.tool == "cloud-build":
        return Row("docker", "ok", "not needed: Cloud Build makes the images")
    command = docker_version(settings)
    try:
        return Row("docker", "ok", (yield command))
    except PipelineError as error:
        row = failed("docker", command, error)
    if settings.build_images.tool == "docker":
        return row
    return replace(row, state="warn", found=f"{row.found}: Cloud Build makes the images")


def judged(check: str, found: str, fault: str) -> Row:
    """A row about a version, with its fault where there is one."""
    problem, _, fix = fault.partition("; ")
    return Row(check, "missing", problem, fix) if fault else Row(check, "ok", found)
