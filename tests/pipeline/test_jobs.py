"""A TFJob's replicas as processes: TF_CONFIG, restart policies, back-off limit, deadline, and no one left behind."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.clusters import jobs
from pipeline.clusters.objects import Objects
from pipeline.errors import RunFailed
from pipeline.processes import marked


def replica(text: str, count: int = 1, policy: str = "Never") -> dict[str, Any]:
    container = {"name": "tensorflow", "image": "x/y:1", "command": ["python", "-c", text]}
    return {"replicas": count, "restartPolicy": policy, "template": {"spec": {"containers": [container]}}}


def tfjob(policy: dict[str, Any] | None = None, **replicas: dict[str, Any]) -> dict[str, Any]:
    spec = {"runPolicy": policy or {}, "tfReplicaSpecs": replicas}
    return {"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "metadata": {"name": "train-1"}, "spec": spec}


def run(job: dict[str, Any], build: Path) -> list[str]:
    lines: list[str] = []
    jobs.run(job, build, Objects(build / "objects"), lines.append)
    assert marked(build) == [], "a replica was left running"
    return lines


SHOW_CONFIG = "import os; print(os.environ.get('TF_CONFIG'))"


def test_a_lone_chief_gets_no_tf_config_and_its_lines_are_shown(tmp_path: Path) -> None:
    assert run(tfjob(Chief=replica(SHOW_CONFIG)), tmp_path) == ["None"]


def test_every_replica_gets_the_tf_config_that_the_operator_injects(tmp_path: Path) -> None:
    (line,) = run(
        tfjob(Chief=replica(SHOW_CONFIG), Worker=replica("pass", 2), PS=replica("import time; time.sleep(60)")),
        tmp_path,
    )
    config = json.loads(line)
    assert config["task"] == {"type": "chief", "index": 0}
    assert {role: len(hosts) for role, hosts in config["cluster"].items()} == {
        "chief": 1,
        "worker": 2,
        "ps": 1,
    }
    hosts = [host for hosts in config["cluster"].values() for host in hosts]
    assert len(set(hosts)) == 4
    assert all(host.startswith("127.0.0.1:") for host in hosts)


@pytest.mark.timed
def test_the_chiefs_success_ends_the_job_and_a_parameter_server_that_never_returns(tmp_path: Path) -> None:
    began = time.monotonic()
    run(tfjob(Chief=replica("pass"), PS=replica("import time; time.sleep(60)")), tmp_path)
    assert time.monotonic() - began < 10


FAIL_ONCE = """
import os, pathlib, signal, sys
seen = pathlib.Path({seen!r})
if not seen.exists():
    seen.touch()
    {how}
print("second try")
"""


@pytest.mark.parametrize(
    ("policy", "how"),
    [
        ("OnFailure", "sys.exit(1)"),
        ("Always", "sys.exit(7)"),
        ("ExitCode", "sys.exit(143)"),
        ("ExitCode", "os.kill(os.getpid(), signal.SIGKILL)"),
    ],
)
def test_a_replica_is_started_again_when_its_policy_says_so(policy: str, how: str, tmp_path: Path) -> None:
    text = FAIL_ONCE.format(seen=str(tmp_path / "seen"), how=how)
    worker = replica("import time; time.sleep(60)")
    job = tfjob(
        {"backoffLimit": 1},
        Chief=replica(text, policy=policy if policy != "Always" else "OnFailure"),
        Worker=worker,
    )
    assert "second try" in run(job, tmp_path)


@pytest.mark.parametrize(("policy", "code"), [("Never", 1), ("ExitCode", 1), ("ExitCode", 127), ("Never", 137)])
def test_a_failure_that_is_not_to_be_retried_fails_the_job_with_the_replicas_words(
    policy: str, code: int, tmp_path: Path
) -> None:
    text = f"import sys; print('the disk is on fire'); sys.exit({code})"
    with pytest.raises(RunFailed) as caught:
        run(tfjob(Chief=replica(text, policy=policy)), tmp_path)
    assert str(caught.value.message).startswith(f"train-1-chief-0 ended with {code}\n  the disk is on fire")


def test_what_a_replica_says_in_json_is_shown_and_quoted_as_people_read_it(tmp_path: Path) -> None:
    line = json.dumps({"time": "now", "severity": "ERROR", "message": "the disk is on fire"})
    shown: list[str] = []
    with pytest.raises(RunFailed) as caught:
        job = tfjob(Chief=replica(f"print({line!r}); raise SystemExit(1)"))
        jobs.run(job, tmp_path, Objects(tmp_path / "objects"), shown.append)
    assert shown == ["the disk is on fire"]
    assert str(caught.value.message).startswith("train-1-chief-0 ended with 1\n  the disk is on fire\n")


def test_the_back_off_limit_ends_a_job_that_keeps_failing(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match=r"ended with 200 after 1 restarts \(backoffLimit 1\)"):
        run(
            tfjob({"backoffLimit": 1}, Chief=replica("import sys; sys.exit(200)", policy="ExitCode")),
            tmp_path,
        )


def test_a_failed_worker_fails_the_job_and_ends_the_chief(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="train-1-worker-0 ended with 3"):
        run(
            tfjob(Chief=replica("import time; time.sleep(60)"), Worker=replica("import sys; sys.exit(3)")),
            tmp_path,
        )
    assert marked(tmp_path) == []


def test_the_deadline_ends_a_job_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="not done after activeDeadlineSeconds"):
        run(tfjob({"activeDeadlineSeconds": 1}, Chief=replica("import time; time.sleep(60)")), tmp_path)
    assert marked(tmp_path) == []


def test_logs_are_kept_by_replica(tmp_path: Path) -> None:
    run(
        tfjob(
            Chief=replica("print('chief here'); import time; time.sleep(1)"),
            Worker=replica("print('worker here')", 2),
        ),
        tmp_path,
    )
    assert (tmp_path / "logs" / "train-1-chief-0.log").read_text() == "chief here\n"
    assert (tmp_path / "logs" / "train-1-worker-1.log").read_text() == "worker here\n"


def test_old_logs_of_replicas_make_room_for_new_ones(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(100, 130):
        (logs / f"train-{number}-chief-0.log").touch()
    (logs / "web-ui.log").touch()
    run(tfjob(Chief=replica("print('new')")), tmp_path)
    assert (logs / "train-1-chief-0.log").read_text() == "new\n"
    assert len(list(logs.glob("train-*.log"))) == jobs.LOGS_KEPT + 1
    assert (logs / "web-ui.log").exists()
