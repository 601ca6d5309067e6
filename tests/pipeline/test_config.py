"""An environment loads with the origin of every value, or is refused with file, line, key and remedy."""

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
from pipeline.settings import PLACEHOLDER_PROJECT, ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of config/ to break."""
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


def edit(path: Path, old: str, new: str) -> int:
    """Replace text in a file; the line on which it stood."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {path.name}"
    path.write_text(text.replace(old, new))
    return text.count("\n", 0, text.index(old)) + 1


def append(path: Path, text: str) -> int:
    """Add lines to a file; the line of the first."""
    before = path.read_text()
    path.write_text(before + text)
    return before.count("\n") + 1


def refusal(environment: str, folder: Path | None = None, *changes: str) -> str:
    with pytest.raises(PipelineError) as caught:
        config.load(environment, changes, folder or program.CONFIG)
    assert caught.value.code == 2
    assert caught.value.message.count("\n") < 3
    return str(caught.value.message)


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
    edit(folder / "local.yaml", "steps: 1876", "steps: 5")
    assert refusal("local", folder, "training.steps=6").startswith(
        f"config/base.yaml:{line} training.steps: 0 is out"
    )


def test_several_mistakes_are_shown_at_once_but_in_three_lines_at_most(folder: Path) -> None:
    append(folder / "staging.yaml", "a: 1\nb: 2\nc: 3\nd: 4\n")
    lines = refusal("staging", folder).splitlines()
    assert [line.split(": ")[0].split()[1] for line in lines[:2]] == ["a", "b"]
    assert lines[2] == "… and 2 more"


def test_fault_1_an_unknown_key_is_refused_with_a_suggestion(folder: Path) -> None:
    line = append(folder / "staging.yaml", "training:\n  stepz: 5\n") + 1
    assert refusal("staging", folder) == (
        f'config/staging.yaml:{line} training.stepz: unknown setting. Did you mean "steps"?'
    )


def test_fault_1_a_setting_outside_its_group_is_recognised(folder: Path) -> None:
    line = append(folder / "staging.yaml", "batch_size: 5\n")
    assert refusal("staging", folder) == (
        f'config/staging.yaml:{line} batch_size: unknown setting. Did you mean "training.batch_size"?'
    )


def test_fault_1_an_unknown_group_is_refused_with_a_suggestion(folder: Path) -> None:
    append(folder / "staging.yaml", "web-ui:\n  port: 5\n")
    assert refusal("staging", folder).endswith('web-ui: unknown setting. Did you mean "web_ui"?')


def test_fault_1_the_environments_name_is_not_a_setting(folder: Path) -> None:
    append(folder / "staging.yaml", "environment: production\n")
    assert "environment: unknown setting" in refusal("staging", folder)


def test_fault_1_a_key_with_a_dot_is_no_way_into_a_group(folder: Path) -> None:
    line = append(folder / "staging.yaml", "training.steps: 5\n")
    assert refusal("staging", folder).startswith(
        f"config/staging.yaml:{line} training.steps: a dot does not lead"
    )


def test_a_newline_in_a_key_stays_on_one_line(folder: Path) -> None:
    append(folder / "staging.yaml", '"a\\nprotected": 1\n')
    assert "a\\nprotected: unknown setting" in refusal("staging", folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("training.stepz=5", 'unknown setting. Did you mean "training.steps"?'),
        ("steps=5", 'unknown setting. Did you mean "training.steps"?'),
        ("training=5", "is a group of settings; name one, such as training.model"),
        ("qqq=5", "unknown setting"),
    ],
)
def test_fault_1_an_unknown_key_after_set_is_refused(change: str, sentence: str) -> None:
    assert refusal("local", None, change) == f"--set {change}: {sentence}"


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ('"2000"', '"2000" is text; wanted: whole number from 1; write 2000'),
        ("true", "true is a truth value; wanted: whole number from 1"),
        ("1.5", "1.5 is a number with a fraction; wanted: whole number from 1"),
        ("2000.0", "2000.0 is a number with a fraction; wanted: whole number from 1"),
        ("null", "null is no value; wanted: whole number from 1"),
        ("[1, 2]", "is a list; wanted: whole number from 1"),
        ("{a: 1}", "is a group of settings; wanted: whole number from 1"),
        ("many", '"many" is text; wanted: whole number from 1'),
    ],
)
def test_fault_2_what_is_not_a_whole_number_is_refused(folder: Path, written: str, sentence: str) -> None:
    line = edit(folder / "local.yaml", "steps: 1876", f"steps: {written}")
    assert refusal("local", folder) == f"config/local.yaml:{line} training.steps: {sentence}"


@pytest.mark.parametrize(
    ("key", "written", "sentence"),
    [
        ("training.cpu", "2", '2 is a number; wanted: text (cpu); write "2"'),
        ("serving.image", "1.10", '1.10 is a number with a fraction; wanted: text (image); write "1.10"'),
        ("protected", '"true"', '"true" is text; wanted: true or false; write true'),
        ("protected", "1", "1 is a number; wanted: true or false"),
        ("training.learning_rate", "true", "true is a truth value; wanted: number above 0"),
        ("training.learning_rate", '"0.1"', '"0.1" is text; wanted: number above 0; write 0.1'),
        (
            "data.mirrors",
            "https://a/",
            '"https://a/" is text; wanted: list of text (url); write [https://a/]',
        ),
        ("training.optimizer", "adm", '"adm" is not one of sgd, nesterov, adam. Did you mean "adam"?'),
        ("training.optimizer", "5", "5 is a number; wanted: sgd, nesterov or adam"),
        ("training.optimizer", "Adam", '"Adam" is not one of sgd, nesterov, adam. Did you mean "adam"?'),
    ],
)
def test_fault_2_a_value_of_another_type_is_refused(
    folder: Path, key: str, written: str, sentence: str
) -> None:
    section, _, name = key.rpartition(".")
    text = f"{section}:\n  {name}: {written}\n" if section else f"{name}: {written}\n"
    (folder / "staging.yaml").write_text(text)
    line = text.count("\n")
    assert refusal("staging", folder) == f"config/staging.yaml:{line} {key}: {sentence}"


def test_fault_2_an_item_of_a_list_is_refused_with_its_own_line(folder: Path) -> None:
    (folder / "staging.yaml").write_text("data:\n  mirrors:\n    - https://a/\n    - 5\n")
    assert refusal("staging", folder).startswith("config/staging.yaml:4 data.mirrors[1]: ")


def test_fault_2_a_group_must_hold_settings(folder: Path) -> None:
    (folder / "staging.yaml").write_text("training: 5\n")
    assert refusal("staging", folder) == (
        "config/staging.yaml:1 training: is a group of settings; write them below it, indented"
    )


def test_a_whole_number_is_a_number_too() -> None:
    assert config.load("local", ["training.learning_rate=1"]).settings.training.learning_rate == 1.0


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
    assert caught.value.message.startswith(
        f'{origin} gcp.project: still "{PLACEHOLDER_PROJECT}"; write your project'
    )


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


@pytest.mark.parametrize(
    "bucket", ["ab", "My-Bucket", "a..b", "192.168.5.4", "goog-x", "my-google-x", "gs://mine"]
)
def test_fault_14_a_bucket_that_cloud_storage_refuses_is_refused(bucket: str) -> None:
    message = refusal("staging", None, f"storage.bucket={bucket}")
    assert message.startswith(f'--set storage.bucket={bucket}: "{bucket}" cannot name a bucket: ')


def test_fault_14_a_bucket_made_from_project_and_name_is_checked_too() -> None:
    message = refusal("staging", None, "gcp.project=google-shop")
    assert '"google-shop-mnist-bucket" cannot name a bucket' in message
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
        f'config/base.yaml:{line} serving.grpc_port: "9000" is text; '
        "wanted: whole number from 1 to 65535; write 9000"
    )


def test_fault_15_a_zone_outside_its_region_is_refused() -> None:
    assert refusal("staging", None, "gcp.zone=europe-west1-b") == (
        '--set gcp.zone=europe-west1-b: "europe-west1-b" does not lie in gcp.region "us-central1"; '
        "write one like us-central1-c"
    )
    assert "gcp.zone" in refusal("staging", None, "gcp.region=us-central2")
    config.load("staging", ["gcp.region=europe-west1", "gcp.zone=europe-west1-b"])


@pytest.mark.parametrize("setting", ["training.chiefs=2", "training.gpus=0"])
def test_fault_15_a_second_chief_or_a_gpu_cannot_be_asked_for(setting: str) -> None:
    assert "unknown setting" in refusal("local", None, setting)


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
    assert refusal(name, folder).startswith(
        f'unknown environment "{name}": known are local, production, staging'
    )


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
