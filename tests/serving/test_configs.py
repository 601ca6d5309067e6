"""The two configuration files in protobuf's text form."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.configs import ModelConfig, VersionPolicy, metrics_path, models_from_flags
from serving.errors import StartError
from serving.flags import parse


def models(tmp_path: Path, text: str) -> tuple[ModelConfig, ...]:
    (tmp_path / "models").write_text(text)
    return models_from_flags(parse([f"--model_config_file={tmp_path / 'models'}"]))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", VersionPolicy(latest=1)),
        ("model_version_policy { latest {} }", VersionPolicy(latest=1)),
        ("model_version_policy { latest { num_versions: 2 } }", VersionPolicy(latest=2)),
        ("model_version_policy { all {} }", VersionPolicy(every=True)),
        ("model_version_policy { specific { versions: 3 versions: 5 } }", VersionPolicy(specific=(3, 5))),
    ],
)
def test_a_config_file_says_which_versions(tmp_path: Path, policy: str, expected: VersionPolicy) -> None:
    one = f'name: "m" base_path: "/m" model_platform: "tensorflow" {policy}'
    (model,) = models(tmp_path, f"model_config_list {{ config {{ {one} }} }}")
    assert model == ModelConfig("m", Path("/m"), expected, {})


ONE = 'config { name: "m" base_path: "/m" }'
WRONG = {
    f"model_config_list {{ {ONE} {ONE} }}": "Illegal to list model m multiple times in config list",
    'model_config_list { config { name: "m" } }': "every model needs a name and a base_path.",
    "custom_model_config {}": "only model_config_list is supported, and it must be there.",
    'model_config_list { config { name: "m" base_path: "gs://b/m" } }': (
        "model m: gs://b/m is no folder of this machine; the embedded server reads folders only, "
        "tensorflow_model_server reads buckets."
    ),
    'model_config_list { config { name: "m" base_path: "/m" model_platform: "onnx" } }': (
        'model m: model_platform is "onnx", only "tensorflow" is served.'
    ),
    'model_config_list { config { name: "m" base_path: "/m" model_version_policy { specific {} } } }': (
        "model m: specific needs at least one version."
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_config_that_cannot_be_served_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError) as caught:
        models(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'models'}: {WRONG[text]}"


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="nowhere: cannot be read"):
        models_from_flags(parse([f"--model_config_file={tmp_path / 'nowhere'}"]))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/here" }', "/here"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config: { enable: false path: "/here" }', None),
        ("", None),
    ],
)
def test_the_monitoring_file_says_where_metrics_are(tmp_path: Path, text: str, path: str | None) -> None:
    (tmp_path / "monitoring").write_text(text)
    argv = [
        "--model_base_path=/m",
        "--rest_api_port=8501",
        f"--monitoring_config_file={tmp_path / 'monitoring'}",
    ]
    assert metrics_path(parse(argv)) == path


def test_metrics_without_a_rest_port_are_refused(tmp_path: Path) -> None:
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    with pytest.raises(StartError, match="needs --rest_api_port"):
        metrics_path(parse(["--model_base_path=/m", f"--monitoring_config_file={tmp_path / 'monitoring'}"]))
