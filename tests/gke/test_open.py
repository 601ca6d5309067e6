"""Ways to the pages on a cluster: a live address for as long as somebody looks, and nothing left afterwards."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloud import Cloud
from conftest import copied, free_ports
from pipeline.processes import marked
from tests.gke.conftest import REAL

PAGE = b"a page of the cluster"
LEADS = "a port-forward leads there; Ctrl-C ends it\n"
ISTIO = {
    "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
    "spec": {"selector": {"app": "gateway"}, "ports": [{"name": "status-port", "port": 15021, "targetPort": 15021},
                                                       {"name": "http2", "port": 80, "targetPort": 8080}]},
}  # fmt: skip
"""As Istio makes it: its first port is that of its health check."""
GATEWAY = {
    "metadata": {"name": "gateway-0", "namespace": "istio-system", "labels": {"app": "gateway"}},
    "spec": {"containers": [{"name": "proxy", "image": "istio/proxyv2:1.26"}]},
}

LABELS = {
    "app.kubernetes.io/name": "train", "app.kubernetes.io/part-of": "mnist-staging",
    "app.kubernetes.io/managed-by": "kubeflow-mnist-pipeline", "pipeline/environment": "staging",
}  # fmt: skip
CHIEF = {
    "metadata": {"name": "train-7-chief-0", "namespace": "kubeflow", "labels": LABELS},
    "spec": {"containers": [{"name": "tensorflow", "image": "train:1"}]},
    "status": {"phase": "Running", "containerStatuses": [{"name": "tensorflow", "state": {"running": {}}}]},
}
"""A training that runs for as long as a test looks."""


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the same words."""

    def do_GET(self) -> None:  # http.server's name for it
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """The port of a web server that stands for every page in the cluster."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


Make = Callable[[bool], Cloud]


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory, version: Path, page: int) -> Iterator[Make]:
    """A cloud by stand-ins or by the real clients, in which the page and the notebook are up."""
    made: dict[bool, Cloud] = {}

    def of(real: bool) -> Cloud:
        if real not in made:
            folder = tmp_path_factory.mktemp("open")
            made[real] = cloud = Cloud(copied(folder / "checkout"), folder, version, real)
            cloud.invoke("deploy", "build", "ui")
            cluster = cloud.world.cluster("mnist-staging")
            cluster.backends.update({("kubeflow", "web-ui", 80): page, ("kubeflow", "notebook", 8888): page})
        return made[real]

    yield of
    for cloud in made.values():
        cloud.close()


@pytest.fixture
def there(clouds: Make) -> Cloud:
    return clouds(False)


@pytest.fixture(params=["stand-ins", pytest.param("real clients", marks=[REAL, pytest.mark.slow])])
def either(request: pytest.FixtureRequest, clouds: Make) -> Cloud:
    return clouds(request.param == "real clients")


@contextlib.contextmanager
def opened(cloud: Cloud, *words: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A task that leads to a page, while it does."""
    child = subprocess.Popen(
        cloud.argv(*words), cwd=cloud.checkout.root, env=cloud.environ(**extra), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)


def address(child: subprocess.Popen[str]) -> str:
    """The address that it prints, once it leads there; the lines before it are passed over."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("http://127.0.0.1:"):
            assert child.stdout.readline() == LEADS
            return line.strip()
    raise AssertionError(f"it ended with {child.wait()} and named no address")


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return bytes(reply.read())


def ended(child: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """End it by a signal; its exit code and its last words."""
    child.send_signal(number)
    said, _ = child.communicate(timeout=30)
    return child.returncode, said


def left(cloud: Cloud) -> list[psutil.Process]:
    return marked(cloud.checkout.root / "build" / "staging")


def test_open_leads_to_the_page_until_ctrl_c(either: Cloud) -> None:
    with opened(either, "open", "--no-browser") as child:
        assert read(address(child)) == PAGE
        assert ended(child, signal.SIGINT) == (0, "closed\n")
    assert left(either) == []
    assert either.state.unknown == []


def test_ctrl_c_in_a_terminal_which_reaches_kubectl_too_is_a_good_end(there: Cloud) -> None:
    """The port-forward has a process group of its own: the terminal's signal reaches invoke alone, which ends it."""
    with opened(there, "open", "--no-browser") as child:
        address(child)
        groups = {psutil.Process(one.pid).pid for one in left(there)}
        assert groups
        assert child.pid not in groups
        assert ended(child, signal.SIGINT)[0] == 0
    assert left(there) == []


def test_a_terminated_open_leaves_no_process(there: Cloud) -> None:
    with opened(there, "open", "--no-browser") as child:
        address(child)
        assert ended(child, signal.SIGTERM)[0] == 128 + signal.SIGTERM
    assert left(there) == []


def test_a_killed_open_leaves_a_process_that_the_next_stage_ends(there: Cloud) -> None:
    with opened(there, "open", "--no-browser") as child:
        address(child)
        child.kill()
        child.wait()
        assert left(there) != []
    assert "that an earlier run had left behind" in there.invoke("plan", "deploy")
    assert left(there) == []


def test_the_port_can_be_chosen(there: Cloud) -> None:
    (port,) = free_ports(1)
    with opened(there, "open", "--no-browser", f"--port={port}") as child:
        assert address(child) == f"http://127.0.0.1:{port}"


def test_a_port_that_is_taken_is_named(there: Cloud, page: int) -> None:
    said = there.invoke("open", "--no-browser", f"--port={page}", code=1)
    assert f"another program listens on port {page}; choose another: `--port=0` takes a free one" in said
    assert left(there) == []


def test_the_page_is_shown_in_a_browser(there: Cloud, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    with opened(there, "open", BROWSER=str(browser)) as child:
        place = address(child)
        assert (tmp_path / "shown").read_text() == f"{place}\n"


def test_two_may_look_at_once(there: Cloud) -> None:
    with opened(there, "open", "--no-browser") as one, opened(there, "open", "--no-browser") as other:
        assert read(address(one)) == read(address(other)) == PAGE


def test_a_way_that_breaks_is_told_with_the_command_that_opens_it_again(there: Cloud) -> None:
    with opened(there, "open", "--no-browser") as child:
        address(child)
        for process in left(there):
            if "port-forward" in process.cmdline():
                process.kill()
        said, _ = child.communicate(timeout=30)
        assert child.returncode == 1
    assert "the port-forward to ui ended: `invoke --env=staging open ui` opens it again" in said


@pytest.mark.parametrize(
    ("name", "task"),
    [("tensorboard", "tensorboard"), ("dashboard", "deploy --set kubeflow.components=training,dashboard")],
)
def test_a_page_that_is_not_up_is_told_with_the_command_that_starts_it(there: Cloud, name: str, task: str) -> None:
    said = there.invoke("open", name, "--no-browser", code=2)
    assert said.splitlines()[-1] == f"{name} is not up in staging: `invoke --env=staging {task}` starts it"


def test_a_page_that_nobody_knows_is_refused(there: Cloud) -> None:
    said = there.invoke("open", "kitchen", code=2)
    assert said == 'there is no page "kitchen": known are ui, tensorboard, notebook, dashboard\n'


def test_notebook_starts_the_server_and_leads_to_it(either: Cloud) -> None:
    with opened(either, "notebook", BROWSER="true") as child:
        assert read(address(child)) == PAGE
        assert ended(child, signal.SIGINT) == (0, "closed\n")
    assert [one["metadata"]["name"] for one in either.world.cluster("mnist-staging").of("deployments.apps")
            if one["metadata"]["name"] == "notebook"] == ["notebook"]  # fmt: skip


@pytest.mark.parametrize(
    "place",
    [
        "cluster    https://console.cloud.google.com/kubernetes/clusters/details/us-central1-c/mnist-staging/details?project=demo-project-1",
        "workloads  https://console.cloud.google.com/kubernetes/workload/overview?project=demo-project-1",
        "bucket     https://console.cloud.google.com/storage/browser/demo-project-1-mnist-staging-bucket?project=demo-project-1",
        "images     https://console.cloud.google.com/artifacts/docker/demo-project-1/us-central1/mnist-staging?project=demo-project-1",
        "logs       https://console.cloud.google.com/logs/query?project=demo-project-1",
    ],
)
def test_dashboard_lists_the_consoles_pages(there: Cloud, place: str) -> None:
    assert place in there.invoke("dashboard", BROWSER="true", code=2).splitlines()


def test_a_page_behind_a_load_balancer_is_named_by_its_address(there: Cloud) -> None:
    change = ("--set", "web_ui.service_type=LoadBalancer")
    there.invoke(*change, "deploy", "ui")
    try:
        said = there.invoke(*change, "open", "--no-browser")
        assert said == f"http://{there.world.reserved('mnist-staging-web', 'us-central1')}\n"
    finally:
        there.invoke("ui")


def test_a_page_behind_iap_is_named_by_its_name(there: Cloud) -> None:
    change = ("--set", "iap.enabled=true", "--set", "iap.members=[user:ann@example.org]")
    said = there.invoke(*change, "open", "--no-browser")
    assert said == "https://mnist-staging.endpoints.demo-project-1.cloud.goog\n"


def test_no_page_is_opened_where_the_cluster_is_not_there(new_cloud: Callable[..., Cloud]) -> None:
    said = new_cloud().invoke("open", "--no-browser", code=2)
    assert "is not there: `invoke --env=staging deploy` makes it" in said


def test_dashboard_leads_to_kubeflows_own_page_and_not_to_its_health_check(there: Cloud, page: int) -> None:
    cluster = there.world.cluster("mnist-staging")
    cluster.add("namespaces", {"metadata": {"name": "istio-system"}})
    cluster.add("pods", GATEWAY)
    cluster.add("services", ISTIO)
    cluster.backends["istio-system", "istio-ingressgateway", 80] = page
    with opened(there, "dashboard", BROWSER="true") as child:
        assert read(address(child)) == PAGE


def test_tensorboard_starts_on_the_cluster_and_a_port_forward_leads_to_it(there: Cloud, page: int) -> None:
    there.invoke("tensorboard")
    there.world.cluster("mnist-staging").backends["kubeflow", "tensorboard", 80] = page
    with opened(there, "open", "tensorboard", "--no-browser") as child:
        assert read(address(child)) == PAGE


def entry(message: str) -> str:
    """A line of a training's log as it stands in its pod."""
    return json.dumps({"time": "2026-11-25T08:00:00.000Z", "severity": "INFO", "message": message}) + "\n"


def test_the_log_of_a_training_is_followed_until_ctrl_c(there: Cloud) -> None:
    cluster = there.world.cluster("mnist-staging")
    cluster.add("pods", CHIEF)
    cluster.log("train-7-chief-0", entry("step = 1/9"))
    with opened(there, "logs", "train", "--follow") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "step = 1/9\n"
        cluster.log("train-7-chief-0", entry("step = 1/9") + entry("step = 2/9"))
        assert child.stdout.readline() == "step = 2/9\n"
        assert ended(child, signal.SIGINT) == (0, "")
    assert left(there) == []
