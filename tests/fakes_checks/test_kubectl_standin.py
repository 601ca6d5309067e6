"""The kubectl stand-in does to a cluster what kubectl does, says the same, and ends with the same codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.kubernetes import Cluster
from fakes.standins import install
from fakes.standins.kubectl.jsonpath import evaluate
from fakes.standins.kubectl.merging import difference, merged
from fakes.state import State
from pipeline import manifests
from pipeline.clusters import identity
from pipeline.config import load

REAL = shutil.which("kubectl")
OPERATOR = Path(__file__).resolve().parent.parent / "fakes" / "operator"
TAG = "1763900000"
TRAIN, CHIEF = f"train-{TAG}", f"train-{TAG}-chief-0"
STAGING = "pipeline/environment=staging"

SCENARIO = f"""
get --raw /readyz
get namespaces -o name
get namespace kubeflow --ignore-not-found -o json
get namespace kubeflow
get tfjobs -o json
apply -f train.yaml
diff -f train.yaml
apply --server-side --force-conflicts -k {OPERATOR}
rollout status deployment/training-operator --timeout=20s
get crd tfjobs.kubeflow.org -o name
get -k {OPERATOR} --ignore-not-found -o name
api-resources --api-group=kubeflow.org --namespaced=true --verbs=list -o name
apply -f marker.yaml
apply -f identity.yaml
diff -f serving.yaml
apply -f serving.yaml
apply -f serving.yaml
diff -f serving.yaml
apply -f web-ui.yaml
apply -f web-ui.yaml
apply -f web-ui.yaml -n default
apply -f changed.yaml
diff -f changed.yaml
apply --dry-run=server -f web-ui.yaml
apply -f iap.yaml
apply -f iap.yaml
apply -f train.yaml
apply -f train.yaml
diff -f train.yaml
apply -f unknown.yaml
apply -f nothing.yaml
rollout status deployment/web-ui --timeout=20s
rollout status deployment/nothing --timeout=20s
wait --for=condition=Available deployment/web-ui --timeout=10s
wait --for=condition=Nonsense deployment/web-ui --timeout=1s
wait --for=condition=Available deployment/nothing --timeout=1s
wait --for=jsonpath={{.status.availableReplicas}}=1 deployment/web-ui --timeout=5s
wait --for=condition=Succeeded tfjob/{TRAIN} --timeout=10s
wait --for=condition=Ready pods -l a=b --timeout=1s
get deployment web-ui -o jsonpath={{.spec.template.spec.containers[0].name}}
get deployments,services -l {STAGING} -o name
get deploy nothing
get deploy nothing --ignore-not-found -o json
get nothings
get pods -n empty
get tfjobs.kubeflow.org --all-namespaces -o name
get pods -l training.kubeflow.org/job-name={TRAIN} -o jsonpath={{.items[*].metadata.name}}
get events --field-selector=involvedObject.name={CHIEF} -o jsonpath={{.items[*].reason}}
logs {CHIEF} --tail=2
logs nothing
logs deployment/web-ui
logs
logs {CHIEF} --previous
create secret generic key --from-file=key.json=key.json
create secret generic key --from-literal=a=b
label secret key a=b c=d
label secret key a=z
label secret key a=z --overwrite
annotate secret key a=z
apply --server-side --force-conflicts -k secret
get secret user-gcp-sa -o jsonpath={{.data}}{{.metadata.labels}}{{.type}}
apply -k /nothing
rollout restart deployment/web-ui
config current-context
config get-contexts -o name
config view "--output=jsonpath={{.clusters[?(@.name=='mnist')].cluster.server}}"
config view --output=json --kubeconfig=nothing
config view --raw --minify --flatten --kubeconfig=nothing
get pods --kubeconfig=nothing
delete secret key --ignore-not-found --wait=true --timeout=5s
delete secret key --ignore-not-found
delete secret key
delete nothings x
delete pods
delete
delete deployments,configmaps -l {STAGING}
delete deployments -l a=b
delete -f train.yaml --ignore-not-found
delete -f iap.yaml --ignore-not-found
delete -k {OPERATOR} --ignore-not-found
delete namespace kubeflow --ignore-not-found --wait=true
get pods --nonsense
apply
rollout status
get pods --context=nothing
""".strip().splitlines()
"""A cluster from nothing to nothing, with what goes wrong on the way."""


class Side:
    """One kubectl, the real one or the stand-in, on a cluster of its own."""

    def __init__(self, folder: Path, program: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.state = folder, State()
        self.cluster = Cluster(self.state, "mnist", folder)
        self.config = self.cluster.kubeconfig(folder / "kubeconfig")
        install(folder / "bin", "http://127.0.0.1:9", ("kubectl",))
        self.program = program or str(folder / "bin" / "kubectl")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(self.config)}
        self.seen = 0

    def argv(self, line: str) -> list[str]:
        words = shlex.split(line)
        place = [] if "--context=nothing" in words else ["--context=mnist"]
        place += [] if {"-n", "config"} & {*words} else ["--namespace=kubeflow"]
        return [self.program, *words, *place, *([] if "--request-timeout" in line else ["--request-timeout=10s"])]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(line), env=self.env, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )

    def told(self, line: str) -> dict[str, Any]:
        """What a command came to: its exit code, what it printed without what differs from run to run, its writes."""
        done = self.run(line)
        writes, self.seen = self.state.writes[self.seen :], len(self.state.writes)
        out = "" if line.startswith("diff") else plain(done.stdout)
        return {"code": done.returncode, "out": out, "err": plain(done.stderr), "writes": writes}

    def objects(self) -> dict[str, Any]:
        """All that is in the cluster but what each cluster has different ones of."""
        found = json.loads(json.dumps(self.cluster.objects))
        for one in found.values():
            for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
                one["metadata"].pop(name, None)
            # How far the controllers are, and the names that they make up, differs from run to run.
            one.pop("status", None)
            one["metadata"].get("annotations", {}).pop("ingress.kubernetes.io/backends", None)
        return {name: plain(json.dumps(one, sort_keys=True)) for name, one in found.items() if not name.startswith(OWN)}

    def prepare(self) -> None:
        """The operator is there, and its namespace, and the accounts of our workloads."""
        assert self.run(f"apply --server-side --force-conflicts -k {OPERATOR}").returncode == 0
        assert self.run("apply -f identity.yaml").returncode == 0


OWN = ("events", "configmaps/", "pods/")
CHANGING = re.compile(r"127\.0\.0\.1:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z|\s+")


def plain(text: str) -> str:
    return CHANGING.sub(" ", text.partition("\n\nDid you mean")[0]).strip()


def write_manifests(folder: Path) -> None:
    settings = load("staging", ["gcp.project=demo-project-1"]).settings
    for component in manifests.COMPONENTS:
        (folder / f"{component}.yaml").write_text(manifests.dump(manifests.render(settings, component, TAG)))
    documents = manifests.render(settings, "web-ui", TAG)
    deployment = next(one for one in documents if one["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "NEW", "value": "1"}]
    deployment["metadata"]["labels"].pop("app.kubernetes.io/name")
    (folder / "changed.yaml").write_text(manifests.dump(documents))
    unknown = {"apiVersion": "nothing.io/v1", "kind": "Nothing", "metadata": {"name": "x"}}
    (folder / "unknown.yaml").write_text(manifests.dump([unknown]))
    (folder / "key.json").write_text("{}")
    (folder / "secret").mkdir()
    (folder / "secret" / "kustomization.yaml").write_text(identity.kustomization(settings))
    (folder / "secret" / identity.KEY).write_text("{}")


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    made = Side(tmp_path / "ours")
    write_manifests(made.folder)
    yield made
    made.cluster.close()
    assert made.state.unknown == []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the real kubectl and the stand-in came to, command by command, and the objects at the height of it."""
    folder, found = tmp_path_factory.mktemp("both"), {}
    for name, program in (("theirs", REAL or ""), ("ours", "")):
        made = Side(folder / name, program)
        write_manifests(made.folder)
        results, height = [], {}
        for line in SCENARIO:
            results.append(made.told(line))
            height = made.objects() if line.startswith("annotate") else height
        found[name] = {"results": results, "objects": height, "unknown": made.state.unknown}
        made.cluster.close()
    yield found


needs_kubectl = pytest.mark.skipif(REAL is None, reason="kubectl is not installed")


@needs_kubectl
@pytest.mark.parametrize(
    "number", range(len(SCENARIO)), ids=lambda number: SCENARIO[number].replace(str(OPERATOR), "OP")
)
def test_the_real_one_does_and_says_the_same(both: dict[str, Any], number: int) -> None:
    assert both["ours"]["results"][number] == both["theirs"]["results"][number]


@needs_kubectl
def test_the_objects_are_the_same_afterwards(both: dict[str, Any]) -> None:
    ours, theirs = both["ours"]["objects"], both["theirs"]["objects"]
    assert {name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)} == set()
    assert len(ours) > 20


@needs_kubectl
def test_the_scenario_asks_the_fake_nothing_that_it_does_not_know(both: dict[str, Any]) -> None:
    assert (both["ours"]["unknown"], both["theirs"]["unknown"]) == ([], [])


@pytest.mark.timed
def test_it_starts_in_a_moment(side: Side) -> None:
    began = time.perf_counter()
    for _ in range(5):
        side.run("get namespaces -o name")
    assert (time.perf_counter() - began) / 5 < 0.5  # 0.04 on a quiet machine


def test_an_unchanged_manifest_is_not_sent_again(side: Side) -> None:
    side.prepare()
    side.run("apply -f web-ui.yaml")
    before = len(side.state.writes)
    assert "unchanged" in side.run("apply -f web-ui.yaml").stdout
    assert side.state.writes[before:] == []


def test_a_diff_changes_nothing_and_shows_the_new_line(side: Side) -> None:
    side.prepare()
    side.run("apply -f web-ui.yaml")
    before = len(side.state.writes)
    done = side.run("diff -f changed.yaml")
    assert done.returncode == 1
    assert re.search(r"^\+ +- name: NEW$", done.stdout, re.MULTILINE), done.stdout
    assert side.state.writes[before:] == []


def test_a_diff_shows_no_secret(side: Side) -> None:
    side.prepare()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"key": "Q0FOQVJZ"}}
    (side.folder / "secret.json").write_text(json.dumps(secret))
    done = side.run("diff -f secret.json")
    assert done.returncode == 1
    assert "Q0FOQVJZ" not in done.stdout


def test_an_expired_token_is_told_in_kubectls_words(side: Side) -> None:
    side.cluster.expired = True
    done = side.run("get namespaces")
    assert (done.returncode, done.stderr) == (1, "error: You must be logged in to the server (Unauthorized)\n")


def test_a_mute_server_is_given_up_after_the_time_limit(side: Side) -> None:
    side.cluster.mute = True
    done = side.run("get namespaces --request-timeout=300ms")
    assert done.returncode == 1
    assert "Client.Timeout exceeded while awaiting headers" in done.stderr


def test_a_server_that_is_gone_is_told_in_kubectls_words(side: Side) -> None:
    port = side.cluster.endpoint
    side.cluster.close()
    done = side.run("get namespaces")
    assert f"The connection to the server {port} was refused" in done.stderr


def test_a_fault_is_felt_once_and_not_tried_again(side: Side) -> None:
    side.prepare()
    side.state.fault("POST kubernetes/mnist/apis/apps", status=500, message="etcd is away")
    first, second = side.run("apply -f web-ui.yaml"), side.run("apply -f web-ui.yaml")
    assert (first.returncode, second.returncode) == (1, 0)
    assert "etcd is away" in first.stderr


def test_a_followed_log_ends_with_its_pod(side: Side) -> None:
    side.prepare()
    side.cluster.delay = 3
    side.cluster.log(CHIEF, "step 1\nstep 2\n")
    side.run("apply -f train.yaml")
    side.run("get pods")
    deadline = time.monotonic() + 10
    while "is waiting to start" in (done := side.run(f"logs {CHIEF} --follow")).stderr and time.monotonic() < deadline:
        side.run("get pods")
    assert (done.returncode, done.stdout) == (0, "step 1\nstep 2\n")


class Echo(socketserver.BaseRequestHandler):
    """Answers every byte in upper case until the client has said all."""

    def handle(self) -> None:
        while received := self.request.recv(65536):
            self.request.sendall(received.upper())


@pytest.fixture
def forwarded(side: Side) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A local port that leads to an echo behind the page's Service."""
    side.prepare()
    side.run("apply -f web-ui.yaml")
    assert side.run("rollout status deployment/web-ui --timeout=10s").returncode == 0
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        side.cluster.backends["kubeflow", "web-ui", 80] = server.server_address[1]
        argv = side.argv("port-forward svc/web-ui :80 --address=127.0.0.1 --request-timeout=0")
        with subprocess.Popen(
            argv, env=side.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            line = running.stdout.readline() if running.stdout else ""
            found = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> 5000\n", line)
            assert found, line
            yield int(found[1]), running
            running.terminate()
        server.shutdown()


def test_a_port_forward_leads_to_what_runs_behind_the_service(forwarded: tuple[int, subprocess.Popen[str]]) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", forwarded[0]), timeout=10) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"HELLO"


def test_a_port_forward_carries_a_megabyte(forwarded: tuple[int, subprocess.Popen[str]]) -> None:
    with socket.create_connection(("127.0.0.1", forwarded[0]), timeout=20) as connection:
        threading.Thread(target=connection.sendall, args=(b"x" * 1_000_000,), daemon=True).start()
        got = 0
        while got < 1_000_000:
            got += len(connection.recv(65536))
    assert got == 1_000_000


def test_a_port_forward_to_a_taken_port_fails_like_kubectls(
    forwarded: tuple[int, subprocess.Popen[str]], side: Side
) -> None:
    done = side.run(f"port-forward svc/web-ui {forwarded[0]}:80")
    assert done.returncode == 1
    assert f"Unable to listen on port {forwarded[0]}" in done.stderr


def test_a_port_forward_to_nothing_fails(side: Side) -> None:
    assert 'services "web-ui" not found' in side.run("port-forward svc/web-ui :80").stderr


def test_a_yaml_kubeconfig_is_read_too(side: Side) -> None:
    import yaml

    side.config.write_text(yaml.safe_dump(json.loads(side.config.read_text())))
    assert "namespace/default" in side.run("get namespaces -o name").stdout


LIVE = {
    "spec": {"containers": [{"name": "a", "image": "x", "pullPolicy": "Always"}], "replicas": 1},
    "status": {"n": 1},
}
CASES = {
    "a default of the server is kept": ({}, {"spec": {"containers": [{"name": "a", "image": "x"}]}}, {}),
    "a field no longer named goes": ({"spec": {"replicas": 1}}, {"spec": {}}, {"spec": {"replicas": None}}),
    "a field never named stays": ({}, {"spec": {}}, {}),
    "a changed field is sent": ({}, {"spec": {"replicas": 2}}, {"spec": {"replicas": 2}}),
    "a null takes a field away": ({}, {"spec": {"replicas": None}}, {"spec": {"replicas": None}}),
}


@pytest.mark.parametrize("case", CASES)
def test_three_ways_meet(case: str) -> None:
    before, now, patch = CASES[case]
    assert difference(LIVE, merged(before, now, LIVE, own=True)) == patch


def test_a_custom_kinds_lists_are_replaced_whole() -> None:
    now = {"spec": {"containers": [{"name": "a", "image": "x"}]}}
    assert merged({}, now, LIVE, own=False)["spec"]["containers"] == [{"name": "a", "image": "x"}]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].name}", "a b"), ("{.items[0].name}", "a"), ("{.items[-1:].name}", None),
        ("{.items[1]['name']}", "b"),
        ("{.items[?(@.name=='b')].on}", "true"), ("{.nothing}", ""), ("name: {.items[0].name}{'\\n'}", "name: a\n"),
        (".items[0].name", "a"), ("{.items[0].x\\.y}", "dotted"),
    ],
)  # fmt: skip
def test_jsonpath_finds_what_kubectls_does(template: str, text: str | None) -> None:
    value = {"items": [{"name": "a", "x.y": "dotted"}, {"name": "b", "on": True}]}
    if text is None:
        with pytest.raises(Exception, match="does not know"):
            evaluate(template, value)
    else:
        assert evaluate(template, value) == text
