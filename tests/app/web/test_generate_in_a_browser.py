"""Generate in a real browser: the image appears, a stop keeps it, and its files come with it."""

import base64
import io
import time
import zipfile

import pytest


@pytest.fixture
def find(browser):
    """Wait for an element that fits a selector and, if given, a test; return it."""
    from selenium.common.exceptions import StaleElementReferenceException

    def wait(selector, fits=lambda element: True, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for element in browser.find_elements("css selector", selector):
                try:
                    if fits(element):
                        return element
                except StaleElementReferenceException:
                    continue
            time.sleep(0.05)
        raise AssertionError(f"no {selector}")

    return wait


def test_image_appears_and_a_stop_keeps_it(browser, find, tiny_page):
    from selenium.webdriver.common.keys import Keys

    browser.get(tiny_page[1])
    find("button[role=tab]", lambda tab: tab.text == "Generate").click()
    steps = find("#steps input[type=number]", lambda each: each.is_displayed())
    steps.send_keys(Keys.CONTROL, "a")
    steps.send_keys("1000", Keys.TAB)
    find("#make").click()
    first = find("#making img", lambda image: "step" in image.get_attribute("alt"))
    alt = first.get_attribute("alt")
    find("#making img", lambda image: image.get_attribute("alt") != alt)  # it goes on
    assert find("#making progress").get_attribute("aria-label")
    find("#make_stop").click()
    shown = find("#making img", lambda image: "stopped at step" in image.get_attribute("alt"))
    step = int(shown.get_attribute("alt").rpartition(" ")[2])
    assert 0 < step < 1000
    loaded = "return [...document.querySelectorAll('#making img')].every((i) => i.naturalWidth > 0)"
    find("#making .film img")
    assert browser.execute_script(loaded)
    find("#make_files").click()
    link = find('#made a[download$=".zip"]')
    data = base64.b64decode(link.get_attribute("href").partition(",")[2])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (state,) = [name for name in archive.namelist() if name.endswith("state.safetensors")]
        assert state.count("/") == 4
    assert find("#made pre").text.endswith("--resume")
    find("button[role=tab]", lambda tab: tab.text == "Network").click()
    layer = find("#layers button[data-layer]", lambda each: each.text == "0")
    layer.send_keys(Keys.ARROW_DOWN)  # from one layer to the next, without a mouse
    browser.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    find("#seen .card .made")
    assert "Layer 2, channels 0 to 7 of 8" in find("#seen h2").text
    assert find("#layers button[aria-pressed=true]").text == "2"
    assert browser.get_log("browser") == []
