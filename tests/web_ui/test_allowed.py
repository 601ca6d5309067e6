"""Whom the page may connect to: entries, spellings, namespaces, and the name that a Service is looked up by."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.allowed import Allowed, Namespace, cluster_domain, read_entry
from webui.problems import Refused
from webui.servers import Server, read_host

USUAL = Allowed((Server("mnist-service", 9000), Namespace("kubeflow", 9000)), "kubeflow")
SPELLINGS = ("canary", "canary.kubeflow", "canary.kubeflow.svc", "canary.kubeflow.svc.cluster.local")


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_service_of_an_allowed_namespace_may_be_named_in_each_of_its_spellings(host: str) -> None:
    assert USUAL.permits(Server(host, 9000))
    assert not USUAL.permits(Server(host, 9001))


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_service_is_looked_up_by_its_whole_name_which_no_search_path_can_lengthen(host: str) -> None:
    assert USUAL.lookup(host) == "canary.kubeflow.svc.cluster.local."


@pytest.mark.parametrize("host", ["metadata", "metadata.kubeflow", "0x7f000001", "instance-1"])
def test_a_short_name_is_never_looked_up_as_it_stands(host: str) -> None:
    assert USUAL.lookup(host) == f"{host.partition('.')[0]}.kubeflow.svc.cluster.local."


@pytest.mark.parametrize("host", ["serving.example.org", "mnist.models", "10.0.0.7", "fd00::7", "localhost", "::1"])
def test_what_names_no_service_is_looked_up_as_it_stands(host: str) -> None:
    assert USUAL.lookup(host) == host


def test_without_a_namespace_a_name_is_the_machines_own_matter() -> None:
    assert Allowed((Server("mnist-service", 9000),)).lookup("mnist-service") == "mnist-service"


@pytest.mark.parametrize(
    "host",
    [
        *("canary.default", "canary.default.svc", "kubeflow", "kubernetes.default.svc.cluster.local"),
        *("kubeflow.svc", "a.canary.kubeflow.svc.cluster.local", "10-0-0-7.kubeflow.pod.cluster.local"),
        *("canary.kubeflow.svc.evil.org", "canary.kubeflow.svc.cluster.local.evil.org", "canary.kubeflow.evil.org"),
        *("_grpc.kubeflow.svc", "canary_.kubeflow.svc", "localhost", "127.0.0.1", "10.0.0.7"),
    ],
)
def test_what_is_no_service_of_the_namespace_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        Allowed((Namespace("kubeflow", 9000),), "models").check(Server(host, 9000))


def test_a_short_name_belongs_to_the_home_namespace_else_to_the_first_that_is_listed() -> None:
    listed = (Namespace("models", 9000), Namespace("others", 9000))
    assert Allowed(listed).lookup("canary") == "canary.models.svc.cluster.local."
    assert Allowed(listed, "kubeflow").lookup("canary") == "canary.kubeflow.svc.cluster.local."
    assert not Allowed(listed, "kubeflow").permits(Server("canary", 9000))


def test_a_single_server_may_be_named_in_another_spelling_of_the_same_service() -> None:
    allowed = Allowed((Server("mnist-service", 9000),), "kubeflow")
    assert allowed.permits(Server("mnist-service.kubeflow.svc", 9000))
    assert not allowed.permits(Server("mnist-service.models.svc", 9000))


def test_the_clusters_own_domain_is_part_of_a_services_longest_spelling() -> None:
    allowed = Allowed((Namespace("kubeflow", 9000),), "kubeflow", "corp.internal")
    assert allowed.permits(Server("canary.kubeflow.svc.corp.internal", 9000))
    assert not allowed.permits(Server("canary.kubeflow.svc.cluster.local", 9000))
    assert allowed.lookup("canary") == "canary.kubeflow.svc.corp.internal."


@pytest.mark.parametrize("entry", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_spellings_of_this_machine_stand_for_each_other_at_the_same_port(entry: str, host: str) -> None:
    allowed = Allowed((Server(entry, 9000),))
    assert allowed.permits(Server(host, 9000))
    assert not allowed.permits(Server(host, 9001))


@pytest.mark.parametrize("host", ["127.0.0.2", "::ffff:7f00:1", "0.0.0.0", "::", "localhost.localdomain"])  # noqa: S104
def test_no_other_name_counts_as_this_machine(host: str) -> None:
    assert not Allowed((Server("127.0.0.1", 9000),)).permits(Server(host, 9000))


@pytest.mark.parametrize(
    ("server", "entries", "says", "field"),
    [
        (Server("a", 1), "a:2", "This page may not connect to a:1, only to a:2.", "port"),
        (Server("::2", 1), "a:1,[::1]:1", "This page may not connect to [::2]:1, only to a:1 or [::1]:1.", "addr"),
        (Server("a.b", 1), "*.k:1", "may not connect to a.b:1, only to any Service of k at port 1.", "addr"),
        (Server("a.k", 2), "b:1,*.k:1", "only to b:1 or any Service of k at port 1.", "port"),
        (Server("x", 1), "a:1,b:1,c:1", "only to a:1, b:1 or c:1.", "addr"),
        (Server("x", 1), "a:1,b:1,c:1,d:1,e:1", "only to a:1, b:1 or 3 others.", "addr"),
    ],
)
def test_a_refusal_says_in_one_short_sentence_what_is_allowed(
    server: Server, entries: str, says: str, field: str
) -> None:
    with pytest.raises(Refused) as caught:
        Allowed(tuple(map(read_entry, entries.split(",")))).check(server)
    assert caught.value.sentence.endswith(says)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["*", "*:9000", "*.:9000", "*.k", "*.k:0", "*.a.b:1", "a*.k:1", "**.k:1", "*.K_:1", ""]
)
def test_an_entry_of_another_form_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # the words differ
        read_entry(text)


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.text(max_size=40) | st.lists(LABELS, min_size=1, max_size=6).map(".".join), st.integers(1, 65535))
def test_whatever_passes_is_the_configured_machine_or_is_looked_up_within_the_namespace(text: str, port: int) -> None:
    try:
        server = Server(read_host(text), port)
    except ValueError:
        return
    if USUAL.permits(server):
        assert USUAL.lookup(server.host).endswith(".kubeflow.svc.cluster.local.")
        assert USUAL.lookup(server.host).count(".") == 5
        assert port == 9000


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("search kubeflow.svc.cluster.local svc.cluster.local cluster.local google.internal\n", "cluster.local"),
        ("nameserver 10.0.0.10\nsearch k.svc.Corp.Internal. svc.Corp.Internal. \noptions ndots:5\n", "corp.internal"),
        ("search example.org\n", "cluster.local"),
        ("search svc. svc.-a svc.b..c\n", "cluster.local"),
        ("search\n# search svc.x\n", "cluster.local"),
        ("", "cluster.local"),
    ],
)
def test_the_clusters_domain_is_found_in_the_search_path(tmp_path: Path, text: str, domain: str) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert cluster_domain(tmp_path / "resolv.conf") == domain


def test_without_a_resolv_conf_the_clusters_domain_is_the_usual_one(tmp_path: Path) -> None:
    assert cluster_domain(tmp_path / "none") == "cluster.local"
