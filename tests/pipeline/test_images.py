"""An image's tag follows from all that the image is made of; the registry is asked before anything is built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import images
from pipeline.commands import Command, Step, Together, Unchanged
from pipeline.config import load
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.stages import build


def settings(*changes: str) -> Settings:
    return load("staging", ["gcp.project=demo-project-1", *changes]).settings


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two small contexts."""
    for name in ("trainer", "web-ui"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM scratch\n")
        (tmp_path / name / "main.py").write_text("1\n")
    monkeypatch.setattr(images, "ROOT", tmp_path)
    return tmp_path


def steps(of: Settings, answers: dict[str, object]) -> list[Step]:
    """What `build` yields where commands that hold a word are answered so, and the rest with nothing."""

    def reply(step: Step) -> object:
        if isinstance(step, Together):
            return [reply(one) for one in step.asks]
        return next((answer for word, answer in answers.items() if word in str(step)), None)

    stage, seen, answer = build.up(of), list[Step](), None
    while True:
        try:
            step = stage.send(answer)
        except StopIteration:
            return seen
        seen.append(step)
        answer = reply(step)


def argvs(seen: list[Step], program: str) -> Iterator[tuple[str, ...]]:
    return (step.argv for step in seen if isinstance(step, Command) and step.argv[0] == program)


@pytest.mark.parametrize("path", ["trainer/main.py", "trainer/Dockerfile", "trainer/.dockerignore", "trainer/new.py"])
def test_the_tag_changes_with_any_file_of_the_context(root: Path, path: str) -> None:
    before, other = images.tag(settings(), "train"), images.tag(settings(), "web-ui")
    (root / path).write_text("2\n")
    assert images.tag(settings(), "train") != before
    assert images.tag(settings(), "web-ui") == other


@pytest.mark.parametrize("change", ["build_images.platform=linux/arm64", "training.gpus=1"])
def test_the_tag_changes_with_the_platform_and_the_build_arguments(root: Path, change: str) -> None:
    assert images.tag(settings(change), "train") != images.tag(settings(), "train")


def test_the_pages_test_images_come_from_the_mirrors_that_the_settings_name(root: Path) -> None:
    own = settings("data.mirrors=[https://example.org/mnist/, https://example.org/again/]")
    assert images.build_args(settings(), "web-ui") == {}
    assert images.build_args(own, "web-ui") == {
        "MNIST_MIRRORS": "https://example.org/mnist/ https://example.org/again/"
    }
    assert images.tag(own, "web-ui") != images.tag(settings(), "web-ui")


@pytest.mark.parametrize("path", ["trainer/__pycache__/main.pyc", "trainer/.main.py.swp", "serving/main.py"])
def test_caches_hidden_files_and_other_folders_do_not_change_the_tag(root: Path, path: str) -> None:
    before = images.tag(settings(), "train")
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text("2\n")
    assert images.tag(settings(), "train") == before


@pytest.mark.parametrize("change", ["gcp.region=europe-west4", "training.steps=7", "web_ui.replicas=3"])
def test_other_settings_do_not_change_the_tag(root: Path, change: str) -> None:
    zone = ["gcp.zone=europe-west4-a"] if "europe" in change else []
    assert images.tag(settings(change, *zone), "train") == images.tag(settings(), "train")


def test_an_image_that_the_registry_has_is_not_built_again(root: Path) -> None:
    seen = steps(settings(), {"images describe": "sha256:" + "a" * 64})
    assert not list(argvs(seen, "docker"))
    assert [step.why for step in seen if isinstance(step, Unchanged)] == [
        f"{name}:{images.tag(settings(), name)} is in the registry" for name in images.USUAL
    ]


def test_only_the_image_that_is_missing_is_built_and_pushed_with_docker(root: Path) -> None:
    seen = steps(settings(), {"web-ui:": "sha256:" + "a" * 64, "docker version": (0, "28.2.2")})
    reference = images.reference(settings(), "train")
    version, built, pushed = argvs(seen, "docker")
    assert version[1] == "version"
    assert built[:4] == ("docker", "build", "--platform=linux/amd64", f"--tag={reference}")
    assert built[-1] == str(root / "trainer")
    assert pushed == ("docker", "push", reference)


def test_docker_never_pushes_under_a_tag_that_can_be_confused_with_another_content(root: Path) -> None:
    first = images.reference(settings(), "train")
    (root / "trainer" / "main.py").write_text("2\n")
    assert images.reference(settings(), "train") != first
    assert ":latest" not in first


def test_build_arguments_reach_docker_and_cloud_build_alike(root: Path) -> None:
    of = settings("training.gpus=1")
    assert "--build-arg=TENSORFLOW=tensorflow[and-cuda]" in images.build(of, "train").argv
    recipe = json.loads(images.build_file(of, "train"))
    assert "--build-arg=TENSORFLOW=tensorflow[and-cuda]" in recipe["steps"][0]["args"]
    assert recipe["images"] == [images.reference(of, "train")]
    assert f"--config={of.build / 'cloudbuild-train.json'}" in images.submit(of, "train").argv


def test_cloud_build_takes_a_tag_alone_where_there_are_no_arguments(root: Path) -> None:
    argv = images.submit(settings(), "train").argv
    assert f"--tag={images.reference(settings(), 'train')}" in argv
    assert f"--gcs-source-staging-dir={settings().bucket}/build-source" in argv


KEY = '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}'


@pytest.mark.parametrize("text", [KEY, "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_fault_81_a_private_key_in_a_build_context_is_refused_before_anything_is_built(root: Path, text: str) -> None:
    (root / "trainer" / "key.json").write_text(text)
    with pytest.raises(PipelineError, match=r"trainer/key\.json holds a private key") as caught:
        steps(settings(), {"docker version": (0, "28.2.2")})
    assert caught.value.code == 2


def test_code_that_speaks_of_keys_is_no_key(root: Path) -> None:
    (root / "trainer" / "main.py").write_text('fields = ["private_key"]  # never log it\n')
    assert images.keys_in("train") == []


@pytest.mark.parametrize(
    ("reference", "folder"),
    [("r/p/n/train:abc", "."), ("r/p/n/train@sha256:" + "a" * 64, "."), ("r/web-ui:1", "web-ui"), ("nginx:1", ".")],
)
def test_a_reference_by_tag_or_digest_leads_to_the_working_folder(root: Path, reference: str, folder: str) -> None:
    assert images.workdir(reference) == (root / folder).resolve()
