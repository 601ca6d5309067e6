"""A model card on a page: facts, and one table that can be read by eye, by keyboard and by a screen reader."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, sync_playwright

from damage import VALUES, paths, replaced
from tests.web_ui.browsing import CHROMIUM, QUIET
from tests.web_ui.conftest import WEB_UI
from tests.web_ui.test_cards import WHOLE, card
from webui import create_app
from webui.card import Card, read_card
from webui.cards import Cards
from webui.settings import Settings
from webui.storage import Folder

MACRO = create_app(settings=Settings()).jinja_env.get_template("card.html").module
STATIC = WEB_UI / "webui" / "static"
STYLE = "".join((STATIC / name).read_text() for name in ("style.css", "result.css", "card.css"))
VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Every element with its attributes and the text in it, and whether each one was closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for at in self._open:
            self.elements[at][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[str]:
        """The texts of the elements with that tag and those attributes, blanks trimmed."""
        found = [each for each in self.elements if each[0] == tag and attributes.items() <= each[1].items()]
        return [" ".join("".join(text).split()) for _, _, text in found]

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def html(made: Card, **values: str) -> str:
    return str(MACRO.model_card(made, **values))


@pytest.fixture(scope="module")
def trained(version: Path) -> Card:
    """The card of a version that was really trained, for a moment."""
    made = Cards(Folder(version.parent)).card(int(version.name))
    assert made
    return made


def facts(outline: Outline) -> dict[str, str]:
    return dict(zip(outline.all("dt"), outline.all("dd"), strict=True))


def test_the_facts_of_a_trained_version_are_terms_with_values(trained: Card) -> None:
    told = facts(Outline(html(trained)))
    assert told["Version"] == trained.tag
    assert told["Data"] == "scikit-learn’s digits, the stand-in for MNIST"
    assert told["Images"] == "1,438 to learn from, 359 to test with"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", told["Trained"])
    assert re.fullmatch(r"\d+\.\d\d %", told["Test accuracy"])
    assert re.fullmatch(r"\w+, [\d,]+ parameters", told["Network"])
    assert told["Train steps"] == "60"


def test_the_table_of_a_trained_version_has_a_row_for_each_digit_and_a_column_for_each_answer(trained: Card) -> None:
    outline = Outline(html(trained))
    assert outline.all("th", scope="col") == ["True", *(f"read as {digit}" for digit in range(10)), "Right"]
    assert outline.all("th", scope="row") == [str(digit) for digit in range(10)]
    assert outline.all("table") and len(outline.all("caption")) == 1
    numbers = [re.sub("^·", "", text) for text in outline.all("td") if "%" not in text]
    assert numbers == [str(count) for row in trained.confusion_matrix or () for count in row]
    assert len([text for text in outline.all("td") if text.endswith(" %")]) == 10


def test_a_cell_with_nothing_is_a_quiet_dot_that_is_read_as_zero() -> None:
    outline = Outline(html(card()))
    assert outline.all("span", **{"aria-hidden": "true"}) == ["·"] * 80
    assert outline.all("span", **{"class": "unseen"}).count("0") == 80


def test_the_diagonal_and_the_shades_are_classes_and_nothing_is_styled_inline() -> None:
    outline = Outline(html(card()))
    assert outline.all("td", **{"class": "heat-9 right"}) == ["95"] * 10
    assert outline.all("td", **{"class": "heat-5"}) == ["5"] * 10
    assert all("style" not in attributes for _, attributes, _ in outline.elements)


def test_the_table_is_in_a_region_that_is_named_and_can_be_focused() -> None:
    outline = Outline(html(card(), id="card-7"))
    (region,) = [each for each in outline.attributes("div") if each.get("role") == "region"]
    (caption,) = outline.attributes("caption")
    assert (region["tabindex"], region["aria-labelledby"]) == ("0", caption["id"])
    assert caption["id"] == "card-7-table"


def test_two_cards_on_a_page_have_ids_of_their_own() -> None:
    outline = Outline(html(card(), id="a") + html(card(), id="b"))
    ids = [attributes["id"] for _, attributes, _ in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize(
    ("missing", "columns"),
    [("metrics.confusion_matrix", ["True", "Right"]),
     ("metrics.per_class_accuracy", ["True", *(f"read as {digit}" for digit in range(10))])],
)  # fmt: skip
def test_half_a_table_is_a_table_of_that_half(missing: str, columns: list[str]) -> None:
    assert Outline(html(card(replaced(WHOLE, tuple(missing.split(".")), ...)))).all("th", scope="col") == columns


def test_a_card_that_tells_nothing_is_an_empty_list_without_a_table() -> None:
    outline = Outline(html(Card()))
    assert (outline.all("dt"), outline.all("table")) == ([], [])


def test_a_version_that_was_served_by_force_says_so() -> None:
    told = facts(Outline(html(dataclasses.replace(card(), forced="its test accuracy 0.5 is low"))))
    assert told["Served all the same"] == "its test accuracy 0.5 is low"


def test_fault_64_markup_in_a_card_stays_text() -> None:
    evil = "\"><script>alert(1)</script>{{ 7*7 }}' onload=x"
    record = replaced(replaced(WHOLE, ("model",), evil), ("dataset", "name"), evil)
    page = html(card(replaced(record, ("settings", "optimizer"), evil)))
    assert "<script" not in page
    assert facts(Outline(page))["Optimizer"] == evil


@limits(max_examples=150)
@given(st.sampled_from(list(paths(WHOLE))), VALUES | st.just(...))
def test_whatever_a_card_holds_the_markup_is_whole(path: tuple[str, ...], value: object) -> None:
    made = read_card(replaced(WHOLE, path, value))
    if made:
        Outline(html(made))


# Colours


def variables(css: str) -> dict[str, str]:
    return dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", css))


def schemes() -> dict[str, dict[str, str]]:
    """The variables of both sheets by colour scheme; dark ones are those of light, overridden."""
    blocks = re.findall(r"@media \(prefers-color-scheme: dark\) \{\n  :root \{(.*?)\}\n\}", STYLE, re.DOTALL)
    light = variables(re.sub(r"@media \(prefers-color-scheme: dark\).*?\n\}", "", STYLE, flags=re.DOTALL))
    return {"light": light, "dark": light | variables("".join(blocks))}


def rgb(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def mixed(hot: str, cold: str, share: float) -> list[float]:
    """CSS Color 5: `color-mix(in srgb, hot share, cold)`."""
    return [share * a + (1 - share) * b for a, b in zip(rgb(hot), rgb(cold), strict=True)]


def luminance(color: list[float]) -> float:
    """WCAG 2.2, relative luminance of sRGB values 0 to 1."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


SHARES = {int(heat): int(share) / 100 for heat, share in re.findall(r"\.heat-(\d) \{.*?var\(--heat\) (\d+)%", STYLE)}


def test_every_heat_has_a_shade_and_each_is_deeper_than_the_one_before() -> None:
    assert list(SHARES) == list(range(1, 10))
    assert list(SHARES.values()) == sorted(set(SHARES.values()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("hue", ["--heat-right", "--heat-wrong"])
def test_the_number_on_every_shade_has_the_contrast_of_wcag_aa(scheme: str, hue: str) -> None:
    colors = schemes()[scheme]
    behind = {heat: mixed(colors[hue], colors["--card"], share) for heat, share in SHARES.items()}
    assert {heat: at for heat, shade in behind.items() if (at := contrast(rgb(colors["--ink"]), shade)) < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_headings_and_dots_have_the_contrast_of_wcag_aa(scheme: str) -> None:
    colors = schemes()[scheme]
    assert contrast(rgb(colors["--quiet"]), rgb(colors["--card"])) >= 4.5


# In a browser

chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *root])
        yield launched
        launched.close()


def show(browser: Browser, made: Card, **context: object) -> Page:
    page = browser.new_context(**context).new_page()
    page.set_content(
        f'<!doctype html><html lang="en"><head><title>Card</title><style>{STYLE}</style></head><body><main>'
        f'<h1>Card</h1><section class="card" aria-label="Model card">{html(made)}</section></main></body></html>'
    )
    return page


@pytest.mark.browser
@chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_screen_320_pixels_wide_the_table_alone_scrolls(browser: Browser, scheme: str) -> None:
    page = show(browser, card(), viewport={"width": 320, "height": 640}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    region = page.get_by_role("region", name="Test images by true digit")
    assert region.evaluate("region => region.scrollWidth > region.clientWidth")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")
    caption = page.locator("caption span").bounding_box()
    assert caption
    assert caption["x"] >= 0
    assert caption["x"] + caption["width"] <= 320
    page.context.close()


@pytest.mark.browser
@chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_axe_finds_nothing_to_complain_of(browser: Browser, trained: Card, scheme: str, forced: str) -> None:
    page = show(browser, trained, color_scheme=scheme, forced_colors=forced)
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    page.context.close()
