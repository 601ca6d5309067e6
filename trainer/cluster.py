"""Who this process is among several: TF_CONFIG as the training operator injects it, read once and checked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trainer.errors import UsageError

ROLES = ("chief", "worker", "ps", "evaluator")
ADDRESS = re.compile(r"[^\s:/\[\]]+:([0-9]{1,5})|\[[0-9a-fA-F:.]+\]:([0-9]{1,5})")
FORM = '{"cluster": {"chief": ["host:port"], …}, "task": {"type": "chief", "index": 0}}'


@dataclass(frozen=True)
class Member:
    """One process of a training; `cluster` has each role's addresses `host:port`, but not the evaluator's.

    The operator lists the evaluator too, and TensorFlow would wait for it: it takes no part in the training.
    """

    role: str = "chief"
    index: int = 0
    cluster: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def layout(self) -> Literal["lone", "synchronous", "servers"]:
        """How the training is shared: not at all, in step, or through parameter servers."""
        if self.cluster.get("ps"):
            return "servers"
        return "synchronous" if self.cluster.get("worker") else "lone"

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes checkpoints and exports."""
        return self.role == "chief"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of this member."""
        return host_and_port(self.cluster[self.role][self.index])

    @property
    def name(self) -> str:
        """The member's name in what it says, such as `worker 1`."""
        return self.role if self.role in ("chief", "evaluator") else f"{self.role} {self.index}"

    def in_step(self) -> int:
        """How many members share each step: chief and workers, or one where steps are not shared."""
        return 1 + len(self.cluster["worker"]) if self.layout == "synchronous" else 1

    def counts(self) -> dict[str, int]:
        """The number of members in each role; a lone chief counts as one."""
        return {role: len(addresses) for role, addresses in self.cluster.items()} or {"chief": 1}


def host_and_port(address: str) -> tuple[str, int]:
    """Take `host:port` apart; an IPv6 address loses its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def read(tf_config: str) -> Member:
    """Read TF_CONFIG; empty, or with a lone chief, means no cluster. Raises UsageError saying what is wrong."""
    config = _parse(tf_config)
    cluster = {role: _addresses(role, addresses) for role, addresses in config.get("cluster", {}).items()}
    if not any(cluster.values()):
        return Member()
    _refuse_bad_cluster(cluster)
    role, index = _task(config, cluster)
    training = {role: addresses for role, addresses in cluster.items() if role != "evaluator" and addresses}
    return Member(role, index, training)


def _parse(tf_config: str) -> dict[str, Any]:
    try:
        config = json.loads(tf_config or "{}")
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("cluster", {}), dict):
        raise UsageError(f"TF_CONFIG is not JSON of the form {FORM}.")
    return config


def _addresses(role: str, addresses: object) -> tuple[str, ...]:
    if role not in ROLES:
        raise UsageError(f"TF_CONFIG has the role {role!r} in its cluster; there are {', '.join(ROLES)}.")
    if not isinstance(addresses, list):
        raise UsageError(f'TF_CONFIG: cluster.{role} is {addresses!r}, not a list such as ["host:2222"].')
    for address in addresses:
        match = ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 0 < int(match[1] or match[2]) < 65536:
            raise UsageError(f'TF_CONFIG: cluster.{role} has {address!r}, which is no address such as "host:2222".')
    return tuple(addresses)


def _refuse_bad_cluster(cluster: Mapping[str, tuple[str, ...]]) -> None:
    for role in ("chief", "evaluator"):
        count = len(cluster.get(role, ()))
        if count > 1 or (count == 0 and role == "chief"):
            raise UsageError(
                f"TF_CONFIG has {count} of role {role}; there is exactly one chief, at most one evaluator."
            )
    if cluster.get("ps") and not cluster.get("worker"):
        raise UsageError("TF_CONFIG has parameter servers (ps) and no worker; the chief only hands out the work.")
    twice = [one for one, count in Counter(sum(cluster.values(), ())).items() if count > 1]
    if twice:
        raise UsageError(f"TF_CONFIG gives the address {twice[0]!r} to two members; each needs its own.")


def _task(config: Mapping[str, Any], cluster: Mapping[str, tuple[str, ...]]) -> tuple[str, int]:
    """Give role and index of this process; a lone chief need not say them."""
    task = config.get("task") or ({"type": "chief", "index": 0} if sum(map(len, cluster.values())) == 1 else None)
    role, index = (task.get("type"), task.get("index", 0)) if isinstance(task, dict) else (None, None)
    if isinstance(role, str) and isinstance(index, int) and 0 <= index < len(cluster.get(role, ())):
        return role, int(index)
    raise UsageError(f"TF_CONFIG: task is {task!r}, which names no member of its cluster.")
