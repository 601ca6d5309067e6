"""A setting that is unknown or of another type is refused with file, line, key and remedy (faults 1 and 2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config
from tests.pipeline.breaking import append, edit, refusal


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
    assert refusal("staging", folder).startswith(f"config/staging.yaml:{line} training.steps: a dot does not lead")


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
        ('"2000"', '"2000" is text; wanted: whole number from 1 to 10000000; write 2000'),
        ("true", "true is a truth value; wanted: whole number from 1 to 10000000"),
        ("1.5", "1.5 is a number with a fraction; wanted: whole number from 1 to 10000000"),
        ("2000.0", "2000.0 is a number with a fraction; wanted: whole number from 1 to 10000000"),
        ("null", "null is no value; wanted: whole number from 1 to 10000000"),
        ("[1, 2]", "is a list; wanted: whole number from 1 to 10000000"),
        ("{a: 1}", "is a group of settings; wanted: whole number from 1 to 10000000"),
        ("many", '"many" is text; wanted: whole number from 1 to 10000000'),
    ],
)
def test_fault_2_what_is_not_a_whole_number_is_refused(folder: Path, written: str, sentence: str) -> None:
    line = edit(folder / "local.yaml", "steps: 2814", f"steps: {written}")
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
def test_fault_2_a_value_of_another_type_is_refused(folder: Path, key: str, written: str, sentence: str) -> None:
    section, _, name = key.rpartition(".")
    text = f"{section}:\n  {name}: {written}\n" if section else f"{name}: {written}\n"
    (folder / "staging.yaml").write_text(text)
    line = text.count("\n")
    assert refusal("staging", folder) == f"config/staging.yaml:{line} {key}: {sentence}"


def test_fault_2_an_item_of_a_list_is_refused_with_its_own_line(folder: Path) -> None:
    (folder / "staging.yaml").write_text("data:\n  mirrors:\n    - https://a/\n    - 5\n")
    assert refusal("staging", folder).startswith("config/staging.yaml:4 data.mirrors[1]: ")


def test_a_server_that_the_page_may_not_be_allowed_is_refused_with_its_own_line(folder: Path) -> None:
    (folder / "staging.yaml").write_text('web_ui:\n  allowed_servers:\n    - "*.models:9000"\n    - metadata\n')
    assert refusal("staging", folder) == (
        'config/staging.yaml:4 web_ui.allowed_servers[1]: "metadata" is not a server; '
        "write host:port, or *.namespace:port for a whole namespace"
    )


def test_a_list_of_two_mistakes_said_at_once_is_one_sentence() -> None:
    said = refusal("local", None, "data.mirrors=0,1")
    assert said == '--set data.mirrors=0,1: "0" is not an address; write one like https://example.org/mnist/'


def test_fault_2_a_group_must_hold_settings(folder: Path) -> None:
    (folder / "staging.yaml").write_text("training: 5\n")
    assert refusal("staging", folder) == (
        "config/staging.yaml:1 training: is a group of settings; write them below it, indented"
    )


def test_a_whole_number_is_a_number_too() -> None:
    assert config.load("local", ["training.learning_rate=1"]).settings.training.learning_rate == 1.0
