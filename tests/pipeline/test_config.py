"""An environment loads in layers, with the origin of every value, or is refused in few plain lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context

from pipeline import config, program
from pipeline.errors import PipelineError
from pipeline.settings import ROOT
from tests.pipeline.breaking import append, edit, refusal


@pytest.mark.parametrize("environment", program.environments())
def test_every_environment_loads_with_an_origin_for_every_setting(environment: str) -> None:
    loaded = config.load(environment)
    assert loaded.settings.environment == environment
    for key, origin in loaded.origins.items():
        name, line = origin.split(":")
        assert key.rpartition(".")[2] + ":" in (ROOT / name).read_text().splitlines()[int(line) - 1]


def test_an_environment_wins_over_base_and_set_over_both() -> None:
    loaded = config.load("local", ["training.steps=7"])
    assert (loaded.settings.training.steps, loaded.origins["training.steps"]) == (7, "--set")
    assert loaded.origins["training.model"].startswith("config/local.yaml:")
    assert loaded.origins["training.seed"].startswith("config/base.yaml:")
    assert config.load("local").settings.training.steps != 7


def test_of_two_changes_to_one_setting_the_later_wins() -> None:
    assert config.load("local", ["training.steps=7", "training.steps=8"]).settings.training.steps == 8


def test_a_mistake_in_a_lower_layer_is_not_hidden_by_a_higher_one(folder: Path) -> None:
    line = edit(folder / "base.yaml", "steps: 2000", "steps: 0")
    edit(folder / "local.yaml", "steps: 2814", "steps: 5")
    assert refusal("local", folder, "training.steps=6").startswith(f"config/base.yaml:{line} training.steps: 0 is out")


def test_several_mistakes_are_shown_at_once_but_in_three_lines_at_most(folder: Path) -> None:
    append(folder / "staging.yaml", "a: 1\nb: 2\nc: 3\nd: 4\n")
    lines = refusal("staging", folder).splitlines()
    assert [line.split(": ")[0].split()[1] for line in lines[:2]] == ["a", "b"]
    assert lines[2] == "… and 2 more"


def test_a_new_file_is_a_new_environment(folder: Path) -> None:
    (folder / "trial.yaml").write_text("training:\n  steps: 5\n")
    loaded = config.load("trial", folder=folder)
    assert (loaded.settings.environment, loaded.origins["training.steps"]) == ("trial", "config/trial.yaml:2")


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("name=mnist2", "mnist2"),
        ("training.cpu=2", "2"),
        ("training.cpu='4'", "4"),
        ('training.memory="2Gi"', "2Gi"),
        ("protected=true", True),
        ("storage.bucket=null", None),
        ("data.directory=true", "true"),
        ("data.mirrors=[https://a/, https://b/]", ("https://a/", "https://b/")),
        ("data.mirrors=https://a/,https://b/", ("https://a/", "https://b/")),
        ("data.mirrors=[]", ()),
        ("training.learning_rate=0.5", 0.5),
    ],
)
def test_set_gives_a_value_of_the_settings_own_type(change: str, value: object) -> None:
    found: object = config.load("local", [change]).settings
    for part in change.partition("=")[0].split("."):
        found = getattr(found, part)
    assert found == value


@given(st.sampled_from(sorted(config.KNOWN)), st.text(max_size=30))
def test_any_change_loads_or_is_refused_in_one_line_that_names_it(key: str, written: str) -> None:
    try:
        assert config.load("local", [f"{key}={written}"]).origins[key] == "--set"
    except PipelineError as error:
        assert error.code == 2
        assert error.message.isprintable()


@given(
    st.dictionaries(
        st.sampled_from(["training", "name", "data", "steps", "x", "cluster"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["steps", "mirrors", "kind", "model"]), inner, max_size=3)
            ),
            max_leaves=5,
        ),
        max_size=3,
    )
)
def test_any_yaml_file_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    folder = tmp_path_factory.getbasetemp() / "any" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "config" / "base.yaml", folder)
    (folder / "any.yaml").write_text(yaml.safe_dump(tree))
    try:
        config.load("any", folder=folder)
    except PipelineError as error:
        assert error.code == 2
        assert error.message.count("\n") < 3


def context(**chosen: object) -> Context:
    return Context(Config({program.CHOSEN: chosen} if chosen else {}))


def test_tasks_get_the_settings_that_the_command_line_chose() -> None:
    settings = config.settings_of(context(environment="staging", set=["training.steps=5"]))
    assert (settings.environment, settings.training.steps) == ("staging", 5)


def test_settings_are_read_once_in_a_process() -> None:
    c = context(environment="staging", set=[])
    assert config.settings_of(c) is config.settings_of(c)


def test_a_context_made_by_hand_gets_the_ambient_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVOKE_ENV", raising=False)
    assert config.settings_of(context()).environment == "local"
    monkeypatch.setenv("INVOKE_ENV", "production")
    assert config.settings_of(context()).environment == "production"
