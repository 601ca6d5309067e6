"""Names that cross a container's border are the same on both sides: flags, variables, signatures, paths, ports."""

from __future__ import annotations

import dataclasses
import math
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import make_test_images
from pipeline import images, manifests, served
from pipeline.config import load
from pipeline.settings import ROOT
from pipeline.versions import SHAPING
from serving import configs
from serving import flags as serving_flags
from trainer import download, idx
from trainer.options import MIRRORS, Options
from webui import settings as page_settings

TEXT = (ROOT / "docs" / "containers.md").read_text()


def section(title: str) -> str:
    """A part of docs/containers.md by the beginning of its heading."""
    return next(part for part in TEXT.split("\n## ") if part.startswith(title))


def container(component: str, document: int = 0) -> dict:
    made = manifests.render(load("local").settings, component, "1763900000")
    return manifests.pod_templates(made[document])[0]["spec"]["containers"][0]


def flags(argv: list[str]) -> set[str]:
    return {argument.split("=")[0] for argument in argv}


def test_the_trainer_knows_every_flag_of_its_manifest_and_the_document_lists_them() -> None:
    known = set(re.findall(r"--tf-[a-z-]+", helped("trainer")))
    assert flags(container("train")["args"]) <= known
    assert set(re.findall(r"`(--tf-[a-z-]+)`", section("trainer"))) - {"--tf-train-steps`"} == known


def helped(package: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", package, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_the_settings_that_shape_a_version_are_the_flags_that_shape_the_weights() -> None:
    spelled = {"model": "model-type", "steps": "train-steps"}
    shaping = {f"--tf-{spelled.get(name, name).replace('_', '-')}" for name in SHAPING}
    others = {"--tf-data-dir", "--tf-model-dir", "--tf-export-dir", "--tf-version-tag", "--tf-dataset", "--tf-mirrors",
              "--tf-checkpoint-every", "--tf-keep-checkpoints"}  # fmt: skip
    assert flags(container("train")["args"]) == shaping | others


def test_the_model_server_knows_every_flag_of_its_manifest() -> None:
    assert flags(container("serving", 1)["args"]) <= set(re.findall(r"--[a-z_]+", helped("serving")))
    assert flags(container("serving", 1)["args"]) <= set(re.findall(r"`(--[a-z_]+)`", section("serving")))


def test_the_model_server_reads_the_list_of_its_versions_as_the_pipeline_writes_it(tmp_path: Path) -> None:
    beside = served.Served(("100", "200"), {"stable": "100"})
    (tmp_path / served.FILE).write_text(served.text("mnist", '/a "b\\c/export', beside))
    (model,) = configs.models_from_flags(serving_flags.parse([f"--model_config_file={tmp_path / served.FILE}"]))
    assert model == configs.ModelConfig(
        "mnist", Path('/a "b\\c/export'), configs.VersionPolicy(specific=(100, 200)), {"stable": 100}
    )


def test_the_notebooks_image_has_the_notebook_and_the_trainer_where_its_manifest_looks_for_them() -> None:
    pod = manifests.pod_templates(manifests.render(load("staging").settings, "notebook", "1")[0])[0]["spec"]
    assert pod["initContainers"][0]["command"][:2] == ["cp", "/app/mnist.ipynb"]
    assert pod["initContainers"][0]["image"] == pod["containers"][0]["image"]
    below, above = ((ROOT / name / "Dockerfile").read_text() for name in ("trainer", "notebooks"))
    assert "WORKDIR /app\n" in below
    assert "COPY *.py trainer/\n" in below
    assert "COPY mnist.ipynb ./\n" in above
    assert "ENV PYTHONPATH=/app\n" in above
    assert above.index("FROM ${TRAINER}") < above.index("USER root") < above.index("USER 65532:65532")


def test_the_notebook_reads_every_variable_of_its_manifest_that_is_the_trainers() -> None:
    given = {variable["name"] for variable in container("notebook")["env"]}
    flags_known = {f"TF_{one.name.upper()}" for one in dataclasses.fields(Options)}
    assert {name for name in given if name.startswith("TF_")} <= flags_known


PAGES = {
    "this machine": ("local",),
    "a cluster": ("staging",),
    "servers named": ("staging", "web_ui.allowed_servers=['*.models:9000','[fd00::7]:9001']"),
    "a Gateway": ("staging", "serving.canary.gateway=gateways/internal", "serving.address=serving.example.org"),
    "KServe": ("staging", "serving.kind=kserve"),
}


def page_variables(environment: str, *changes: str) -> dict[str, str]:
    (made, _) = manifests.render(load(environment, changes).settings, "web-ui", "1763900000")
    (container,) = manifests.pod_templates(made)[0]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("page", PAGES)
def test_the_web_ui_reads_every_variable_of_its_manifest(page: str) -> None:
    given = page_variables(*PAGES[page])
    source = "".join(path.read_text() for path in (ROOT / "web-ui" / "webui").glob("*.py"))
    assert set(given) <= set(re.findall(r"`([A-Z_]+)`", section("web-ui")))
    assert all(f'"{name}"' in source for name in given)
    page_settings.Settings.from_environ(given)


def test_the_web_ui_may_ask_the_servers_that_its_manifest_names() -> None:
    machine, cluster, named = (
        page_settings.Settings.from_environ(page_variables(*PAGES[page]))
        for page in ("this machine", "a cluster", "servers named")
    )
    assert {name: str(one) for name, one in machine.version_servers.items()} == {
        "stable": "127.0.0.1:9010", "canary": "127.0.0.1:9012",
    }  # fmt: skip
    assert {name: str(one) for name, one in cluster.version_servers.items()} == {
        "stable": "mnist-stable:9000", "canary": "mnist-canary:9000",
    }  # fmt: skip
    assert str(machine.allowed) == "127.0.0.1:9000"
    assert str(cluster.allowed) == "mnist-service:9000 or any Service of kubeflow at port 9000"
    assert str(named.allowed) == "mnist-service:9000, any Service of models at port 9000 or [fd00::7]:9001"
    assert named.allowed.lookup("mnist-service") == "mnist-service.kubeflow.svc.cluster.local."


def test_the_page_image_gets_its_test_images_from_where_the_trainer_does_and_checks_them_by_the_same_sums() -> None:
    assert make_test_images.MIRRORS == tuple(MIRRORS.split(",")) == load("staging").settings.data.mirrors
    assert make_test_images.MIRRORS == images.PUBLIC_MIRRORS
    theirs = {one.name: one for one in download.MNIST}
    for ours, magic in ((make_test_images.IMAGES, idx.IMAGES), (make_test_images.LABELS, idx.LABELS)):
        same = theirs[ours.name]
        assert (ours.size, ours.md5, ours.sha256) == (same.size, same.md5, same.sha256)
        assert ours.header == struct.pack(f">{1 + len(same.shape)}I", magic, *same.shape)
        assert ours.values == math.prod(same.shape)


def test_the_page_image_names_its_own_test_images_by_the_documents_variable() -> None:
    lines = (ROOT / "web-ui" / "Dockerfile").read_text().splitlines()
    (setting,) = [word for line in lines if line.startswith("ENV ") for word in line.split() if "TEST_IMAGES" in word]
    assert setting == "TEST_IMAGES=/app/test_images.zip"
    assert "COPY --from=test-images /test_images.zip ." in lines[lines.index("WORKDIR /app") :]
    assert "| `TEST_IMAGES` |" in section("web-ui")


def test_the_service_leads_to_the_ports_that_the_server_listens_on() -> None:
    settings = load("staging").settings
    ports = {
        port["name"]: port["containerPort"]
        for port in manifests.pod_templates(manifests.render(settings, "serving", "1")[1])[0]["spec"]["containers"][0][
            "ports"
        ]
    }
    (service,) = manifests.render(settings, "service", "1")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    assert service["metadata"]["name"] == settings.serving.address


@pytest.mark.parametrize("package", ["trainer", "serving", "web-ui"])
def test_a_container_imports_nothing_of_the_pipeline_or_of_another(package: str) -> None:
    others = {"pipeline", "trainer", "serving", "webui"} - {package, package.replace("-", "")}
    for path in (ROOT / package).rglob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        assert not others & set(imported), path


def test_the_pipeline_imports_downwards_only() -> None:
    layers = (
        "errors",
        "settings commands names yamlfile spaces records served",
        "endpoint explain program processes causes files trainerlog",
        "conflicts tools ssh leash",
        "config listing images lock findings",
        "hands there",
        "answering",
        "execution",
        "foresight",
        "cloudstorage testing client costs",
        "storage placement resources trials aliases kserve",
        "tracks",
        "manifests versions",
        "tuning gate choice",
        "cloud",
        "clusters",
        "rollout smoke",
        "trial",
        "stages toolbox project machine",
        "running views doctor models",
        "pages bench comparison",
    )
    level = {name: number for number, names in enumerate(layers) for name in names.split()}
    for path in (ROOT / "pipeline").rglob("*.py"):
        own = path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for line in re.findall(r"^from pipeline([.\w]*) import (.+)$", path.read_text(), re.MULTILINE):
            names = [line[0].split(".")[1]] if line[0] else re.findall(r"\w+", line[1])
            for name in names:
                assert level[name] <= level[own], f"{path.name} imports {name}, which stands above it"


def test_the_tutorials_weights_are_restored_the_way_tensorflow_serving_restores_them(tmp_path) -> None:
    """In a subprocess, because TensorFlow's import warns; a session and restore op, as the C++ loader has them."""
    text = """
import sys, numpy, tensorflow as tf
from trainer import model
from trainer.servable import from_network
network = model.build("fast")
from_network(network).save(sys.argv[1])
x = numpy.random.default_rng(1).random((5, 784), "float32")
graph = tf.Graph()
with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
    meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], sys.argv[1])
    for name in ("serving_default", "classes"):
        signature = meta.signature_def[name]
        feeds = {signature.inputs["x"].name: x}
        answers = {alias: session.run(info.name, feeds) for alias, info in signature.outputs.items()}
        print(name, answers["predictions"].shape, answers["predictions"].dtype, answers["classes"].dtype)
expected = tf.nn.softmax(network(x.reshape(-1, 28, 28, 1), training=False)).numpy()
print("equal", numpy.allclose(expected, answers["predictions"], atol=1e-6))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text, str(tmp_path / "1")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "serving_default (5, 10) float32 int64",
        "classes (5, 10) float32 int64",
        "equal True",
    ], done.stderr
