"""Takes the pictures of the web UI in README and docs: python docs/make_screenshot.py [address], after `invoke all`."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")  # fmt: skip
LAPTOP, PHONE = {"width": 1280, "height": 812}, {"width": 390, "height": 844}
SEVEN = ((0.3, 0.26), (0.4, 0.245), (0.55, 0.24), (0.66, 0.235), (0.7, 0.24), (0.705, 0.255), (0.68, 0.31),
         (0.63, 0.4), (0.59, 0.48), (0.555, 0.56), (0.525, 0.64), (0.5, 0.72), (0.48, 0.8))  # fmt: skip
"""A 7 in one stroke, in shares of the board's sides."""

BOX = "board => (({x, y, width}) => [x, y, width])(board.getBoundingClientRect())"


def main(address: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium was found: on Debian, apt-get install chromium")
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*QUIET, *root])
        take(browser, address, "ui", viewport=LAPTOP)
        take(browser, address, "ui-dark", viewport=LAPTOP, color_scheme="dark")
        take(browser, address, "ui-phone", viewport=PHONE, has_touch=True, is_mobile=True)
        browser.close()


def take(browser: Browser, address: str, name: str, **options: object) -> None:
    """Draw a 7 on the page and save what the screen shows: no model card, which tells this machine's paths."""
    context = browser.new_context(device_scale_factor=1.5, reduced_motion="reduce", **options)
    page = context.new_page()
    page.goto(address)
    draw(page)
    if "is_mobile" not in options:
        page.evaluate("scrollTo(0, 0)")
    page.evaluate("document.fonts.ready")
    target = Path(__file__).parent / f"{name}.png"
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.convert("RGB").quantize(256).save(target, optimize=True)  # a third of the bytes, and the eye sees no other
    print(f"{target}: {target.stat().st_size:,} bytes")
    context.close()


def draw(page: Page) -> None:
    """Draw a 7 with the mouse, and wait until the page has answered and looks at nothing else."""
    page.locator("#try").evaluate("part => part.scrollIntoView()")
    left, top, side = page.locator("#canvas").evaluate(BOX)
    for at, (x, y) in enumerate(SEVEN):
        page.mouse.move(left + x * side, top + y * side)
        if not at:
            page.mouse.down()
    page.mouse.up()
    page.mouse.move(0, 0)
    page.locator("#guess b").wait_for()
    page.wait_for_timeout(1000)  # the last of the drawing is asked within 150 ms


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
