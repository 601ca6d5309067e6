"""The page in a real browser without JavaScript: links and forms do it all; and what no script changes."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from tests.web_ui.browsing import MARKS
from tests.web_ui.conftest import Ui, free_port, publish, running_ui
from tests.web_ui.model_server import Behaviour, serve
from webui.png import data_uri

pytestmark = MARKS
STAND_IN = 1763800000  # a version trained on the stand-in data set


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile with JavaScript off: nothing here may need it."""
    made = browser.new_context(java_script_enabled=False)
    yield made
    made.close()


def picture(content: bytes = b"") -> FilePayload:
    """A file to choose: the bytes given, or a PNG of a grey bar on black."""
    bar = bytes(200 if 8 < at % 28 < 14 and 84 < at < 700 else 0 for at in range(784))
    return {
        "name": "one.png",
        "mimeType": "image/png",
        "buffer": content or base64.b64decode(data_uri(bar).partition(",")[2]),
    }


@dataclass
class Stack:
    """One UI and one model server for all tests of this file, and a port that is allowed and dead."""

    ui: Ui
    behaviour: Behaviour
    model_port: int
    dead_port: int


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder, behaviour, dead = tmp_path_factory.mktemp("browser"), Behaviour(), free_port()
    publish(folder / "export", STAND_IN, stand_in=True)
    publish(folder / "export", Behaviour.version)
    server, port = serve(behaviour)
    with running_ui(
        folder / "ui.log",
        MODEL_SERVER_ADDRESS="127.0.0.1",
        MODEL_SERVER_PORT=port,
        MODEL_BASE_PATH=folder / "export",
        ALLOWED_MODEL_SERVERS=f"127.0.0.1:{port},127.0.0.1:{dead}",
    ) as ui:
        yield Stack(ui, behaviour, port, dead)
    server.stop(0).wait()


@pytest.fixture
def behaviour(stack: Stack) -> Behaviour:
    """The model server's behaviour, as it was at first."""
    vars(stack.behaviour).update(vars(Behaviour()))
    return stack.behaviour


@pytest.fixture
def page(context: BrowserContext, stack: Stack, behaviour: Behaviour) -> Page:
    """The page as it opens."""
    opened = context.new_page()
    opened.goto(stack.ui.url)
    return opened


def test_the_page_opens_connected_with_a_prediction(page: Page, stack: Stack) -> None:
    expect(page.get_by_label("Model name")).to_have_value("mnist")
    expect(page.get_by_label("Server address")).to_have_value("127.0.0.1")
    expect(page.get_by_label("Port")).to_have_value(str(stack.model_port))
    expect(page.locator("#connection")).to_contain_text("model version 1763900000")
    expect(page.locator("#prediction")).to_have_text("7")
    expect(page.locator(".shares").get_by_role("row")).to_have_count(11)  # ten digits below a heading


def test_connect_asks_the_server_again(page: Page, behaviour: Behaviour) -> None:
    behaviour.digit, behaviour.version = 2, 1763900001
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#prediction")).to_have_text("2")
    expect(page.locator("#version")).to_have_text("1763900001")


def test_the_image_is_shown_large_and_with_sharp_pixels(page: Page) -> None:
    image = page.get_by_role("img", name="A handwritten")
    box = image.bounding_box()
    assert box
    assert (box["width"], box["height"]) == (224, 224)
    assert image.evaluate("image => [image.naturalWidth, getComputedStyle(image).imageRendering]") == [
        28,
        "pixelated",
    ]


def test_a_wrong_port_is_said_and_put_right_in_the_form(page: Page, stack: Stack) -> None:
    page.get_by_label("Port").fill(str(stack.dead_port))
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text(f"No model server answers at 127.0.0.1:{stack.dead_port}")
    expect(page.get_by_label("Port")).to_have_value(str(stack.dead_port))
    page.get_by_label("Port").fill(str(stack.model_port))
    page.get_by_label("Port").press("Enter")
    expect(page.locator("#connection")).to_contain_text("Connected")


def test_another_host_is_refused(page: Page) -> None:
    page.get_by_label("Server address").fill("169.254.169.254")
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_role("alert")).to_contain_text("may not connect to 169.254.169.254")
    expect(page.get_by_label("Server address")).to_have_attribute("aria-invalid", "true")


def test_another_image_is_another_image(page: Page) -> None:
    heading = page.get_by_role("heading", name="Test image")
    for _ in range(5):
        before = heading.inner_text()
        page.get_by_role("link", name="Another image").click()
        expect(heading).not_to_have_text(before)
        expect(page.locator("#prediction")).to_be_visible()


def test_trying_again_works_when_the_server_is_well_again(page: Page, behaviour: Behaviour) -> None:
    behaviour.raw = b"\xff"
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("No prediction.")
    behaviour.raw = None
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#connection")).to_contain_text("Connected")


def test_everything_is_reached_by_keyboard_in_reading_order(page: Page) -> None:
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert order == ["name", "addr", "port", "Connect", "another", "file", "Upload", "card-1763900000"]
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("card=1763900000#model$"))


def test_a_picture_is_uploaded_by_the_form_alone(page: Page) -> None:
    page.get_by_label("One digit as PNG or JPEG").set_input_files(picture())
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Your picture")).to_be_visible()
    expect(page.locator("#prediction")).to_have_text("7")
    page.get_by_role("link", name="A test image").click()
    expect(page.get_by_role("heading", name="Test image")).to_be_visible()


def test_a_file_that_is_no_picture_is_refused_by_a_page(page: Page) -> None:
    page.get_by_label("One digit as PNG or JPEG").set_input_files(picture(b"GIF89a"))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("JPEG")
    expect(page.get_by_label("One digit as PNG or JPEG")).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("more", [1, 100_000], ids=["just", "far"])
def test_a_file_that_is_too_large_is_refused_by_a_page(page: Page, more: int) -> None:
    page.get_by_label("One digit as PNG or JPEG").set_input_files(picture(bytes(1_048_576 + more)))
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("main")).to_contain_text(re.compile("at most|more than|large", re.IGNORECASE))


def test_two_versions_are_compared_and_each_has_its_card_behind_a_link(page: Page, behaviour: Behaviour) -> None:
    behaviour.versions = (1763900000, STAND_IN)
    page.wait_for_timeout(1100)  # which versions there are is remembered for a second
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#opinions tbody tr")).to_have_count(2)
    page.get_by_role("link", name=str(STAND_IN)).click()
    expect(page.get_by_role("heading", name="Model card")).to_contain_text(str(STAND_IN))


@pytest.mark.parametrize("path", ["/", "/?port=x", "/?name=" + "w" * 120, "/nope"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_320_pixels_wide_needs_no_sideways_scrolling(
    browser: Browser, stack: Stack, path: str, scheme: str
) -> None:
    with browser.new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(stack.ui.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_text_at_twice_the_size_still_fits(browser: Browser, stack: Stack) -> None:
    with browser.new_context(viewport={"width": 640, "height": 640}) as context:
        page = context.new_page()
        page.goto(stack.ui.url)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") == 640


def contrast(page: Page, selector: str) -> float:
    """The contrast of an element's text with what is behind it (WCAG 2.2, relative luminance)."""
    return page.locator(selector).first.evaluate("""element => {
        const luminance = color => {
            const [r, g, b] = color.match(/[\\d.]+/g).map(value => value / 255)
                .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        let behind = element;
        while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
        const [low, high] = [luminance(getComputedStyle(element).color),
                             luminance(getComputedStyle(behind).backgroundColor)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    }""")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(browser: Browser, stack: Stack, behaviour: Behaviour, scheme: str) -> None:
    behaviour.version = STAND_IN
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(stack.ui.url)
        shown = ["header p", "label", "button", ".good strong", ".banner", "dt", "#verdict", "#prediction"]
        shown += [".figure", ".chosen .figure", "tbody th", "caption", ".button", "h2 small", "input"]
        low = {selector: contrast(page, selector) for selector in shown}
        page.goto(f"{stack.ui.url}/?port=x")
        low |= {selector: contrast(page, selector) for selector in [".bad", ".bad strong"]}
    assert {selector: ratio for selector, ratio in low.items() if ratio < 4.5} == {}


def test_the_policy_blocks_nothing_that_the_page_uses(browser: Browser, stack: Stack) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto(stack.ui.url, wait_until="networkidle")
    assert complaints == []


def test_markup_in_the_form_stays_text(page: Page) -> None:
    page.get_by_label("Model name").fill('"><img src=x onerror=alert(1)>')
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_label("Model name")).to_have_value('"><img src=x onerror=alert(1)>')
    expect(page.locator("img")).to_have_count(0)
