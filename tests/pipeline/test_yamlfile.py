"""Strict YAML: what two readers could take differently is refused with its line; the rest is read."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import yamlfile
from pipeline.errors import PipelineError

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
TREES = st.dictionaries(
    TEXT,
    st.recursive(
        TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=5,
)


ODD_KEYS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


def refusal(content: str | bytes) -> str:
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(PipelineError) as caught:
        yamlfile.parse(data, "config/x.yaml")
    assert caught.value.code == 2
    assert "\n" not in caught.value.message
    return str(caught.value.message)


def value(content: str | bytes) -> dict[str, object]:
    data = content if isinstance(content, bytes) else content.encode()
    return yamlfile.parse(data, "config/x.yaml").value


def test_plain_scalars_that_every_reader_agrees_on_are_read() -> None:
    scalars = ["true", "false", "null", "0", "-12", "0.08", "-1.5", "two words", "4Gi", "1.2.3.4", "a:b"]
    read = value("a: [" + ", ".join(scalars) + "]")
    assert read == {"a": [True, False, None, 0, -12, 0.08, -1.5, "two words", "4Gi", "1.2.3.4", "a:b"]}


def test_a_value_keeps_its_line_and_how_it_was_written() -> None:
    marks = yamlfile.parse(b"a:\n  # note\n  b: 1.10\n  c:\n    - x\n", "f").marks
    assert marks[("a", "b")] == yamlfile.Mark(3, "1.10")
    assert marks[("a", "c", 0)] == yamlfile.Mark(5, "x")


def test_fault_5_a_duplicate_key_is_refused_with_both_lines() -> None:
    message = refusal("training:\n  steps: 1\n  seed: 2\n  steps: 3\n")
    assert message == "config/x.yaml:4 training.steps: is here a second time, first on line 2; keep one"


def test_fault_5_a_duplicate_key_in_flow_style_is_refused() -> None:
    assert "config/x.yaml:1 a.b: is here a second time" in refusal('a: {b: 1, "b": 2}')


YAML_1_1 = "yes Yes YES no No NO on On ON off Off OFF y Y n N True TRUE False FALSE Null NULL ~ ="
NUMBERS = "0123 -0123 0o17 0x1F 0X1f 0b11 1_000 +5 1e3 1E5 1.5e3 1. .5 .inf -.INF .NaN 12:34:56 190:20:30.15 1:30"
DATES = "2026-11-23 2026-1-2 2026-11-23T10:00:00Z"


@pytest.mark.parametrize("scalar", (YAML_1_1 + " " + NUMBERS + " " + DATES).split())
def test_fault_6_a_scalar_that_readers_differ_on_must_be_quoted(scalar: str) -> None:
    message = refusal(f"a:\n  b: {scalar}\n")
    assert message.startswith(f"config/x.yaml:2 a.b: {scalar} is ")
    assert f'write "{scalar}"' in message
    assert value(f'a: "{scalar}"') == {"a": scalar}


def test_fault_6_a_key_without_a_value_is_refused() -> None:
    assert refusal("gcp:\n  project:\n") == 'config/x.yaml:2 gcp.project: there is no value; write one, or null, or ""'


def test_fault_6_a_number_too_long_to_keep_its_digits_is_refused() -> None:
    assert "more digits than every reader keeps" in refusal(f"a: {'1' * 5000}")


@pytest.mark.parametrize("key", ["on", "1", "null", "0x1"])
def test_fault_6_a_key_that_is_not_text_everywhere_is_refused(key: str) -> None:
    assert f'"{key}"' in refusal(f"{key}: x")


@given(st.text(alphabet="0123456789+-._:eExXobyYnNaAtTrRuUlLsSfFiI~= ", min_size=1, max_size=12).map(str.strip))
def test_fault_6_what_passes_as_plain_text_is_text_to_yaml_1_1_and_1_2(text: str) -> None:
    try:
        if not isinstance(yamlfile.plain(text), str):
            return
    except ValueError:
        return
    resolver = yaml.SafeLoader("")
    assert resolver.resolve(yaml.ScalarNode, text, (True, False)) == "tag:yaml.org,2002:str"
    core = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    assert not re.fullmatch(core + r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|~|null|Null|NULL", text)


@pytest.mark.parametrize("tagged", ["!!python/object/apply:os.system [ls]", "!!str 1", "! 1", "!own x", "!!map {}"])
def test_fault_7_any_tag_is_refused(tagged: str) -> None:
    message = refusal(f"a: 1\nb: {tagged}\n")
    assert message.startswith("config/x.yaml:2 b: the tag !") or message.startswith("config/x.yaml:2 b: the tag tag:")


def test_fault_8_an_anchor_is_refused() -> None:
    assert refusal("a: &x 1\nb: 2\n").startswith("config/x.yaml:1 a: the anchor &x hides an override")


def test_fault_8_a_merge_key_is_refused() -> None:
    assert refusal("a:\n  <<: {b: 1}\n").startswith("config/x.yaml:2 a: a merge key (<<) hides overrides")


def test_fault_8_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "l0: the anchor &l0" in refusal("\n".join(["l0: &l0 x", *levels]))


def test_fault_8_too_many_values_are_refused() -> None:
    assert "more than 5000 values" in refusal(f"a: [{','.join('1' * 6000)}]")


@pytest.mark.parametrize(
    "deep", ["[" * 60_000, "{a: " * 10_000, "\n".join(" " * (i + bool(i)) + "a:" for i in range(300))]
)
def test_fault_9_a_very_deep_file_is_refused(deep: str) -> None:
    assert "deeper than 20 levels" in refusal(f"a:\n {deep}".encode())


def test_fault_9_a_very_large_file_is_refused() -> None:
    assert refusal("# " + "x" * 70_000) == "config/x.yaml: larger than 64 KB; this does not look like a settings file"


def test_fault_9_an_endless_file_is_read_to_the_limit_only(tmp_path) -> None:
    endless = tmp_path / "x.yaml"
    endless.symlink_to("/dev/zero")
    with pytest.raises(PipelineError, match="larger than 64 KB"):
        yamlfile.read(endless, "config/x.yaml")


@pytest.mark.parametrize("content", ["- 1\n", "text\n", "a:1\n", "5\n"])
def test_fault_10_what_is_not_a_mapping_is_refused(content: str) -> None:
    assert refusal(content) == 'config/x.yaml:1: settings are wanted, one "key: value" a line'


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n"])
def test_fault_10_an_empty_file_is_refused(content: str) -> None:
    assert refusal(content).startswith("config/x.yaml: empty; ")


def test_fault_10_a_byte_order_mark_is_read() -> None:
    assert value(b"\xef\xbb\xbfname: mnist\n") == {"name": "mnist"}


def test_fault_10_crlf_line_ends_are_read_and_counted_as_one() -> None:
    document = yamlfile.parse(b'a: x\r\nb: "y"\r\nc: |\r\n  1\r\n  2\r\n', "f")
    assert document.value == {"a": "x", "b": "y", "c": "1\n2\n"}
    assert document.marks[("c",)].line == 3


def test_fault_10_invalid_utf_8_is_refused_with_its_line() -> None:
    assert refusal(b"a: 1\nb: \xe9\n") == "config/x.yaml:2: not UTF-8 text; save the file as UTF-8"
    assert "not UTF-8" in refusal("a: 1".encode("utf-16"))


def test_fault_10_a_second_document_is_refused() -> None:
    assert refusal("a: 1\n---\nb: 2\n") == "config/x.yaml:2: a second document begins; one file holds one"


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\u202e", "\ufeff", "\x00", "\x1b"])
def test_fault_10_a_character_that_nobody_sees_is_refused(character: str) -> None:
    assert refusal(f"a: 1\nb: x{character}y\n") == (
        f"config/x.yaml:2: contains the invisible character U+{ord(character):04X}; remove it"
    )


@pytest.mark.parametrize(
    "broken", ["a: 'x", "a: b: c", "\ta: 1", "a: @x", "a: [1", 'a: "\\q"', "? [a]\n: 1", "%TAG ! x\n"]
)
def test_what_is_not_yaml_is_refused_in_one_sentence(broken: str) -> None:
    assert refusal(broken).startswith("config/x.yaml:")


@pytest.mark.parametrize("broken", ['a: "\\UFFFFFFFF"', f"%YAML 1.{'9' * 5000}\n---\na: 1\n"])
def test_numbers_that_overflow_inside_pyyaml_are_refused_in_one_sentence(broken: str) -> None:
    assert refusal(broken) == "config/x.yaml: an escape or a number in it is out of range; remove it"


@pytest.mark.parametrize("escape", ["\\0", "\\e", "\\ud800"])
def test_an_escape_for_a_control_or_half_a_character_is_refused(escape: str) -> None:
    assert "control character or half a character" in refusal(f'a: "{escape}"')


def test_a_missing_file_is_said_with_the_systems_reason(tmp_path) -> None:
    with pytest.raises(PipelineError, match=r"^config/x.yaml: cannot be read: No such file or directory$"):
        yamlfile.read(tmp_path / "x.yaml", "config/x.yaml")


@given(TREES)
def test_any_tree_of_quoted_texts_reads_back_equal(tree: dict[str, object]) -> None:
    assert value(yaml.safe_dump(tree, default_style='"')) == tree


@given(st.text(alphabet=st.sampled_from(list("ab:- \n\t\r[]{},&*!|>'\"%@`#?.~\\0x1<=_\ufeff\x85é")), max_size=60))
def test_arbitrary_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    try:
        assert isinstance(value(text), dict)
    except PipelineError as error:
        assert "\n" not in error.message


@given(ODD_KEYS)
def test_a_fault_at_an_odd_key_is_said_in_one_printable_line(key: str) -> None:
    try:
        value(json.dumps(key) + ": no")
    except PipelineError as error:
        assert error.message.isprintable()
    else:
        pytest.fail("a trap was read")


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_read_or_refused_in_one_sentence(data: bytes) -> None:
    try:
        assert isinstance(value(data), dict)
    except PipelineError as error:
        assert "\n" not in error.message
