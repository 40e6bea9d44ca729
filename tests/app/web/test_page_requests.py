"""The page as a browser talks to it: pictures, classes, errors, two people, memory, a stop."""

import base64
import io
import os
import re
import shutil
import time
import zipfile

import numpy as np
import paddle
import pytest
import yaml
from app_helpers import contents
from page_visitor import Visitor, opened, png
from PIL import Image

import visualize_pd as vp
from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.app.config.schema import ExplainConfig
from visualize_pd.core.errors import ImageError
from visualize_pd.models.config import ModelConfig


def classes_of(html):
    """The probability of each class in the list of guesses, as the page shows them."""
    rows = re.findall(r'data-name="class" data-value="(\d+)".*?class="share">([\d.]+)%', html)
    return {int(index): float(share) for index, share in rows}


def values_of(update):
    """The raw values of the first map."""
    (first, *_) = update["props"]["values"]
    shares = np.frombuffer(base64.b64decode(first["data"]), "<u2").astype("float64") / 65535
    values = first["low"] + shares * (first["high"] - first["low"])
    return values.reshape(first["height"], first["width"])


def expected(data, target, method="grad_cam", **options):
    """The probabilities and the map, by the functions of the package alone."""
    classifier = vp.load_model("tiny:small_net", image_size=32)
    images = classifier.prepare([Image.open(io.BytesIO(data))])
    logits = classifier.network(images)[0].numpy().astype("float64")
    shares = np.exp(logits) / np.exp(logits).sum()
    values = vp.METHODS[method](classifier.network, images, target, **options)
    return images, shares, values.numpy()[0, 0]


def assert_same_map(update, values):
    found = values_of(update)
    np.testing.assert_allclose(found, values, atol=float(np.ptp(values)) / 60000 + 1e-7)


def test_picture_gives_guesses_and_the_map_of_each_class(visitor):
    data = png()
    guesses, maps, _ = visitor.bring("my cat.png", data)
    _, shares, values = expected(data, None)
    found = classes_of(guesses)
    assert list(found) == np.argsort(-shares).tolist()
    assert all(abs(found[index] / 100 - shares[index]) < 6e-4 for index in range(3))
    assert_same_map(maps, values)
    for index in (0, 2, 1):
        _, maps, _ = visitor.do("guesses", "press", {"class": index})
        assert f"class {index}" in re.search("<h2>(.*?)</h2>", maps["value"])[1]
        assert_same_map(maps, expected(data, index)[2])


def test_contrast_with_a_second_class(visitor):
    data = png()
    visitor.bring("a.png", data)
    visitor.do("guesses", "press", {"class": 0})
    _, maps, _ = visitor.do("guesses", "press", {"other": 2})
    score = vp.scores.contrast([2])
    assert_same_map(maps, expected(data, 0, score=score, relu=False)[2])
    assert "Why class 0 rather than class 2?" in maps["value"]
    with pytest.raises(RuntimeError, match="cannot be compared with itself"):
        visitor.do("guesses", "press", {"other": 0})
    _, maps, _ = visitor.do("guesses", "press", {"other": 2})  # again: without
    assert_same_map(maps, expected(data, 0)[2])


def test_search_and_several_methods(visitor):
    data = png(3)
    visitor.bring("a.png", data, methods=["saliency", "gradient", "grad_cam"])
    _, maps, _ = visitor.do("search", "input", search=1)
    assert len(maps["props"]["values"]) == 3 and maps["value"].count("<figure>") == 4
    assert_same_map(maps, expected(data, 1, "saliency")[2])
    with pytest.raises(RuntimeError, match="choose one to 4 methods"):
        visitor.do("run", "click", methods=[])


def test_covered_square_gives_the_probabilities_of_the_changed_image(visitor):
    data = png()
    visitor.bring("a.png", data)
    guesses, maps = visitor.do("maps", "cover", {"x": 0.25, "y": 0.5}, side=0.25)
    images, _, _ = expected(data, None)
    images[:, :, 12:20, 4:12] = 0.0
    logits = vp.load_model("tiny:small_net", image_size=32).network(images)[0].numpy()
    shares = np.exp(logits) / np.exp(logits).sum()
    after = dict(re.findall(r'data-value="(\d+)" aria-pressed="\w+"><span.*?→ ([\d.]+)%', guesses))
    assert len(after) == 3
    assert all(abs(float(after[str(index)]) / 100 - shares[index]) < 6e-4 for index in range(3))
    assert "left:12.50%;top:37.50%;width:25.00%;height:25.00%" in maps["value"]
    guesses, maps = visitor.do("uncover", "click")
    assert "→" not in guesses and "covered" not in maps["value"]


def test_colours_compute_nothing(visitor, tiny_page, monkeypatch):
    visitor.bring("a.png", png())
    before = visitor.do("opacity", "input", opacity=0.3)[0]

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("visualize_pd.app.web.tabs.explaining.answer", refuse)
    monkeypatch.setattr("visualize_pd.app.web.session.Desk.run", refuse)
    started = time.perf_counter()
    after = visitor.do("opacity", "input", opacity=0.9)[0]
    assert time.perf_counter() - started < 1
    assert after != before and "<h2>" in after  # only the pictures, not the values
    assert visitor.do("colours", "input", colours="jet")[0] != after


def test_download_repeats_byte_for_byte(visitor, tests_folder, tmp_path):
    visitor.bring("my cat.png", png(), methods=["grad_cam", "saliency"])
    visitor.do("guesses", "press", {"class": 1})
    for asked in (["layer_cam"], ["grad_cam", "saliency"]):
        visitor.do("guesses", "press", {"other": 2}, methods=asked)
        (html,) = visitor.do("download", "click")
        links = dict(re.findall(r'download="([^"]+)" href="data:[^,]*,([^"]+)"', html))
        files = {name: base64.b64decode(data) for name, data in links.items()}
        folder = tmp_path / asked[0]
        with zipfile.ZipFile(io.BytesIO(files["explanation.zip"])) as found:
            found.extractall(folder)
        assert yaml.safe_load(files["explain.yaml"])["target"] == 1
        overrides = ["-o", f"images={folder}/my cat.png", "-o", f"output={folder}/again"]
        assert explain_command(folder / "explain.yaml", overrides) == 0
        again = {p.name: p.read_bytes() for p in (folder / "again/method_1").iterdir()}
        written = {name for name in again if name.endswith((".jpg", ".npy"))}
        assert {*files} == written | {"explain.yaml", "explanation.zip"}
        for name in written:
            assert again[name] == files[name], name
            assert (folder / "images/method_1" / name).read_bytes() == files[name]


def test_download_holds_no_path_of_the_server_and_repeats_beside_its_files(
    tests_folder, tmp_path, monkeypatch
):
    """The weights and the class names lie elsewhere on the server than at the person's place."""
    server, home = tmp_path / "secret_server", tmp_path / "home"
    server.mkdir()
    network = vp.load_model("tiny:small_net", image_size=32).network
    paddle.save(network.state_dict(), str(server / "best.pdparams"))
    (server / "names.txt").write_text("cat\ndog\nfox\n")
    files = {"weights": str(server / "best.pdparams"), "labels": str(server / "names.txt")}
    model = ModelConfig(name="tiny:small_net", image_size=32, **files)
    page, address = opened(ExplainConfig(images=[], compare=["grad_cam"], model=model))
    visitor = Visitor(page, address)
    visitor.bring("a.png", png())
    visitor.do("make", "click", make_class=1, steps=2)
    shown = [visitor.do("download", "click")[0], visitor.do("make_files", "click")[0]]
    page.close()
    for html in shown:
        assert "secret_server" not in html
        for name, data in re.findall(r'download="([^"]+)" href="data:[^,]*,([^"]+)"', html):
            data = base64.b64decode(data)
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    archive.extractall(home)
                data = b"".join(each.read_bytes() for each in home.rglob("*") if each.is_file())
            assert b"secret_server" not in data, name
    for command, config, folder in (
        (explain_command, "explain.yaml", home),
        (generate_command, "class_1.yaml", home / "class_1"),
    ):
        shutil.copy(server / "best.pdparams", folder)
        shutil.copy(server / "names.txt", folder)
        assert "best.pdparams" in (folder / config).read_text().split("model:")[0]
        before = contents(folder / "images")
        shutil.rmtree(folder / "images")
        monkeypatch.chdir(folder)
        assert command(folder / config, []) == 0
        again = contents(folder / "images")
        assert before and all(again[name] == data for name, data in before.items())


HOSTILE = {
    "text.png": b"no picture",
    "empty.jpg": b"",
    "cut.png": png()[:300],
    "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) run\n",
    "pickle.npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n",
    "tiny.png": png(size=(4, 4)),
    "..%2f<img src=x onerror=alert(1)>.png": b"?",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_one_sentence_and_leaves_nothing(visitor, uploads, name):
    with pytest.raises(RuntimeError) as caught:
        visitor.bring(name, HOSTILE[name])
    sentence = str(caught.value)
    assert sentence and len(sentence) < 250 and "\n" not in sentence
    assert "Traceback" not in sentence and "<" not in sentence and str(uploads) not in sentence
    assert [path for path in uploads.rglob("*") if path.is_file()] == []
    assert len(visitor.bring("good.png", png())[1]["props"]["values"]) == 1


def test_bomb_is_refused_before_its_pixels_are_read(visitor, time_limit):
    data = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(data, "PNG")
    with pytest.raises(RuntimeError, match="pixels; make it smaller"), time_limit(20):
        visitor.bring("bomb.png", data.getvalue())


PATHS = [
    {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}},
    {"path": __file__, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}},
    {"path": "../../etc/hostname", "meta": {"_type": "gradio.FileData"}},
    {"path": "http://127.0.0.1:9/a.png", "meta": {"_type": "gradio.FileData"}},
    {"url": "file:///etc/hostname", "meta": {"_type": "gradio.FileData"}},
]


@pytest.mark.parametrize("upload", PATHS, ids=str)
def test_a_path_from_the_browser_is_refused(visitor, upload, monkeypatch):
    used = []
    load = "visualize_pd.app.web.tabs.explaining.load_picture"
    monkeypatch.setattr(load, lambda *given: used.append(given))
    monkeypatch.setattr(os, "remove", used.append)
    with pytest.raises(RuntimeError):
        visitor.do("upload", "input", upload=upload)
    assert used == []


@pytest.mark.parametrize(
    ("elem_id", "event", "data", "values"),
    [
        ("guesses", "press", {"class": 99}, {}),
        ("guesses", "press", {"class": "os:system"}, {}),
        ("guesses", "press", {"class": True}, {}),
        ("guesses", "press", {"other": -1}, {}),
        ("guesses", "press", None, {}),
        ("samples", "press", {"sample": "/etc/hostname"}, {}),
        ("samples", "press", {"sample": 0}, {}),
        ("maps", "cover", {"x": "a", "y": 0}, {}),
        ("maps", "cover", {"x": float("nan"), "y": 0}, {}),
        ("maps", "cover", {"x": 9, "y": 9}, {}),
        ("run", "click", None, {"methods": ["os:system"]}),
        ("run", "click", None, {"methods": ["!!python/object:os.system"]}),
        ("search", "input", None, {"search": "/etc/hostname"}),
        ("colours", "input", None, {"colours": "../jet"}),
    ],
)
def test_what_no_control_offers_is_refused(visitor, elem_id, event, data, values, tiny_page):
    visitor.bring("a.png", png())
    with pytest.raises(RuntimeError) as caught:
        visitor.do(elem_id, event, data, **values)
    assert "Traceback" not in str(caught.value)


def test_error_without_a_picture_is_a_sentence(visitor):
    with pytest.raises(RuntimeError, match="choose a picture first"):
        visitor.do("run", "click")


def test_fault_is_told_without_its_trace(visitor, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("visualize_pd.app.web.tabs.explaining.load_picture", fail)
    with pytest.raises(RuntimeError) as caught:
        visitor.bring("a.png", png())
    assert "log of the server" in str(caught.value) and "secret" not in str(caught.value)


def test_sentence_never_becomes_html(visitor, monkeypatch):
    def fail(*_):
        raise ImageError("no <img src=x onerror=alert(1)> here\nbut this")

    monkeypatch.setattr("visualize_pd.app.web.tabs.explaining.load_picture", fail)
    with pytest.raises(
        RuntimeError, match=r"no &lt;img src=x onerror=alert\(1\)&gt; here but this"
    ):
        visitor.bring("a.png", png())


def test_two_people_see_their_own_pictures(tiny_page, uploads):
    one, two = Visitor(*tiny_page), Visitor(*tiny_page, language="zh-CN,zh;q=0.9")
    first, second = png(1), png(2)
    one.bring("one.png", first)
    _, maps, _ = two.bring("two.png", second)
    assert "为什么是" in maps["value"]
    assert_same_map(maps, expected(second, None)[2])
    _, maps, _ = one.do("guesses", "press", {"class": 1})
    assert "Why class 1?" in maps["value"]
    assert_same_map(maps, expected(first, 1)[2])
    with pytest.raises(RuntimeError, match="choose a picture first"):
        Visitor(*tiny_page).do("run", "click")
    assert [path for path in uploads.rglob("*") if path.is_file()] == []


def test_two_people_bring_the_same_file_at_once(tiny_page, uploads):
    """Gradio puts both uploads at the same place."""
    one, two, data = Visitor(*tiny_page), Visitor(*tiny_page), png(7)
    for person in (one, two):
        person.do("upload", "input", upload=person.upload("same.png", data))
        files = [path for path in uploads.rglob("*") if path.is_file()]
        assert files == []  # it is read at once, while others may still compute
    for person in (one, two):
        assert_same_map(person.then("upload", "input")[1], expected(data, None)[2])


def test_closed_page_stops_its_computation_and_forgets(tiny_page):
    page, address = tiny_page
    gone, other = Visitor(page, address), Visitor(page, address)
    gone.bring("a.png", png(size=(64, 64)))
    other.bring("b.png", png())
    with gone.present():
        gone.do(
            "run", "click", wait=False, methods=["rise", "occlusion", "score_cam", "smooth_grad"]
        )
    started = time.monotonic()
    other.do("guesses", "press", {"class": 1})
    assert time.monotonic() - started < 5
    with pytest.raises(RuntimeError, match="choose a picture first"):
        gone.do("guesses", "press", {"class": 1})


def rss():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_fifty_requests_leave_the_memory_flat(visitor):
    def ask(count):
        for number in range(count):
            visitor.bring("a.png", png(number))
            visitor.do("guesses", "press", {"class": number % 3})

    ask(8)
    before = rss()
    ask(25)
    assert rss() - before < 20_000_000
