"""The fake Kubernetes API, as the real kubectl finds it: what it says of itself, keeps, refuses and lets go wrong."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fakes.kubernetes import Cluster
from fakes.state import State
from pipeline import manifests
from pipeline.config import load

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

OPERATOR = Path(__file__).resolve().parent.parent / "fakes" / "operator"
TAG = "1763900000"
TRAIN = f"train-{TAG}"
CHIEF = f"{TRAIN}-chief-0"


class Kubectl:
    """The real kubectl on one fake cluster, with a home of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        config = cluster.kubeconfig(folder / "kubeconfig")
        self.place = (f"--kubeconfig={config}", f"--context={cluster.name}", "--namespace=kubeflow")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def run(self, *words: str, code: int = 0, limit: str = "10s") -> str:
        """Run kubectl, check its exit code, and return all that it said."""
        argv = ["kubectl", *words, *self.place, f"--request-timeout={limit}"]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == code, f"{words} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    __call__ = run

    def json(self, *words: str) -> Any:
        return json.loads(self.run("get", *words, "-o", "json"))

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = ["kubectl", *words, *self.place]
        return subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def file(self, *documents: dict[str, Any]) -> str:
        """A file that applies or deletes these documents: `-f…`."""
        path = self.folder / "some.yaml"
        path.write_text(manifests.dump(list(documents)))
        return f"--filename={path}"

    def operator(self) -> None:
        self.run("apply", "--server-side", "--force-conflicts", "-k", str(OPERATOR))

    def apply(self, *components: str) -> str:
        """Apply manifests as the pipeline renders them."""
        return self.run("apply", self.file(*rendered(*components)))

    def done(self) -> None:
        """Nothing was asked for that the fake does not know."""
        assert self.cluster.state.unknown == []


def rendered(*components: str) -> list[dict[str, Any]]:
    settings = load("staging").settings
    return [document for component in components for document in manifests.render(settings, component, TAG)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(State(), "demo", tmp_path / "clusters")
    made.add("namespaces", {"metadata": {"name": "kubeflow"}})
    yield made
    made.close()


@pytest.fixture
def kubectl(cluster: Cluster, tmp_path: Path) -> Iterator[Kubectl]:
    made = Kubectl(cluster, tmp_path)
    yield made
    made.done()


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "c", "image": "example.org/c:1", "ports": [{"name": "http", "containerPort": 5000}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(kind: str = "ClusterIP", name: str = "web") -> dict[str, Any]:
    spec = {"type": kind, "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def job(name: str = "check", **spec: Any) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.org/c:1"}]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def conditions(kubectl: Kubectl, *what: str) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in kubectl.json(*what).get("status", {}).get("conditions", [])}


def until(true: Callable[[], bool]) -> None:
    """Wait, at most ten seconds, for something that needs real time: another process."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it did not happen within ten seconds"
        time.sleep(0.05)


# What it says of itself.


def test_the_server_says_its_version(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.version = "v1.29.3-gke.1"
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"] == "v1.29.3-gke.1"


def test_the_server_says_that_it_is_ready(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", "/readyz") == "ok"


def test_the_server_lists_its_groups_in_the_older_form_too(kubectl: Kubectl) -> None:
    kubectl.operator()
    groups = json.loads(kubectl("get", "--raw", "/apis"))["groups"]
    assert {"apps", "batch", "kubeflow.org", "cloud.google.com"} <= {group["name"] for group in groups}


def test_the_server_lists_a_groups_resources_in_the_older_form_too(kubectl: Kubectl) -> None:
    kubectl.operator()
    listed = json.loads(kubectl("get", "--raw", "/apis/kubeflow.org/v1"))["resources"]
    assert {one["name"] for one in listed} == {"tfjobs", "tfjobs/status", "tfjobs/scale"}


def test_everybody_may_do_everything(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"


# Applying.


def test_every_manifest_of_the_pipeline_can_be_applied(kubectl: Kubectl) -> None:
    kubectl.operator()
    kubectl.run("apply", "--server-side", "--force-conflicts", "-k", str(OPERATOR.parent / "katib"))
    said = kubectl.apply(*manifests.COMPONENTS)
    assert said.count("created") == len(rendered(*manifests.COMPONENTS))


def test_applying_again_changes_nothing(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl.apply("serving", "service", "web-ui")
    writes = list(cluster.state.writes)
    assert "configured" not in kubectl.apply("serving", "service", "web-ui")
    assert cluster.state.writes == writes


def test_a_diff_of_what_is_applied_is_empty(kubectl: Kubectl) -> None:
    kubectl.apply("serving", "service", "web-ui")
    assert kubectl("diff", kubectl.file(*rendered("serving", "service", "web-ui"))) == ""


def test_a_diff_shows_a_changed_field_and_changes_nothing(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    writes = list(cluster.state.writes)
    assert "+  replicas: 3" in kubectl("diff", kubectl.file(deployment(replicas=3)), code=1)
    assert cluster.state.writes == writes


def test_a_diff_of_what_is_not_there_shows_all_of_it_and_makes_nothing(cluster: Cluster, kubectl: Kubectl) -> None:
    assert "+kind: Deployment" in kubectl("diff", kubectl.file(deployment()), code=1)
    assert cluster.of("deployments.apps") == []


def test_a_field_that_is_applied_no_more_goes(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment(minReadySeconds=5)))
    kubectl("apply", kubectl.file(deployment()))
    assert "minReadySeconds" not in kubectl.json("deployment", "web")["spec"]


def test_containers_and_variables_are_merged_by_name(kubectl: Kubectl) -> None:
    first, second = deployment(), deployment()
    containers = [one["spec"]["template"]["spec"]["containers"][0] for one in (first, second)]
    containers[0]["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    containers[1]["env"] = [{"name": "B", "value": "3"}]
    kubectl("apply", kubectl.file(first))
    kubectl("set", "env", "deployment/web", "C=theirs")
    kubectl("apply", kubectl.file(second))
    env = kubectl.json("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {one["name"]: one["value"] for one in env} == {"B": "3", "C": "theirs"}


def test_the_operator_is_installed_server_side_under_its_managers_name(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=me", "-k", str(OPERATOR))
    crd = kubectl.json("crd", "tfjobs.kubeflow.org", "--show-managed-fields")
    assert [entry["manager"] for entry in crd["metadata"]["managedFields"]] == ["me"]


def test_server_side_apply_again_gives_no_new_version(kubectl: Kubectl) -> None:
    kubectl.operator()
    before = kubectl.json("crd", "tfjobs.kubeflow.org")["metadata"]["resourceVersion"]
    kubectl.operator()
    assert kubectl.json("crd", "tfjobs.kubeflow.org")["metadata"]["resourceVersion"] == before


def test_what_a_manager_applies_server_side_no_more_goes(kubectl: Kubectl) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    kubectl("apply", "--server-side", kubectl.file(config))
    kubectl("apply", "--server-side", kubectl.file({**config, "data": {"a": "1"}}))
    assert kubectl.json("configmap", "c")["data"] == {"a": "1"}


def test_a_secret_from_a_file_holds_the_file(kubectl: Kubectl) -> None:
    (kubectl.folder / "key.json").write_text("{}")
    kubectl("create", "secret", "generic", "user-gcp-sa", f"--from-file={kubectl.folder / 'key.json'}")
    assert kubectl.json("secret", "user-gcp-sa")["data"] == {"key.json": "e30="}


def test_an_object_can_be_replaced_as_a_whole(kubectl: Kubectl) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    kubectl("create", kubectl.file(config))
    kubectl("replace", kubectl.file({**config, "data": {"b": "2"}}))
    assert kubectl.json("configmap", "c")["data"] == {"b": "2"}


def test_a_json_patch_changes_one_place(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    change = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.org/c:9"}]
    kubectl("patch", "deployment", "web", "--type=json", "-p", json.dumps(change))
    assert kubectl.json("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "example.org/c:9"


def test_a_patch_of_the_status_leaves_the_spec(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(service()))
    change = {"spec": {"selector": {"app": "other"}}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    kubectl("patch", "service", "web", "--subresource=status", "--type=merge", "-p", json.dumps(change))
    found = kubectl.json("service", "web")
    assert (found["spec"]["selector"], found["status"]) == ({"app": "web"}, change["status"])


def test_a_label_put_on_by_hand_stays_when_the_manifest_is_applied_again(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    kubectl("label", "deployment", "web", "theirs=yes")
    kubectl("apply", kubectl.file(deployment(replicas=2)))
    assert kubectl.json("deployment", "web")["metadata"]["labels"] == {"theirs": "yes"}


# Refusing, in the words of the real server.


def test_what_is_created_twice_already_exists(kubectl: Kubectl) -> None:
    kubectl("create", kubectl.file(deployment()))
    assert 'deployments.apps "web" already exists' in kubectl("create", kubectl.file(deployment()), code=1)


def test_an_unknown_field_is_refused(cluster: Cluster, kubectl: Kubectl) -> None:
    said = kubectl("apply", kubectl.file(deployment(replica=2)), code=1)
    assert 'strict decoding error: unknown field "spec.replica"' in said
    assert cluster.of("deployments.apps") == []


def test_an_unknown_field_of_a_custom_kind_is_refused(kubectl: Kubectl) -> None:
    kubectl.operator()
    tfjob = rendered("train")[0]
    tfjob["spec"]["runPolicy"]["backofLimit"] = 1
    assert 'unknown field "spec.runPolicy.backofLimit"' in kubectl("apply", kubectl.file(tfjob), code=1)


def test_a_selector_cannot_be_changed(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    other = deployment(selector={"matchLabels": {"app": "web", "more": "x"}})
    other["spec"]["template"]["metadata"]["labels"]["more"] = "x"
    assert "field is immutable" in kubectl("apply", kubectl.file(other), code=1)


def test_a_namespace_that_is_not_there_is_not_found(kubectl: Kubectl) -> None:
    elsewhere = deployment() | {"metadata": {"name": "web", "namespace": "nowhere"}}
    kubectl.place = kubectl.place[:2]
    assert 'namespaces "nowhere" not found' in kubectl("apply", kubectl.file(elsewhere), code=1)


def test_a_tfjob_without_its_crd_has_no_matches(kubectl: Kubectl) -> None:
    said = kubectl("apply", kubectl.file(*rendered("train")), code=1)
    assert 'no matches for kind "TFJob" in version "kubeflow.org/v1"' in said


def test_a_kind_that_is_not_known_is_not_a_resource_type(kubectl: Kubectl) -> None:
    assert 'the server doesn\'t have a resource type "tfjob"' in kubectl("get", "tfjob", code=1)


def test_an_expired_token_is_unauthorized(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.expired = True
    assert "You must be logged in to the server" in kubectl("get", "pods", code=1)


def test_a_mute_server_lets_kubectl_run_into_its_time_limit(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.mute = True
    said = kubectl("get", "--raw", "/readyz", code=1, limit="1s")
    assert re.search("request canceled|Client.Timeout|deadline exceeded|handshake timeout", said)


def test_an_injected_fault_is_met_once(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.state.fault(r"POST kubernetes/demo/apis/apps/v1/.*deployments", status=500, message="etcdserver: timed out")
    assert "etcdserver: timed out" in kubectl("apply", kubectl.file(deployment()), code=1)
    assert "created" in kubectl("apply", kubectl.file(deployment()))


# Finding and deleting.


def test_label_selectors_find_what_they_name(kubectl: Kubectl) -> None:
    kubectl.apply("serving", "web-ui")
    selector = "app.kubernetes.io/name in (web-ui),pipeline/environment=staging"
    found = kubectl("get", "deploy,svc", "-l", selector, "-o", "name")
    assert found.split() == ["deployment.apps/web-ui", "service/web-ui"]


def test_what_is_absent_can_be_ignored(kubectl: Kubectl) -> None:
    assert kubectl("get", "deployment", "web", "--ignore-not-found", "-o", "json") == ""


def test_deleting_a_deployment_takes_its_pods(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    kubectl("delete", kubectl.file(deployment()), "--wait", "--timeout=10s")
    assert cluster.of("pods") == []


def test_deleting_what_is_gone_can_be_ignored(kubectl: Kubectl) -> None:
    assert "deleted" not in kubectl("delete", kubectl.file(deployment()), "--ignore-not-found")


def test_deleting_by_label_leaves_the_others(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.add("configmaps", {"metadata": {"name": "theirs", "namespace": "kubeflow"}, "data": {}})
    kubectl.apply("serving", "web-ui")
    kubectl("delete", "deploy,svc,configmap", "-l", "app.kubernetes.io/part-of=mnist-staging", "--wait")
    assert [name for name in cluster.summary() if "kubeflow/" in name] == ["configmaps/kubeflow/theirs"]


def test_deleting_a_namespace_takes_all_that_is_in_it(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl.apply("serving", "web-ui")
    kubectl("delete", "namespace", "kubeflow", "--timeout=10s")
    assert cluster.summary() == []


def test_deleting_the_crd_takes_its_jobs_and_its_kind(kubectl: Kubectl) -> None:
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("delete", "crd", "tfjobs.kubeflow.org", "--timeout=10s")
    kubectl("get", "tfjobs", code=1)


def test_an_object_with_a_finalizer_stays_until_it_is_taken_off(cluster: Cluster, kubectl: Kubectl) -> None:
    config = {"metadata": {"name": "c", "namespace": "kubeflow", "finalizers": ["example.org/keep"]}}
    cluster.add("configmaps", config)
    kubectl("delete", "configmap", "c", "--wait=false")
    assert kubectl.json("configmap", "c")["metadata"]["deletionTimestamp"]
    kubectl("patch", "configmap", "c", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    assert kubectl("get", "configmap", "c", "--ignore-not-found") == ""


def test_a_collection_can_be_deleted_in_one_request(cluster: Cluster, kubectl: Kubectl) -> None:
    for name, app in (("one", "a"), ("two", "a"), ("three", "b")):
        labels = {"app": app}
        cluster.add("secrets", {"metadata": {"name": name, "namespace": "kubeflow", "labels": labels}})
    kubectl("delete", "--raw", "/api/v1/namespaces/kubeflow/secrets?labelSelector=app%3Da", limit="0")
    assert [one["metadata"]["name"] for one in cluster.of("secrets")] == ["three"]


def test_orphans_are_left_when_asked_for(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    kubectl("delete", "deployment", "web", "--cascade=orphan")
    assert len(cluster.of("pods")) == 1


# What controllers make of it.


def test_a_rollout_ends_with_ready_pods(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment(replicas=2)))
    kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    pods = kubectl.json("pods", "-l", "app=web")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]


def test_a_rollout_that_takes_a_while_is_waited_for(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.delay = 5
    kubectl("apply", kubectl.file(deployment()))
    assert "Waiting for deployment" in kubectl("rollout", "status", "deployment/web", "--timeout=10s")


def test_a_restart_replaces_the_pods(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    before = cluster.of("pods")
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=10s")
    after = cluster.of("pods")
    assert len(after) == 1
    assert after[0]["metadata"]["name"] != before[0]["metadata"]["name"]


def test_a_deleted_pod_of_a_deployment_comes_again(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    kubectl("delete", "pod", "-l", "app=web")
    kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=10s")
    assert len(cluster.of("pods")) == 1


def test_a_new_version_that_cannot_start_leaves_the_old_one_running(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    cluster.fail("web", "ImagePullBackOff")
    other = deployment()
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "example.org/c:2"
    kubectl("apply", kubectl.file(other))
    status = kubectl.json("deployment", "web")["status"]
    assert (status["availableReplicas"], status["unavailableReplicas"], status["updatedReplicas"]) == (1, 1, 1)


def test_scaling_changes_the_number_of_pods(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    kubectl("scale", "deployment/web", "--replicas=3")
    assert len(cluster.of("pods")) == 3
    kubectl("scale", "deployment/web", "--replicas=0")
    assert cluster.of("pods") == []


def test_a_stateful_sets_pods_are_numbered(kubectl: Kubectl) -> None:
    numbered = deployment(serviceName="web", replicas=2) | {"kind": "StatefulSet"}
    kubectl("apply", kubectl.file(numbered))
    kubectl("rollout", "status", "statefulset/web", "--timeout=10s")
    assert kubectl("get", "pods", "-o", "name").split() == ["pod/web-0", "pod/web-1"]


def test_a_pod_of_its_own_runs_to_its_end(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.log("once", "done")
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.org/c:1"}]}
    kubectl("apply", kubectl.file({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "once"}, "spec": pod}))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/once", "--timeout=10s")
    assert kubectl("logs", "once") == "done\n"


def test_a_volume_claim_is_bound(kubectl: Kubectl) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    kubectl("apply", kubectl.file(claim))
    assert kubectl.json("pvc", "data")["status"]["phase"] == "Bound"


def test_a_job_completes(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(job()))
    kubectl("wait", "--for=condition=Complete", "job/check", "--timeout=10s")
    assert kubectl.json("pods", "-l", "job-name=check")["items"][0]["status"]["phase"] == "Succeeded"


def test_a_job_that_fails_reaches_its_limit(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("check", "Failed", log="no access")
    kubectl("apply", kubectl.file(job()))
    kubectl("wait", "--for=condition=Failed", "job/check", "--timeout=10s")
    assert conditions(kubectl, "job", "check")["Failed"]["reason"] == "BackoffLimitExceeded"
    assert kubectl("logs", "job/check") == "no access\n"


def test_a_load_balancer_gets_its_address_after_a_while(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.address_delay = 4
    kubectl("apply", kubectl.file(service("LoadBalancer")))
    assert kubectl.json("service", "web")["status"] == {"loadBalancer": {}}
    kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", "service/web", "--timeout=10s")


def test_a_load_balancer_without_an_address_says_why_in_an_event(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("web", "NoAddress")
    kubectl("apply", kubectl.file(service("LoadBalancer")))
    kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", "service/web", "--timeout=1s", code=1)
    events = kubectl.json("events", "--field-selector=involvedObject.name=web,type=Warning")["items"]
    assert [event["reason"] for event in events] == ["SyncLoadBalancerFailed"]


def test_an_ingress_names_its_backends_and_its_reserved_address(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.reserved_address = {"mnist-staging-ip": "203.0.113.9"}.get
    ingress = next(one for one in rendered("iap") if one["kind"] == "Ingress")
    kubectl("apply", kubectl.file(ingress))
    kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", "ingress/web-ui", "--timeout=10s")
    found = kubectl.json("ingress", "web-ui")
    assert found["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.9"}]
    assert "web-ui" in found["metadata"]["annotations"]["ingress.kubernetes.io/backends"]


def test_pods_wait_for_their_service_account(cluster: Cluster, kubectl: Kubectl) -> None:
    waits = deployment()
    waits["spec"]["template"]["spec"]["serviceAccountName"] = "reader"
    kubectl("apply", kubectl.file(waits))
    assert 'serviceaccount "reader" not found' in kubectl("get", "events", "-o", "jsonpath={.items[*].message}")
    kubectl("create", "serviceaccount", "reader")
    kubectl("rollout", "status", "deployment/web", "--timeout=10s")


def test_an_image_that_no_registry_has_is_not_pulled(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.pulls = lambda image: image != "example.org/c:1"
    kubectl("apply", kubectl.file(deployment()))
    state = kubectl.json("pods")["items"][0]["status"]["containerStatuses"][0]["state"]
    assert state["waiting"]["reason"] == "ImagePullBackOff"


# TFJobs.


def test_a_tfjob_succeeds_and_calls_the_hook_first(cluster: Cluster, kubectl: Kubectl) -> None:
    exported: list[str] = []
    cluster.on_tfjob(lambda tfjob: exported.append(tfjob["metadata"]["name"]))
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=Succeeded", f"tfjob/{TRAIN}", "--timeout=10s")
    assert exported == [TRAIN]


def test_a_tfjobs_pod_carries_the_operators_labels(kubectl: Kubectl) -> None:
    kubectl.operator()
    kubectl.apply("identity", "train")
    selector = f"training.kubeflow.org/job-name={TRAIN},training.kubeflow.org/replica-type=chief"
    assert kubectl("get", "pods", "-l", selector, "-o", "name") == f"pod/{CHIEF}\n"


def test_a_tfjob_without_an_operator_stays_as_it_was_applied(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(OPERATOR / "tfjobs.yaml"))
    kubectl.apply("identity", "train")
    assert conditions(kubectl, "tfjob", TRAIN) == {}


def test_a_failed_tfjob_says_so_in_the_operators_words_and_keeps_its_log(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("train-.*", "Failed", log="one\ntwo\nValueError: bad")
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=Failed", f"tfjob/{TRAIN}", "--timeout=10s")
    message = conditions(kubectl, "tfjob", TRAIN)["Failed"]["message"]
    assert message == f"TFJob kubeflow/{TRAIN} has failed because 1 Chief replica(s) failed."
    assert kubectl("logs", CHIEF, "--tail=2") == "two\nValueError: bad\n"


def test_a_preempted_tfjob_restarts_and_succeeds(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("train-.*", "Preempted")
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=Restarting", f"tfjob/{TRAIN}", "--timeout=10s")
    kubectl("wait", "--for=condition=Succeeded", f"tfjob/{TRAIN}", "--timeout=10s")


def test_a_tfjob_that_is_out_of_memory_again_and_again_reaches_its_limit(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("train-.*", "OOMKilled")
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=Failed", f"tfjob/{TRAIN}", "--timeout=10s")
    assert "reached the specified backoff limit" in conditions(kubectl, "tfjob", TRAIN)["Failed"]["message"]
    state = kubectl.json("pod", CHIEF)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff"])
def test_a_stuck_pod_shows_its_reason_in_the_containers_state(cluster: Cluster, kubectl: Kubectl, reason: str) -> None:
    cluster.fail("train-.*", reason)
    kubectl.operator()
    kubectl.apply("identity", "train")
    where = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=" + reason
    kubectl("wait", where, f"pod/{CHIEF}", "--timeout=10s")


def test_a_pod_without_a_node_says_why(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("train-.*", "Unschedulable")
    kubectl.operator()
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=PodScheduled=false", f"pod/{CHIEF}", "--timeout=10s")
    assert "Insufficient cpu" in conditions(kubectl, "pod", CHIEF)["PodScheduled"]["message"]


def test_an_evicted_pod_names_its_reason(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("check", "Evicted")
    kubectl("apply", kubectl.file(job()))
    kubectl("wait", "--for=condition=Failed", "job/check", "--timeout=10s")
    assert kubectl.json("pods", "-l", "job-name=check")["items"][0]["status"]["reason"] == "Evicted"


def test_an_outcome_that_does_not_exist_is_refused_at_once(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="ImagePullBackoff is none of"):
        cluster.fail("train-.*", "ImagePullBackoff")


# Logs.


def test_a_log_can_be_read_on_from_a_later_second(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.log("web-.*", "one\ntwo\nthree")
    kubectl("apply", kubectl.file(deployment()))
    first = datetime.fromisoformat(kubectl("logs", "deployment/web", "--timestamps").split()[0])
    times = [f"{first + timedelta(seconds=late):%Y-%m-%dT%H:%M:%SZ}" for late in (0, 1)]
    said = [kubectl("logs", "deployment/web", f"--since-time={time}") for time in times]
    assert said == ["one\ntwo\nthree\n", ""]


def test_a_followed_log_ends_with_the_pod(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.log(CHIEF, "step 1\nstep 2")
    cluster.delay = 3
    kubectl.operator()
    kubectl("rollout", "status", "deployment/training-operator", "--timeout=10s")
    kubectl.apply("identity", "train")
    kubectl("wait", "--for=condition=Ready", f"pod/{CHIEF}", "--timeout=10s")
    assert kubectl("logs", CHIEF, "--follow", limit="0") == "step 1\nstep 2\n"


def test_the_log_of_a_pod_without_its_image_is_refused(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("web", "ImagePullBackOff")
    kubectl("apply", kubectl.file(deployment()))
    assert "is waiting to start: trying and failing to pull image" in kubectl("logs", "deployment/web", code=1)


def test_a_crashed_containers_log_is_the_one_before(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.fail("web", "CrashLoopBackOff", log="no such module")
    kubectl("apply", kubectl.file(deployment()))
    assert kubectl("logs", "deployment/web", "--previous") == "no such module\n"


def test_a_container_that_never_crashed_has_no_log_before(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(deployment()))
    assert "previous terminated container" in kubectl("logs", "deployment/web", "--previous", code=1)


# Ports.


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with the path and the size of what it was sent."""

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["content-length"] or 0)))
        text = f"{self.path} {size}".encode() + b"." * 200_000
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self.headers["content-length"] = "0"
        self.do_POST()

    def log_message(self, *arguments: Any) -> None:
        """A test's page says nothing."""


@pytest.fixture
def page() -> Iterator[int]:
    """The port of a page that really runs."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def forwarded(kubectl: Kubectl) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A real port-forward to a Service: its local port, and the process."""
    kubectl("apply", kubectl.file(deployment(), service()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = kubectl.start("port-forward", "service/web", f"{port}:80", "--address=127.0.0.1")
    assert process.stdout
    assert "Forwarding from" in process.stdout.readline()
    yield port, process
    process.kill()
    process.wait()
    process.stdout.close()


def ask(port: int, data: bytes | None = None) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/some", data, timeout=10) as answer:
        content: bytes = answer.read()
    return content


Forwarded = tuple[int, "subprocess.Popen[str]"]


def test_a_port_forward_carries_both_ways(cluster: Cluster, page: int, forwarded: Forwarded) -> None:
    cluster.backends["kubeflow", "web", 80] = page
    assert ask(forwarded[0], b"x" * 300_000).startswith(b"/some 300000.")


def test_a_port_forward_carries_one_connection_after_another(cluster: Cluster, page: int, forwarded: Forwarded) -> None:
    cluster.backends["kubeflow", "web", 80] = page
    assert [len(ask(forwarded[0])) for _ in range(3)] == [200_007] * 3


def test_a_port_behind_which_nothing_listens_refuses(forwarded: Forwarded) -> None:
    with pytest.raises(OSError, match=r"closed|reset"):
        ask(forwarded[0])


def test_a_port_forward_ends_when_its_pod_goes(cluster: Cluster, page: int, forwarded: Forwarded) -> None:
    cluster.backends["kubeflow", "web", 80] = page
    ask(forwarded[0])
    with cluster.state.lock:
        cluster.delete("pods", cluster.of("pods")[0])
    until(lambda: forwarded[1].poll() is not None)


def test_a_port_forward_is_no_write(cluster: Cluster, forwarded: Forwarded) -> None:
    assert [line for line in cluster.state.writes if "portforward" in line] == []


def test_the_servers_proxy_leads_to_a_services_port(cluster: Cluster, kubectl: Kubectl, page: int) -> None:
    kubectl("apply", kubectl.file(deployment(), service()))
    cluster.backends["kubeflow", "web", 80] = page
    said = kubectl("get", "--raw", "/api/v1/namespaces/kubeflow/services/web:http/proxy/v1/models/mnist", limit="0")
    assert said.startswith("/v1/models/mnist 0.")


def test_the_servers_proxy_says_that_nothing_is_behind_a_service(kubectl: Kubectl) -> None:
    kubectl("apply", kubectl.file(service()))
    said = kubectl("get", "--raw", "/api/v1/namespaces/kubeflow/services/web:80/proxy/", code=1)
    assert "no endpoints available" in said
