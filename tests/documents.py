"""Reads the project's pages: their fenced blocks, commands, links; and carries a worked example out in a checkout."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT, Checkout, free_ports

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "tests/fakes/README.md", *(ROOT / "docs").rglob("*.md")]
)
PORTS = ("9000", "8500", "8080", "6006", "9100", "8600", "8180", "6106")
"""Every port that the settings and the pages name for this machine; in a test each becomes a free one."""

INVOKE = re.compile(r"(?:\w+=\S+ )*(?:\./inv|invoke)((?: .*)?)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the three backticks, and the text up to the next three."""

    info: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```([^\n]*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


def spans(page: str) -> list[str]:
    """What stands between single backticks in the prose."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def anchors(page: str) -> set[str]:
    """The page's headings as GitHub makes link targets of them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def commands(page: str) -> Iterator[list[str]]:
    """The words behind `invoke` or `./inv` of every command that the page shows; `…` and `<…>` are no commands."""
    indented = [line for line in prose(page).splitlines() if line.startswith("    ")]
    fenced = [line for block in blocks(page) for line in block.text.replace("\\\n", " ").splitlines()]
    typed = [part for line in [*fenced, *indented] for part in line.removeprefix("Next:").split(" · ")]
    for line in [*typed, *spans(page)]:
        text = re.split(r" #|[;|]", line.strip().removeprefix("$ "))[0].replace("[", "").replace("]", "")
        found = INVOKE.fullmatch(text.strip())
        if found and not re.search(r"[…<]", text):
            yield shlex.split(found[1])


def is_path(span: str) -> bool:
    """Whether this looks like the path of a file or folder in the repository."""
    if not re.fullmatch(r"[\w./-]+", span) or span.startswith(("/", "-")):
        return False
    first, slash, _ = span.partition("/")
    here = {path.name for path in ROOT.iterdir()} - {"build", ".venv"}
    return first in here if slash else bool(re.search(r"\.(py|md|toml|txt|j2|ya?ml)$", span))


class Example:
    """A page's worked example in a checkout: writes its files, makes its changes, runs its commands."""

    def __init__(self, checkout: Checkout) -> None:
        self.root = checkout.root
        self.env = checkout.env()
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        for path in (self.root / "config").iterdir():
            path.write_text(self.moved(path.read_text()))
        shutil.copytree(ROOT / "tests", self.root / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ROOT / "pyproject.toml", self.root)

    def moved(self, text: str) -> str:
        """The same text with this test's ports in place of the page's."""
        return re.sub(rf"\b({'|'.join(PORTS)})\b", lambda found: self.ports[found[1]], text)

    def carry_out(self, block: Block) -> None:
        """Do what a block's info string says; a block without one is only shown."""
        text = self.moved(block.text)
        match block.info.split():
            case ["console"]:
                self.run(text, 0)
            case ["console", code]:
                self.run(text, int(code.removeprefix("exit=")))
            case ["sh"]:
                pass  # only shown, and read as commands elsewhere
            case ["diff", path]:
                self.change(self.root / path, text)
            case [_, path, "append"]:
                with (self.root / path).open("a") as file:
                    file.write(text)
            case [_, path]:
                self.write(self.root / path, text)
            case _:
                raise AssertionError(f"the block says neither a file nor a command: {block.info!r}")

    def write(self, path: Path, text: str) -> None:
        assert not path.exists(), f"{path} is there already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def change(self, path: Path, diff: str) -> None:
        """Put the lines marked + in place of those marked -; unmarked ones say where."""
        lines, there = diff.splitlines(keepends=True), path.read_text()
        old, new = ("".join(line[1:] for line in lines if line[0] != mark) for mark in "+-")
        assert there.count(old) == 1, f"{path.name} does not hold this once:\n{old}"
        path.write_text(there.replace(old, new))

    def run(self, text: str, code: int) -> None:
        """Run each command of a console block and compare what it prints."""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            program, *words = shlex.split(command)
            argv = [sys.executable, *(["-m", "invoke"] if program == "invoke" else []), *words]
            done = subprocess.run(
                argv, cwd=self.root, env=self.env, text=True, timeout=120, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert done.returncode == code, f"{command} ended with {done.returncode}, not {code}:\n{done.stdout}"
            assert agrees(done.stdout, expected), f"{command} printed\n{done.stdout}\nwhere the page says\n{expected}"


def agrees(printed: str, expected: str) -> bool:
    """Whether the output is the expected one: a line `…` is any lines, `…` in a line any text, spaces are one."""
    wanted = "".join(
        r"(.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in tidy(expected)
    )
    return bool(re.fullmatch(wanted, "".join(f"{line}\n" for line in tidy(printed))))


def tidy(text: str) -> list[str]:
    """Lines without blanks at their ends, with single spaces inside, and no empty ones around the text."""
    return [re.sub(r"(?<=\S) +", " ", line.rstrip()) for line in text.strip("\n").splitlines()]
