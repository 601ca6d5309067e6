"""The pages tell the truth: worked examples run, links lead somewhere, commands, settings and paths are there."""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.collection import Collection

from conftest import ROOT, Checkout
from documents import (
    PAGES,
    Example,
    agrees,
    anchors,
    blocks,
    commands,
    is_path,
    links,
    spans,
)
from pipeline import errors
from pipeline.clusters import Cluster
from pipeline.config import KNOWN, load
from pipeline.program import PipelineProgram
from trainer import options
from versions import copied_version

EXAMPLES = ("adding-a-stage", "adding-an-environment", "adding-a-model", "adding-a-data-set", "testing")
"""The pages whose blocks are carried out; what they show exists only in their own checkout."""

FOLDERS = (
    "config", "docs", "pipeline", "pipeline/clusters", "serving", "templates", "tests", "tests/fakes",
    "tests/fakes/google", "trainer", "web-ui",
)  # fmt: skip
"""Where a file may lie that a page names by its last part alone."""

FAULT = re.compile(r"^def test_fault_(\d+)_", re.MULTILINE)
OTHERS = [page for page in PAGES if page.stem not in EXAMPLES]


def text_of(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_worked_example_of_a_page_runs_and_prints_what_the_page_shows(page: str, checkout: Checkout) -> None:
    example = Example(checkout)
    for block in blocks(text_of(page)):
        example.carry_out(block)


def test_the_worked_example_of_the_page_on_serving_runs_and_prints_what_the_page_shows(
    checkout: Checkout, tmp_path: Path
) -> None:
    changes = ("training.steps=60", "data.dataset=digits", f"storage.bucket={tmp_path / 'elsewhere'}")
    checkout.invoke(*[word for change in changes for word in ("--set", change)], "train")
    (version,) = (tmp_path / "elsewhere" / "export").iterdir()
    for tag in ("1763900000", "1763900100"):
        copied_version(version, checkout.build / "bucket", tag)
    example = Example(checkout)
    for block in blocks(text_of("serving")):
        example.carry_out(block)


def test_the_worked_example_of_the_page_on_the_web_ui_runs_and_prints_what_it_shows(
    checkout: Checkout, version: Path
) -> None:
    copied_version(version, checkout.build / "bucket", "1763900100")
    example = Example(checkout)
    for block in blocks(text_of("web-ui")):
        example.carry_out(block)


@pytest.mark.parametrize("page", ["adding-a-model", "adding-a-data-set"])
def test_adding_a_model_or_a_data_set_takes_fewer_than_20_lines(page: str) -> None:
    diffs = [block.text for block in blocks(text_of(page)) if block.info.startswith("diff")]
    assert 0 < sum(line.startswith("+") for diff in diffs for line in diff.splitlines()) < 20


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("a\nb\n", "a\n"), ("a\n", "a\nb\n"), ("step 7 of 9\n", "step … of 8\n"), ("a\nc\n", "…\nb\n"), ("  a\n", "a\n")],
)
def test_output_that_differs_from_the_page_is_noticed(printed: str, expected: str) -> None:
    assert agrees(printed, printed)
    assert not agrees(printed, expected)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_inside_the_repository_leads_to_a_file_and_heading(page: Path) -> None:
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        if not re.match(r"https?:", link):
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target.read_text()), link


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], PipelineProgram]:
    """Reads a command line as `invoke` does and runs nothing; raises PipelineError for what it does not know."""
    monkeypatch.delenv("INVOKE_ENV", raising=False)
    import tasks

    def parse(words: list[str]) -> PipelineProgram:
        program = PipelineProgram(namespace=Collection.from_module(tasks))
        program.create_config()
        program.parse_core(["invoke", *words])
        program.parse_collection()
        program.parse_tasks()
        program.update_config()
        return program

    return parse


@pytest.mark.parametrize("page", OTHERS, ids=named)
def test_every_command_that_a_page_shows_is_understood(
    page: Path, parsed: Callable[[list[str]], PipelineProgram]
) -> None:
    for words in commands(page.read_text()):
        chosen = parsed(words).config["pipeline"]
        load(chosen["environment"], chosen["set"])


def test_the_pages_show_commands_at_all() -> None:
    shown = {word for page in OTHERS for words in commands(page.read_text()) for word in words[:1]}
    assert {"all", "deploy", "build", "train", "serve", "ui", "predict", "models", "clean", "test"} <= shown


def test_every_trainer_command_that_a_page_shows_is_understood() -> None:
    shown = [line for page in PAGES for line in re.findall(r"^python -m trainer (.+)$", page.read_text(), re.MULTILINE)]
    assert shown
    for line in shown:
        options.parse(line.split(), {})


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    text = page.read_text()
    sections = {key.partition(".")[0] for key in KNOWN if "." in key}
    called = [span for span in spans(text) if re.fullmatch(rf"({'|'.join(sections)})\.\w+(?!/)", span)]
    given = re.findall(r"--set (\w+(?:\.\w+)*)=", text.replace("--set key=value", ""))
    files = {f"{section}.{ending}" for section in sections for ending in ("py", "yaml", "md")}
    assert not {*called, *given} - files - set(KNOWN)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    made = {block.info.split()[1] for block in blocks(text) if len(block.info.split()) > 1}
    for path in filter(is_path, spans(text)):
        folders = ("",) if "/" in path else ("", *FOLDERS)
        assert path in made or any((ROOT / folder / path).exists() for folder in folders), path


def rows(page: str, columns: int) -> list[list[str]]:
    """The cells of a page's table rows with so many columns, headings apart."""
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if len(cells) == columns and cells[0] not in ("What happened", "Code", "Function")]


def literals() -> set[str]:
    """Every text in the code as a reader of its output would see it, with `…` for what is put in."""
    folders = (ROOT / name for name in ("pipeline", "trainer", "serving", "web-ui/webui"))
    trees = [ast.parse(path.read_text()) for one in folders for path in one.rglob("*.py")]
    texts = {(ROOT / "inv").read_text()}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr):
            texts.add("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(re.sub(r"\{\w*\}", "…", node.value))
    return texts


def quoted_faults() -> list[str]:
    """What the page of faults quotes from the program."""
    said = [span for _, says, _ in rows(text_of("faults"), 3) for span in spans(says)]
    others = {*KNOWN, *{key.partition(".")[0] for key in KNOWN}, "mnist", "clean", "doctor", "plan", "run", "docker"}
    return [span for span in said if not span.startswith(("invoke ", "--")) and span not in others]


def says(span: str, text: str) -> bool:
    """Whether the text holds the span's pieces in their order; `…` stands for anything."""
    return bool(re.search(".*".join(map(re.escape, span.split("…"))), text, re.DOTALL))


def test_what_the_page_of_faults_quotes_is_what_the_code_says() -> None:
    texts, quoted = literals(), quoted_faults()
    assert len(quoted) > 60
    for span in quoted:
        assert len(span.replace("…", "").strip()) > 6, f"{span} says too little"
        assert any(says(span, text) for text in texts), span


@pytest.mark.parametrize("made_up", ["is too far from the … moon", "on PATH: install it … is not"])
def test_what_no_code_says_is_noticed_on_the_page_of_faults(made_up: str) -> None:
    assert not any(says(made_up, text) for text in literals())


def numbered() -> set[int]:
    """The faults that have a row on their page."""
    happened = [re.match(r"\d+(, \d+)*(?= )", first) for first, _, _ in rows(text_of("faults"), 3)]
    return {int(number) for found in happened if found for number in found[0].split(", ")}


def test_every_fault_of_tools_runs_clouds_serving_data_clean_and_secrets_has_its_row() -> None:
    runs, clouds, serving = {*range(26, 37), 39, 40}, {*range(41, 54)}, {*range(54, 63)}
    assert numbered() == {*range(17, 23), *runs, *clouds, *serving, *range(72, 76), *range(76, 82)}


def test_every_row_of_a_fault_has_a_test_that_bears_its_number() -> None:
    named = {int(number) for path in (ROOT / "tests").rglob("test_*.py") for number in FAULT.findall(path.read_text())}
    assert numbered() <= named


def test_the_functions_of_a_cluster_are_those_that_stages_call() -> None:
    listed = [name.strip("`") for name, _ in rows(text_of("adding-a-cluster"), 2)]
    assert listed == list(Cluster.__annotations__)


def test_the_exit_codes_are_those_of_the_code() -> None:
    listed = {int(code) for codes, _ in rows(text_of("faults"), 2) for code in codes.split(", ")}
    terminated = 128 + signal.SIGTERM
    known = {errors.DONE, errors.FAILED, errors.MISTAKE, errors.UNFIT, errors.LOCKED, errors.INTERRUPTED, terminated}
    assert listed == known
