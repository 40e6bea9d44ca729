"""The HTML report: its content, its safety, and how it works in a real browser."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from app_helpers import TINY, read_csv, run_explain, run_generate
from browser import chromium
from PIL import Image

from visualize_pd.app.report.page import Animation, Figures, Percentage, Picture, Table, save_page
from visualize_pd.core.text import read_cell

NAMES = ["a.png", "<img src=x onerror=document.title=1>.png", 'Ü "& b.png', "c#1%.png"]


class Page(HTMLParser):
    """A page that is read: the cells of its tables, its config, its tags and its `src`."""

    def __init__(self, path):
        super().__init__()
        self.rows, self.tags, self.data, self.config = [], [], [], ""
        self.inside = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.inside.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if attributes.get("src"):
            self.data.append(attributes["src"])

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, text):
        if "td" in self.inside or "th" in self.inside:
            self.rows[-1][-1] += text
        if "pre" in self.inside:
            self.config += text


def decoded(source):
    kind, _, data = source.partition(";base64,")
    return kind, base64.b64decode(data, validate=True)


@pytest.fixture
def pictures(tmp_path, tests_folder):
    """A folder of images with unusual names, and one broken file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        pixels = np.full((40, 60, 3), 60 * number, "uint8")
        pixels[10:20, 20:30] = 255 - 60 * number
        Image.fromarray(pixels).save(folder / name)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def explained(pictures, output, report="true", **settings):
    """Explain the images. The exit code is 1, as one of them is broken."""
    return run_explain(output, 1, images=pictures, report=report, **TINY, **settings)


@pytest.fixture
def explain_page(pictures, tmp_path):
    return explained(pictures, tmp_path / "out", target="[0, 2]") / "index.html"


def test_table_holds_the_rows_of_the_summary(explain_page):
    page = Page(explain_page)
    summary = read_csv(explain_page.with_name("summary.csv"))
    headings = ["", "image", "predicted", "probability", "asked for", "note"]
    assert page.rows[0] == headings
    assert len(page.rows) == 1 + len(NAMES) + 1 and len(summary) == 2 * len(NAMES) + 1
    for cells in page.rows[1:]:
        rows = [row for row in summary if Path(read_cell(row["file"])).name == cells[1]]
        best, asked = float(rows[0]["predicted_probability"] or "nan"), []
        if rows[0]["name"]:
            asked = [f"{row['name']} {float(row['probability']):.1%}" for row in rows]
        assert cells[2] == rows[0]["predicted_name"]
        assert cells[3] == (f"{best:.1%}" if asked else "")
        assert cells[4] == ", ".join(asked) and cells[5] == rows[0]["note"]
    assert yaml.safe_load(page.config)["target"] == [0, 2]


def test_images_are_inside_the_page_and_links_lead_to_the_figures(explain_page):
    page = Page(explain_page)
    for source in page.data:
        kind, data = decoded(source)
        assert kind == "data:image/jpeg"
        Image.open(io.BytesIO(data)).load()
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert len(page.data) == len(links) == 2 * len(NAMES)
    places = [link[1:] for link in links if link.startswith("#")]
    assert places == [a["id"] for tag, a in page.tags if tag == "figure"]
    named = {unquote(link) for link in links if not link.startswith("#")}
    assert named == {f"{Path(name).stem}_pp.jpg" for name in NAMES}
    assert all((explain_page.parent / name).is_file() for name in named)


def test_page_loads_nothing_from_outside_and_file_names_never_become_code(explain_page):
    page = Page(explain_page)
    assert {tag for tag, _ in page.tags if tag in ("link", "iframe", "object")} == set()
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert not re.match(r"\w+:|//", attributes.get("href", ""))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    policy = [a["content"] for tag, a in page.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy[0]


def test_compared_methods_are_side_by_side_for_each_image(pictures, tmp_path):
    folder = explained(pictures, tmp_path / "out", compare="[saliency, gradient, grad_cam]")
    page = Page(folder / "index.html")
    widths = [Image.open(io.BytesIO(decoded(source)[1])).width for source in page.data]
    assert len([width for width in widths if width > 100]) == len(NAMES)
    assert (folder / "a_pp.jpg").is_file() and (folder / "comparison_pp.jpg").is_file()


def test_report_shows_the_skipped_existing_figures(pictures, tmp_path):
    first = explained(pictures, tmp_path / "out", report="false")
    assert not (first / "index.html").exists()
    explained(pictures, tmp_path / "out", skip_existing="true")
    assert len(Page(first / "index.html").data) == 2 * len(NAMES)


@pytest.mark.parametrize(("format", "kind"), [("gif", "image/gif"), ("mp4", "video/mp4")])
def test_report_of_an_ascent_shows_its_animation_and_frames(tmp_path, tests_folder, format, kind):
    settings = {"iterations": 4, "frames.every": 2, "target": "[1, 2]", "animation.format": format}
    settings.update(TINY, priors="{shift: 0}", report="true")
    folder = run_generate(tmp_path, **settings) / "class_1_2"
    page = Page(folder / "index.html")
    animation = dict(decoded(source) for source in page.data if "jpeg" not in source[:20])
    assert animation == {f"data:{kind}": (folder / f"class_1_2.{format}").read_bytes()}
    frames = [row[1] for row in page.rows]
    assert frames == ["iteration", "0", "2", "4"]
    assert page.rows[0][2:4] == ["score of class 1", "score of class 2"]


def test_report_of_the_first_layer_shows_its_weights(tmp_path, tests_folder):
    folder = run_generate(tmp_path, config="first_layer", report="true", **TINY)
    (path,) = folder.glob("weights_*/index.html")
    assert len(Page(path).data) == 1


def test_interrupt_keeps_the_old_page(tmp_path):
    path = tmp_path / "index.html"
    path.write_text("before")

    def rows():
        yield ["one"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_page(path, "t", "a", {"T": Table(["x"], rows())}, {})
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_missing_image_file_is_left_out(tmp_path):
    table = Table([""], [[Picture(tmp_path / "gone.png", (9, 9))]])
    figures = Figures([("gone", Picture(tmp_path / "gone.png", (9, 9)))])
    page = Page(save_page(tmp_path / "p.html", "t", "a", {"T": table, "F": figures}, {}))
    assert page.data == [] and "figure" not in dict(page.tags)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def column(browser, number):
    return browser.execute_script(
        "return [...document.querySelectorAll('tbody tr')].filter((row) => !row.hidden)"
        f".map((row) => row.cells[{number}].textContent)"
    )


def test_browser_sorts_by_each_heading(browser, tmp_path):
    rows = [
        ["b10", 2.0, Percentage(0.05)],
        ["b9", None, Percentage(0.5)],
        ["A", -1.5, Percentage(0.051)],
    ]
    rows.append(["", 1e-7, Percentage(1)])
    path = save_page(tmp_path / "p.html", "t", "a", {"T": Table(["x", "y", "z"], rows)}, {})
    browser.get(path.as_uri())
    x, y, z = browser.find_elements("css selector", "th button")
    x.click()
    assert column(browser, 0) == ["A", "b9", "b10", ""]
    x.click()
    assert column(browser, 0) == ["b10", "b9", "A", ""]
    y.click()
    assert column(browser, 1) == ["-1.5", "1e-07", "2", ""]
    y.click()
    assert column(browser, 1) == ["2", "1e-07", "-1.5", ""]
    z.click()
    assert column(browser, 2) == ["5.0%", "5.1%", "50.0%", "100.0%"]
    headings = browser.find_elements("css selector", "th")
    assert [h.get_attribute("aria-sort") for h in headings] == [None, None, "ascending"]


def test_browser_shows_images_filters_rows_and_loads_nothing_else(browser, explain_page):
    browser.get(explain_page.as_uri())
    assert browser.title.startswith("What tiny:small_net")
    loaded = "return [...document.images].map((i) => i.complete && i.naturalWidth > 0)"
    assert browser.execute_script(loaded) == [True] * 2 * len(NAMES)
    assert sorted({*column(browser, 1)}) == sorted([*NAMES, "broken.png"])
    browser.find_element("css selector", "input").send_keys("ü ")
    assert column(browser, 1) == [NAMES[2]]
    fetched = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert [name for name in browser.execute_script(fetched) if not name.startswith("data:")] == []
    assert browser.get_log("browser") == []


def test_browser_shows_the_animation(browser, tmp_path):
    small = Image.new("RGB", (20, 10), "red")
    small.save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (20, 10))])
    figures = Figures([("moving", Animation(tmp_path / "a.gif"))])
    browser.get(save_page(tmp_path / "p.html", "t", "a", {"F": figures}, {}).as_uri())
    assert browser.execute_script("return document.images[0].naturalWidth") == 20
    assert browser.get_log("browser") == []


def test_new_run_removes_the_report_and_animation_of_an_earlier_one(generate):
    """They show frames that are gone. A resumed run has the same frames and keeps them."""

    def files(**settings):
        folder = generate("class_image", target=1, iterations=4, **settings) / "class_1"
        return {path.name for path in folder.iterdir() if path.suffix in (".html", ".gif", ".webp")}

    assert files(report="true") == {"index.html", "class_1.gif"}
    both = {"index.html", "class_1.gif", "class_1.webp"}
    assert files(resume=True, **{"animation.format": "webp"}) == both
    assert files(seed=1) == {"class_1.gif"}
