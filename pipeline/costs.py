"""What an environment costs an hour, roughly, from the prices in costs.yaml; what has no price there is said."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.settings import Settings

HOURS = 730
"""Of a month, as Google counts."""

WHILE = "while training: "
"""How an item begins that is paid for only as long as a job runs."""

Item = tuple[str, float | None]
"""What, and US dollars an hour; None where the price is not known."""

SHARED = {"e2-micro": 2, "e2-small": 2, "e2-medium": 2, "f1-micro": 1, "g1-small": 1}
"""vCPUs of the machine types whose names do not say."""


@lru_cache
def prices() -> dict[str, Any]:
    """The price list."""
    return dict(yaml.safe_load((Path(__file__).parent / "costs.yaml").read_text()))


def cpus(machine_type: str) -> int | None:
    """A machine type's vCPUs, which its name says; None for a name that does not."""
    named = re.fullmatch(r"(?:[a-z0-9]+-)?custom-(\d+)-\d+(?:-ext)?|[a-z0-9]+-[a-z]+-(\d+)(?:-lssd)?", machine_type)
    return SHARED.get(machine_type) or (int(named[1] or named[2]) if named else None)


def estimate(settings: Settings) -> list[Item]:
    """Each thing that is paid for by the hour; empty where nothing is."""
    if settings.cluster.kind != "gke":
        return []
    items = [("GKE's fee for a cluster", prices()["cluster_hour"])]
    items += pods(settings) if settings.cluster.autopilot else nodes(settings)
    if settings.web_ui.service_type == "LoadBalancer" or settings.iap.enabled:
        items.append(("load balancer", prices()["load_balancer_hour"]))
    return items


def nodes(settings: Settings) -> list[Item]:
    """A standard cluster's machines and disks, and a GPU pool's one node."""
    cluster = settings.cluster
    kind, count = cluster.machine_type, cluster.nodes
    spot = " Spot" if cluster.spot else ""
    items = [(f"{count} x {kind}{spot}", times(machine(kind, cluster.spot), count)), disks(settings, count)]
    training, serving = settings.training, settings.serving
    if serving.gpus:
        items += with_gpus(settings, "", serving.gpus, serving.replicas)
    if training.gpus:
        items += with_gpus(settings, WHILE, training.gpus, training.gpu_replicas)
    return items


def with_gpus(settings: Settings, when: str, gpus: int, replicas: int) -> list[Item]:
    """The machines of a GPU pool while so many replicas with so many GPUs each run there."""
    cluster, spot = settings.cluster, " Spot" if settings.cluster.spot else ""
    node = times(machine(cluster.gpu_machine_type, cluster.spot), replicas)
    gpu = times(prices()["gpu_hour"].get(cluster.gpu_type), gpus * replicas * discount(cluster.spot))
    machines = f"{replicas} x " if replicas > 1 else ""
    return [
        (f"{when}{machines}{cluster.gpu_machine_type}{spot}", node),
        (f"{when}{gpus * replicas} x {cluster.gpu_type}{spot}", gpu),
    ]


def machine(machine_type: str, spot: bool) -> float | None:
    """A machine's price; None for a family that the list does not have."""
    number, family = cpus(machine_type), machine_type.rpartition("-")[0]
    price = prices()["cpu_hour"].get(family)
    return None if price is None or number is None else price * number * discount(spot)


def discount(spot: bool) -> float:
    return float(prices()["spot"]) if spot else 1.0


def times(price: float | None, count: float) -> float | None:
    return None if price is None else price * count


def disks(settings: Settings, count: int) -> Item:
    gigabytes = settings.cluster.disk_gb * count
    return f"{gigabytes} GB of nodes' disks", gigabytes * prices()["disk_gb_month"] / HOURS


def pods(settings: Settings) -> list[Item]:
    """What Autopilot bills: the requests of the pods that run, the fewest, and of the job while it trains."""
    serving, page, training = settings.serving, settings.web_ui, settings.training
    spot = " on Spot" if settings.cluster.spot else ""
    gpu = (training.gpus or 0) * training.gpu_replicas
    count = sum(training.replicas.values())
    its = "its pod" if count == 1 else f"its {count} pods"
    items = [
        (f"{serving.replicas} x serving pod{spot}", serving.replicas * pod(serving.cpu, serving.memory, spot)),
        (f"{page.replicas} x page pod{spot}", page.replicas * pod(page.cpu, page.memory, spot)),
        (f"{WHILE}{its}{spot}", count * pod(training.cpu, training.memory, spot)),
    ]
    return items + graphics(settings, "", (serving.gpus or 0) * serving.replicas) + graphics(settings, WHILE, gpu)


def graphics(settings: Settings, when: str, count: int) -> list[Item]:
    """So many of Autopilot's GPUs; nothing for none."""
    spot = settings.cluster.spot
    price = times(prices()["gpu_hour"].get(settings.cluster.gpu_type), count * discount(spot))
    return [(f"{when}{count} x {settings.cluster.gpu_type}{' on Spot' if spot else ''}", price)] if count else []


def pod(cpu: str, memory: str, spot: str) -> float:
    """A pod's price by what it asks for."""
    cores = float(cpu.removesuffix("m")) / (1000 if cpu.endswith("m") else 1)
    rate = prices()["autopilot"]
    hourly: float = cores * rate["cpu_hour"] + gigabytes(memory) * rate["memory_gb_hour"]
    return hourly * discount(bool(spot))


def gigabytes(memory: str) -> float:
    """A Kubernetes quantity of memory in GiB."""
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]*)", memory).groups()  # type: ignore[union-attr]  # a valid setting
    factor = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}[unit]
    return float(number) * factor / 2**30


def lines(settings: Settings) -> list[str]:
    """The estimate in lines, with where its prices are from; empty where nothing is paid for by the hour."""
    items, listed = estimate(settings), prices()
    if not items:
        return []
    steady = [price for what, price in items if not what.startswith(WHILE)]
    known, unknown = sum(price for price in steady if price is not None), steady.count(None)
    more = f", and {unknown} without a known price" if unknown else ""
    elsewhere = "" if settings.gcp.region == listed["region"] else f"; {settings.gcp.region} may differ"
    return [
        f"cost estimate, $ an hour: {listed['source']}, {listed['region']}, {listed['noted']}{elsewhere}",
        *(f"  {what:44} {'unknown' if price is None else f'{price:7.3f}'}" for what, price in items),
        f"  together about {known:.2f} $ an hour, {known * 24:.2f} $ a day{more}; `invoke clean` ends it",
        f"  not in it: stored gigabytes and traffic; a better number: {listed['look']}",
    ]
