"""Command lines against a table of flags: unknown ones are refused, as the real tools refuse them."""

from __future__ import annotations


class Bad(Exception):
    """An argv that the real tool would refuse too, or that the stand-in does not know; said like the real one."""


class Options:
    """Flags with their values, and the words that are none."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.words: list[str] = []

    def one(self, name: str, default: str = "") -> str:
        """The flag's last value."""
        return self.values.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def has(self, name: str) -> bool:
        return name in self.values


def parse(argv: list[str], valued: str, switches: str = "", short: str = "", stop: int | None = None) -> Options:
    """Split argv by the flags of a command, each list a text of names; a switch may be given as `--x` or `--x=…`.

    `short` pairs one-letter flags with their long names: `n=namespace f=filename`. From the word number `stop` on,
    everything is a word. Raises Bad("unknown flag: --x").
    """
    takes, alone = set(valued.split()), set(switches.split())
    longer = dict(pair.split("=") for pair in short.split())
    options, left = Options(), list(argv)
    while left:
        word = left.pop(0)
        if stop is not None and len(options.words) > stop:
            options.words += [word, *left]
            break
        if word == "--":
            options.words += left
            break
        if not word.startswith("-") or word == "-":
            options.words.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name, equals, value = spelled(word, longer)
        if name in takes and not equals:
            if not left:
                raise Bad(f"flag needs an argument: --{name}")
            value = left.pop(0)
        elif name in alone and not equals:
            value = "true"
        elif name not in takes | alone:
            raise Bad(
                f"unknown flag: --{name}" if word.startswith("--") else f"unknown shorthand flag: '{word[1]}' in {word}"
            )
        options.values.setdefault(name, []).append(value)
    return options


def spelled(word: str, longer: dict[str, str]) -> tuple[str, str, str]:
    """`-n=x`, `-nx` and `-n` as the long flag, whether a value came with it, and the value."""
    name, rest = longer.get(word[1:2], ""), word[2:]
    return name, rest[:1], rest.removeprefix("=")
