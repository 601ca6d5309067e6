"""Chromium for the browser's tests: how it starts, what of its console is a complaint, and how a hand draws."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium"),
]
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP, PHONE, NARROW = ({"width": w, "height": h} for w, h in ((1280, 800), (390, 844), (320, 640)))

SEVEN = (((0.3, 0.25), (0.5, 0.24), (0.7, 0.24), (0.62, 0.42), (0.54, 0.6), (0.47, 0.8)),)
"""A 7 in one stroke: points as shares of the board's width and height."""

FOUR = (
    ((0.37, 0.2), (0.34, 0.36), (0.34, 0.52), (0.5, 0.52), (0.7, 0.5)),
    ((0.62, 0.2), (0.61, 0.4), (0.6, 0.6), (0.59, 0.8)),
)
"""A 4 in two strokes."""

expect.set_options(timeout=15_000)  # Playwright's own 5 s are little on a machine that tests with every core

Strokes = tuple[tuple[tuple[float, float], ...], ...]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *root])
        yield launched
        launched.close()


def complaints_of(page: Page, unreachable: bool = False) -> list[str]:
    """A list that fills with what the console says and what crashes: the policy's violations, errors, lost files.

    A problem is a page with a status of its own, which Chromium's console notes as a failure to load: that is none
    here, unless it is a file. `unreachable`: the test takes the page's own server away.
    """
    found: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        refused = message.text.startswith("Failed to load resource: net::ERR") and unreachable
        if not refused and "the server responded with a status of" not in message.text:
            found.append(message.text)

    def answered(response: Response) -> None:
        if response.status >= 400 and urlsplit(response.url).path.startswith("/static/"):
            found.append(f"{response.status} {response.url}")

    page.on("console", heard)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("response", answered)
    return found


def place(canvas: Locator, point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the board is on the screen."""
    box = canvas.bounding_box()
    assert box
    return box["x"] + box["width"] * point[0], box["y"] + box["height"] * point[1]


def draw(page: Page, strokes: Strokes) -> None:
    """Draw with the mouse."""
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    for first, *others in strokes:
        page.mouse.move(*place(canvas, first))
        page.mouse.down()
        for point in others:
            page.mouse.move(*place(canvas, point), steps=4)
        page.mouse.up()
