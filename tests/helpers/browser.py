"""Chromium for tests. Where it is missing, they are skipped."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
QUIET = ("quic", "background-networking", "component-update", "sync", "gpu", "dev-shm-usage")


@contextmanager
def chromium(folder):
    """A browser in English. Its profile and its downloads, `browser.folder`, lie in a folder."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and its driver")
    from selenium import webdriver

    downloads = folder / "downloads"
    downloads.mkdir()
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    profile = f"user-data-dir={folder / 'profile'}"
    for flag in ["headless", "no-sandbox", "no-first-run", profile, "lang=en-US"]:
        options.add_argument(f"--{flag}")
    for feature in QUIET:
        options.add_argument(f"--disable-{feature}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
        driver.folder = downloads
        yield driver
