"""The cost estimate adds up, says where its prices are from, and admits what it does not know."""

from __future__ import annotations

import pytest

from pipeline import config, costs
from pipeline.settings import Settings


def settings(*changes: str, environment: str = "staging") -> Settings:
    return config.load(environment, ["gcp.project=demo-project-1", *changes]).settings


def priced(*changes: str) -> dict[str, float | None]:
    return dict(costs.estimate(settings(*changes)))


@pytest.mark.parametrize(
    ("machine_type", "cpus"),
    [
        ("e2-standard-4", 4),
        ("n1-standard-16", 16),
        ("n2d-highmem-8", 8),
        ("a2-highgpu-1g", None),
        ("c3-standard-4-lssd", 4),
        ("e2-micro", 2),
        ("e2-custom-6-8192", 6),
        ("n2-custom-48-8192", 48),
        ("mystery", None),
    ],
)
def test_a_machine_types_name_says_its_processors(machine_type: str, cpus: int | None) -> None:
    assert costs.cpus(machine_type) == cpus


def test_two_nodes_cost_what_was_noted() -> None:
    found = priced()
    assert found["2 x e2-standard-4"] == pytest.approx(0.27, abs=0.005)
    assert found["GKE's fee for a cluster"] == 0.10
    assert priced("cluster.machine_type=n1-standard-8")["2 x n1-standard-8"] == pytest.approx(0.76)


def test_disks_are_paid_by_the_month() -> None:
    assert priced()["100 GB of nodes' disks"] == pytest.approx(100 * 0.10 / 730)


def test_spot_nodes_cost_about_a_third() -> None:
    assert priced("cluster.spot=true")["2 x e2-standard-4 Spot"] == pytest.approx(0.35 * 0.268)


def test_an_unknown_machine_has_no_price_and_the_sum_says_so() -> None:
    changes = "cluster.machine_type=c3-standard-4"
    assert priced(changes)["2 x c3-standard-4"] is None
    text = "\n".join(costs.lines(settings(changes)))
    assert "unknown" in text
    assert "and 1 without a known price" in text


def test_a_public_page_adds_a_load_balancer() -> None:
    assert "load balancer" not in priced()
    assert priced("web_ui.service_type=LoadBalancer")["load balancer"] == 0.025


def test_gpus_are_paid_for_while_training_and_not_in_the_sum() -> None:
    found = priced("training.gpus=2")
    assert found["while training: 2 x nvidia-tesla-t4"] == pytest.approx(0.70)
    assert found["while training: n1-standard-4"] == pytest.approx(0.19)
    assert costs.lines(settings("training.gpus=2"))[-2] == costs.lines(settings())[-2]


def test_each_member_that_learns_has_its_own_machine_with_gpus() -> None:
    found = priced("training.gpus=2", "training.workers=1", "training.evaluator=true")
    assert found["while training: 4 x nvidia-tesla-t4"] == pytest.approx(1.40)
    assert found["while training: 2 x n1-standard-4"] == pytest.approx(0.38)


def test_a_servers_gpus_are_paid_for_all_the_time() -> None:
    found, changes = priced("serving.gpus=1", "serving.replicas=2"), ("cluster.autopilot=true", "serving.gpus=2")
    assert found["2 x nvidia-tesla-t4"] == pytest.approx(0.70)
    assert found["2 x n1-standard-4"] == pytest.approx(0.38)
    assert priced(*changes)["2 x nvidia-tesla-t4"] == pytest.approx(0.70)
    assert costs.lines(settings(*changes))[-2] != costs.lines(settings("cluster.autopilot=true"))[-2]


def test_on_autopilot_every_member_of_a_training_is_paid_for() -> None:
    one, four = (
        priced("cluster.autopilot=true", *more) for more in ((), ("training.workers=2", "training.evaluator=true"))
    )
    assert four["while training: its 4 pods"] == pytest.approx(4 * (one["while training: its pod"] or 0))


def test_an_unknown_gpu_has_no_price() -> None:
    changes = ("training.gpus=1", "cluster.gpu_type=nvidia-h100-80gb")
    assert priced(*changes)["while training: 1 x nvidia-h100-80gb"] is None


def test_autopilot_is_paid_by_what_the_pods_ask_for() -> None:
    found = priced("cluster.autopilot=true", "serving.cpu=1", "serving.memory=1Gi", "serving.replicas=2")
    assert found["2 x serving pod"] == pytest.approx(2 * (0.0445 + 0.0049))
    assert not any("e2-standard" in what for what in found)


@pytest.mark.parametrize(("memory", "gigabytes"), [("1Gi", 1), ("512Mi", 0.5), ("1073741824", 1), ("1G", 0.9313)])
def test_memory_is_read_as_kubernetes_does(memory: str, gigabytes: float) -> None:
    assert costs.gigabytes(memory) == pytest.approx(gigabytes, abs=1e-3)


def test_the_estimate_names_its_source_its_date_and_its_sum() -> None:
    first, *_, sum_line, last = costs.lines(settings())
    assert "second-hand" in first
    assert "us-central1, 2026-11" in first
    assert "together about 0.38 $ an hour, 9.16 $ a day" in sum_line
    assert "https://cloud.google.com/products/calculator" in last


def test_another_region_is_said_to_differ() -> None:
    changes = ("gcp.region=europe-west4", "gcp.zone=europe-west4-a")
    assert "europe-west4 may differ" in costs.lines(settings(*changes))[0]


def test_this_machine_costs_nothing() -> None:
    assert costs.estimate(settings(environment="local")) == []
    assert costs.lines(settings(environment="local")) == []
