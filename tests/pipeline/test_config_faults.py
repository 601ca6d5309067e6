"""What Kubernetes, Cloud Storage or a YAML reader would trip over is refused at the load (faults 3 to 16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config
from pipeline.errors import PipelineError
from pipeline.settings import PLACEHOLDER_PROJECT
from tests.pipeline.breaking import append, edit, refusal


def test_fault_3_a_project_that_base_does_not_give_is_refused(folder: Path) -> None:
    lines = (folder / "base.yaml").read_text().splitlines(keepends=True)
    (folder / "base.yaml").write_text("".join(line for line in lines if "project:" not in line))
    assert refusal("local", folder) == (
        "config/base.yaml gcp.project: missing; base.yaml gives every setting. Wanted: text (project id)"
    )


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", 'there is no value; write one, or null, or ""'),
        ('""', "empty; write your Google Cloud project's id"),
        ("null", "null is no value; wanted: text (project id)"),
    ],
)
def test_fault_3_an_empty_project_is_refused(folder: Path, written: str, sentence: str) -> None:
    line = edit(folder / "staging.yaml", "project: your-project-id", f"project: {written}")
    assert refusal("staging", folder) == f"config/staging.yaml:{line} gcp.project: {sentence}"


def test_fault_3_the_placeholder_loads_but_goes_to_no_cloud() -> None:
    loaded = config.load("staging")
    assert loaded.settings.gcp.project == PLACEHOLDER_PROJECT
    with pytest.raises(PipelineError) as caught:
        config.require_project(loaded.settings)
    assert caught.value.code == 2
    origin = loaded.origins["gcp.project"]
    assert caught.value.message.startswith(f'{origin} gcp.project: still "{PLACEHOLDER_PROJECT}"; write your project')


def test_fault_3_a_project_of_ones_own_passes() -> None:
    config.require_project(config.load("staging", ["gcp.project=my-project-1"]).settings)


def test_fault_4_a_malformed_project_id_is_refused_with_its_line(folder: Path) -> None:
    line = edit(folder / "staging.yaml", "project: your-project-id", "project: My_Project")
    assert refusal("staging", folder).startswith(
        f'config/staging.yaml:{line} gcp.project: "My_Project" is not a project id: 6 to 30 lower-case'
    )


def test_fault_5_and_6_yaml_traps_stop_the_load_with_file_and_line(folder: Path) -> None:
    line = append(folder / "staging.yaml", "protected: no\n")
    assert refusal("staging", folder).startswith(f"config/staging.yaml:{line} protected: no is text to some")
    (folder / "staging.yaml").write_text("protected: true\nprotected: false\n")
    assert refusal("staging", folder).startswith("config/staging.yaml:2 protected: is here a second time")


@pytest.mark.parametrize("written", ["no", "1e3", "0123", "12:34:56", "2026-11-23", "1_000", ""])
def test_fault_6_set_reads_numbers_as_strictly_as_a_file(written: str) -> None:
    assert refusal("local", None, f"training.steps={written}").startswith(f"--set training.steps={written}: ")


@pytest.mark.parametrize(
    ("key", "written", "kind"),
    [
        ("name", "Mnist", "cannot be a name here"),
        ("name", "a_b", "cannot be a name here"),
        ("name", "1mnist", "a letter first"),
        ("name", "a" * 64, "has 64 characters; at most 40"),
        ("cluster.namespace", "a" * 64, "has 64 characters; at most 63"),
        ("cluster.namespace", "kube-system", "belongs to Kubernetes itself"),
        ("serving.model_name", "my_model", "cannot be a name here"),
        ("training.memory", "4GB", "is not an amount of memory"),
        ("training.cpu", "two", "is not a number of CPUs"),
        ("serving.image", "Bad Image", "is not an image"),
    ],
)
def test_fault_13_names_that_kubernetes_refuses_are_refused(key: str, written: str, kind: str) -> None:
    assert refusal("staging", None, f"{key}={written}").startswith(f"--set {key}={written[:20]}")
    assert kind in refusal("staging", None, f"{key}={written}")


def test_fault_13_an_environments_file_is_named_as_kubernetes_has_it(folder: Path) -> None:
    (folder / "My_Env.yaml").write_text("protected: true\n")
    assert refusal("My_Env", folder).startswith('environment "My_Env": "My_Env" cannot be a name here')


def test_fault_13_the_serving_address_on_a_cluster_names_a_service() -> None:
    assert 'serving.address=10.0.0.1: "10"' in refusal("staging", None, "serving.address=10.0.0.1")
    config.load("staging", ["serving.address=mnist-service.kubeflow"])
    config.load("local", ["serving.address=127.0.0.2"])


@pytest.mark.parametrize("bucket", ["ab", "My-Bucket", "a..b", "192.168.5.4", "goog-x", "my-google-x", "gs://mine"])
def test_fault_14_a_bucket_that_cloud_storage_refuses_is_refused(bucket: str) -> None:
    message = refusal("staging", None, f"storage.bucket={bucket}")
    assert message.startswith(f'--set storage.bucket={bucket}: "{bucket}" cannot name a bucket: ')


def test_fault_14_a_bucket_made_from_project_and_name_is_checked_too() -> None:
    message = refusal("staging", None, "gcp.project=google-shop")
    assert '"google-shop-mnist-staging-bucket" cannot name a bucket' in message
    assert "storage.bucket" in message
    config.load("local", ["gcp.project=google-shop"])


def test_fault_14_a_folder_may_be_called_anything_printable() -> None:
    assert config.load("local", ["storage.bucket=/tmp/My Folder"]).settings.bucket == "/tmp/My Folder"  # noqa: S108
    assert "write one line of text" in refusal("local", None, "storage.bucket=a\nb")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "70000"])
def test_fault_15_a_port_outside_1_to_65535_is_refused(port: str) -> None:
    assert refusal("local", None, f"serving.grpc_port={port}") == (
        f"--set serving.grpc_port={port}: {port} is out of range; wanted: whole number from 1 to 65535"
    )


def test_fault_15_a_port_in_quotes_is_refused(folder: Path) -> None:
    line = edit(folder / "base.yaml", "grpc_port: 9000", 'grpc_port: "9000"')
    assert refusal("local", folder) == (
        f'config/base.yaml:{line} serving.grpc_port: "9000" is text; wanted: whole number from 1 to 65535; write 9000'
    )


def test_fault_15_a_zone_outside_its_region_is_refused() -> None:
    assert refusal("staging", None, "gcp.zone=europe-west1-b") == (
        '--set gcp.zone=europe-west1-b: "europe-west1-b" does not lie in gcp.region "us-central1"; '
        "write one like us-central1-c"
    )
    assert "gcp.zone" in refusal("staging", None, "gcp.region=us-central2")
    config.load("staging", ["gcp.region=europe-west1", "gcp.zone=europe-west1-b"])


def test_fault_15_a_second_chief_cannot_be_asked_for() -> None:
    assert "unknown setting" in refusal("staging", None, "training.chiefs=2")


@pytest.mark.parametrize("count", ["0", "-1", "17"])
def test_fault_15_no_gpu_and_more_than_a_machine_has_are_refused(count: str) -> None:
    assert refusal("staging", None, f"training.gpus={count}").startswith(
        f"--set training.gpus={count}: {count} is out of range"
    )


@pytest.mark.parametrize(
    ("change", "first", "second"),
    [
        ("serving.grpc_port=8500", "serving.grpc_port", "serving.rest_port"),
        ("web_ui.port=9000 web_ui.service_port=9000", "serving.grpc_port", "web_ui.port"),
        ("tensorboard.port=8080 tensorboard.service_port=8080", "web_ui.port", "tensorboard.port"),
    ],
)
def test_two_servers_on_this_machine_cannot_share_a_port(change: str, first: str, second: str) -> None:
    message = refusal("local", None, *change.split())
    port = change.rpartition("=")[2]
    assert f"{second}" in message
    assert message.endswith(f": {port} is {first} already; two servers cannot share a port")


def test_on_this_machine_a_service_has_its_pods_port() -> None:
    message = refusal("local", None, "web_ui.port=8081")
    assert "web_ui.service_port: 8080 differs from web_ui.port 8081" in message
    config.load("local", ["web_ui.port=8081", "web_ui.service_port=8081"])


def test_pods_of_their_own_may_use_the_same_port() -> None:
    config.load("staging", ["web_ui.port=9000"])


def test_fault_16_an_unknown_environment_lists_the_known_ones(folder: Path) -> None:
    assert refusal("nope", folder) == 'unknown environment "nope": known are local, production, staging'


@pytest.mark.parametrize("name", ["base", "../config/local", "", "Local", "local.yaml", ".hidden"])
def test_fault_16_only_files_beside_base_are_environments(folder: Path, name: str) -> None:
    (folder / ".hidden.yaml").write_text("protected: true\n")
    assert refusal(name, folder).startswith(f'unknown environment "{name}": known are local, production, staging')
