"""What a reader's browser meets on every page of the site."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# Those in the navigation: the strict build refuses a page that is not.
NAVIGATION = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
PAGES = sorted(re.findall(r"^ +- (?:[^#\n]*: )?(\S+)\.md$", NAVIGATION, re.MULTILINE))
PHONE = 390  # CSS pixels: the width of most phones
SCHEMES = ("light", "dark")


def url_path(page: str) -> str:
    """MkDocs puts every page but an index into a folder of its name."""
    return page.removesuffix("index") if page.endswith("index") else f"{page}/"


@pytest.fixture(scope="module", params=PAGES)
def page(request, browser, address):
    """One page, opened in the browser, with what its opening logged."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # empties it
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(f"{address}/{url_path(request.param)}")
    browser.log_of_page = {kind: browser.get_log(kind) for kind in ("browser", "performance")}
    browser.name_of_page = request.param
    return browser


def test_no_request_leaves_the_machine(page, address):
    messages = [
        json.loads(entry["message"])["message"] for entry in page.log_of_page["performance"]
    ]
    requested = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert f"{address}/{url_path(page.name_of_page)}" in requested
    # chrome: is the empty tab that the browser begins with.
    here = (f"{address}/", "data:", "blob:", "chrome:")
    foreign = [url for url in requested if not url.startswith(here)]
    assert foreign == []


def test_the_console_is_silent(page):
    assert page.log_of_page["browser"] == []


def test_formulas_are_drawn(page):
    source = DOCS / f"{page.name_of_page}.md"
    written = page.execute_script("return document.querySelectorAll('.arithmatex').length")
    if source.exists() and "$$" in source.read_text():
        assert written
    sizes = page.execute_script(
        "return [...document.querySelectorAll('.arithmatex .katex-html')].map(e => {"
        "const box = e.getBoundingClientRect(); return [box.width, box.height]})"
    )
    assert len(sizes) == written
    assert all(width > 4 and height > 6 for width, height in sizes), sizes
    if written:
        fonts = page.execute_script("return [...document.fonts].map(f => [f.family, f.status])")
        assert ["KaTeX_Math", "loaded"] in fonts
        assert [family for family, status in fonts if status == "error"] == []


def test_every_picture_is_there(page):
    broken = page.execute_script(
        "return [...document.images].filter(e => !(e.complete && e.naturalWidth)).map(e => e.src)"
    )
    assert broken == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_phone_shows_the_whole_width(page, scheme):
    show(page, scheme, PHONE)
    wide = page.execute_script(
        "const width = document.documentElement.clientWidth;"
        "if (document.documentElement.scrollWidth <= width) return [];"
        "return [...document.querySelectorAll('.md-content *')]"
        ".filter(e => e.getBoundingClientRect().right > width + 1)"
        ".map(e => e.outerHTML.slice(0, 200))"
    )
    assert page.execute_script("return document.documentElement.clientWidth") == PHONE
    assert page.execute_script("return document.documentElement.scrollWidth") == PHONE, wide


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_ground(page, scheme):
    show(page, scheme, 1280)
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in background.split("(")[1].rstrip(")").split(",")[:3])
    assert (red + green + blue > 3 * 128) == (scheme == "light"), background
    faint = page.execute_script(CONTRAST)
    assert faint == []


def show(browser, scheme, width):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width == PHONE},
    )
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


# WCAG 2.1, success criterion 1.4.3: 4.5 for text. The ground is the nearest colour that is opaque.
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgba = colour => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
const ground = element => {
  if (!element) return [255, 255, 255];
  const colour = rgba(getComputedStyle(element).backgroundColor);
  return colour[3] === 1 ? colour.slice(0, 3) : over(colour, ground(element.parentElement));
};
const luminance = colour => {
  const [r, g, b] = colour.map(c => c / 255).map(
    c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const faint = new Map();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim()) continue;
  if (element.closest('.headerlink, .md-search__output')) continue;
  if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
  const below = ground(element);
  const [one, other] = [over(rgba(getComputedStyle(element).color), below), below].map(luminance);
  const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (contrast < 4.5)
    faint.set(`${element.tagName}.${element.className}`,
              `${contrast.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 40)}`);
}
return [...faint].map(entry => entry.join(' '));
"""


class Page(HTMLParser):
    """The links and the anchors of one file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


def test_no_link_is_dead(site):
    pages = {path: Page(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) == len(PAGES) + 1  # and 404.html
    dead = []
    for path, page in pages.items():
        here = f"http://site/{path.relative_to(site).as_posix()}"
        for link in page.links:
            target, anchor = urldefrag(urljoin(here, link))
            scheme = urlsplit(link).scheme
            if path.name == "404.html" and link.startswith("/"):
                continue  # it is served for any address, and the site's own is not known here
            if scheme:
                assert scheme in ("https", "mailto", "data"), (path, link)
                continue
            file = site / unquote(urlsplit(target).path).lstrip("/")
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (anchor and unquote(anchor) not in pages[file].anchors):
                dead.append((path.relative_to(site).as_posix(), link))
    assert dead == []
