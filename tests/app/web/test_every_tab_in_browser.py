"""All tabs in a browser, in both languages, wide and narrow: faults of access, words, the queue."""

import os
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from app_helpers import ROOT
from page_visitor import Visitor, opened

from visualize_pd import METHODS
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.attribution.methods import TITLES
from visualize_pd.core.checks import options_of
from visualize_pd.models.config import ModelConfig

AXE = "axe-core@4.14.1"
TABS = [("Explain", "解释"), ("Generate", "生成"), ("Network", "网络"), ("Measure", "评估")]
SIZES = {"wide": (1240, 900), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def page():
    photo = str(ROOT / "content/images/tiger_cat.jpg")
    model = ModelConfig(name="tiny:small_net", image_size=32)
    page, address = opened(ExplainConfig(images=photo, compare=["grad_cam"], model=model))
    yield page, address
    page.close()


@pytest.fixture(scope="module", autouse=True)
def visit(browser, page):
    browser.get(page[1])
    wait(browser, "document.querySelector('#samples button')")


@pytest.fixture(scope="module")
def axe(request):
    """The source of axe-core: the file that AXE_CORE names, or else that of npm, fetched once."""
    if "AXE_CORE" in os.environ:
        return Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8")
    kept = request.config.cache.mkdir("axe") / f"{AXE}.js"
    if not kept.is_file():
        reason = "needs axe-core: name its axe.min.js in AXE_CORE, or install npm"
        npm, folder = shutil.which("npm"), kept.parent
        command = [npm, "pack", AXE, "--silent"]
        try:
            done = subprocess.run(command, cwd=folder, timeout=60, capture_output=True, check=True)
        except (TypeError, OSError, subprocess.SubprocessError):
            pytest.skip(reason)
        archive = folder / done.stdout.decode().split()[-1]
        with tarfile.open(archive) as files:
            kept.write_bytes(files.extractfile("package/axe.min.js").read())
        archive.unlink()
    return kept.read_text(encoding="utf-8")


def wait(browser, script, seconds=30):
    """Wait until an expression in the browser is true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = browser.execute_script(f"return {script}")
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true: {script}")


def press(browser, selector, number=0):
    wait(browser, f"document.querySelectorAll('{selector}')[{number}]")
    browser.execute_script(f"document.querySelectorAll('{selector}')[{number}].click()")


def enter(browser, selector, value):
    """Put a number into a box, as a person does."""
    browser.execute_script(
        "const box = document.querySelector(arguments[0]); box.value = arguments[1];"
        "box.dispatchEvent(new Event('input', {bubbles: true}));"
        "box.dispatchEvent(new Event('change', {bubbles: true})); box.blur();",
        f"{selector} input[type=number]",
        value,
    )


def speak(browser, language):
    press(browser, "#language input", language)
    wait(browser, f"document.documentElement.lang === '{['en', 'zh'][language]}'")
    wait(
        browser, f"document.querySelector('button[role=tab]').textContent == '{TABS[0][language]}'"
    )


def go(browser, tab):
    """Open a tab by a click on a place that a person can see."""
    browser.find_elements("css selector", "button[role=tab]")[tab].click()


@pytest.fixture(scope="module")
def filled(browser, visit):
    """Something to see on every tab."""
    press(browser, "#samples button")
    wait(browser, "document.querySelector('#maps h2')")
    press(browser, ".guess .other:not([disabled])")
    press(browser, "#options button")
    wait(browser, "document.querySelector('#maps h2').textContent.includes('rather than')")
    press(browser, "#download")
    wait(browser, "document.querySelector('#files a')")
    go(browser, 1)
    press(browser, "#objective input", 1)
    wait(browser, "document.querySelector('#show_channels')")
    enter(browser, "#steps", 2)
    press(browser, "#show_channels")
    wait(browser, "document.querySelector('#channels .made')")
    press(browser, "#make")
    wait(browser, "document.querySelector('#making .film')")
    press(browser, "#make_files")
    wait(browser, "document.querySelector('#made a')")
    go(browser, 2)
    press(browser, "#layers button[data-layer]")
    wait(browser, "document.querySelectorAll('#seen .made').length")
    go(browser, 3)
    wait(browser, "document.querySelector('#points input')")
    enter(browser, "#points", 5)
    press(browser, "#measure")
    wait(browser, "document.querySelector('#curves .firsts')")
    return browser


def resize(browser, size):
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


LOOKS = [("wide", 0), ("wide", 1), ("narrow", 0), ("narrow", 1), ("dark", 0)]


@pytest.mark.parametrize(("look", "language"), LOOKS)
def test_no_fault_of_access(filled, axe, look, language):
    speak(filled, language)
    resize(filled, "narrow" if look == "narrow" else "wide")
    filled.execute_script(f"document.body.classList.toggle('dark', {str(look == 'dark').lower()})")
    filled.execute_script(axe)
    for number, names in enumerate(TABS):
        go(filled, number)
        wait(
            filled,
            f"document.querySelector('[aria-selected=true]').textContent == '{names[language]}'",
        )
        found = filled.execute_async_script(
            "axe.run({resultTypes: ['violations']}).then((each) => arguments[0](each.violations))"
        )
        faults = [(each["id"], each["nodes"][0]["html"][:200]) for each in found]
        assert faults == [], names[0]
        wide = filled.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, names[0]  # nothing has to be scrolled sideways


SEEN = """
const found = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
while (walker.nextNode()) {
  const node = walker.currentNode;
  if (node.nodeType === Node.TEXT_NODE && !node.parentElement.closest('script, style'))
    found.add(node.data.trim());
  if (node.nodeType === Node.ELEMENT_NODE)
    for (const part of ['aria-label', 'title', 'placeholder', 'alt'])
      found.add((node.getAttribute(part) || '').trim());
}
return [...found];
"""
FILE = r"visualize-pd (explain|generate) --config|\S+\.(yaml|zip|jpg|npy|gif|png)"


def test_chinese_page_has_no_english_words(filled, page):
    """Names may stay: of classes, methods, options and their values, layers, files, commands."""
    speak(filled, 1)
    names = {"visualize_pd", "English", "Language", "class", "CAM", "zip", "small_net", "tiny"}
    names |= {*TITLES.values(), *METHODS}
    names |= {option for method in METHODS.values() for option in options_of(method)}
    names |= {"logit", "Sequential", "Conv2D", "BatchNorm2D", "ReLU", "Linear", "Flatten"}
    names |= {"AdaptiveAvgPool2D", "viridis", "jet", "grey", "diverging"}
    words = {word for name in names for word in re.findall(r"[A-Za-z]+", name)}
    for text in filled.execute_script(SEEN):
        rest = {*re.findall(r"[A-Za-z]{2,}", re.sub(FILE, "", text))} - words
        assert not rest, (text, rest)


def test_keyboard_reaches_everything(filled):
    from selenium.webdriver import ActionChains, Keys

    speak(filled, 0)
    resize(filled, "wide")
    go(filled, 0)
    reached, chain = set(), ActionChains(filled)
    filled.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    script = "return document.activeElement.closest('[id]:not([id^=html])')?.id || ''"
    for _ in range(60):
        chain.send_keys(Keys.TAB).perform()
        reached.add(filled.execute_script(script))
    wanted = {"upload", "samples", "guesses", "search", "methods", "run", "stop", "maps"}
    wanted |= {"opacity", "colours", "side", "uncover", "options", "download", "files", "language"}
    assert wanted <= reached


def test_place_in_the_queue_is_shown_and_stop_leaves_it(browser, page):
    """One person makes a long run. Another one waits, sees it in Chinese, and goes away."""
    first = Visitor(*page)
    run = first.do("make", "click", wait=False, make_class=1, steps=1000)
    speak(browser, 1)
    go(browser, 0)
    press(browser, "#samples button")
    wait(browser, "document.querySelector('#maps').innerText.includes('排队')")
    assert "排队：1/1" in browser.find_element("css selector", "#maps").text
    press(browser, "#stop")
    wait(browser, "!document.querySelector('#maps').innerText.includes('排队')", 3)
    go(browser, 1)
    press(browser, "#make")
    wait(browser, "document.querySelector('#making').innerText.includes('排队')")
    press(browser, "#make_stop")
    wait(browser, "!document.querySelector('#making').innerText.includes('排队')", 3)
    first.do("make_stop", "click", wait=False)
    view, _ = first.result(run)
    assert "stopped at step" in view  # it had not ended before
    go(browser, 0)
    press(browser, "#samples button")  # nothing of this person hangs in the queue
    wait(browser, "document.querySelector('#maps h2').textContent.startsWith('为什么是')")
