"""A server that could not be reached is not asked again in every run."""

import hashlib
import json
import logging
import time

import pytest

from visualize_pd import load_model
from visualize_pd.app.commands.main import main
from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights import downloading
from visualize_pd.models.weights.downloading import download_once_a_day, zoo_url

URL = "http://127.0.0.1:9/weights.pdparams"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/visualize_pd/failed_downloads.json"


@pytest.fixture
def tries(monkeypatch):
    """The URLs that were asked; none of them answers."""
    asked = []

    def unreachable(url):
        asked.append(url)
        raise downloading.Unreachable(f"cannot download {url}: no route")
        yield

    monkeypatch.setattr(downloading, "_fetch", unreachable)
    return asked


def again(tmp_path):
    with pytest.raises(WeightsError) as told:
        download_once_a_day(URL, "md5", tmp_path / "weights.pdparams")
    return str(told.value)


def test_it_is_not_tried_twice_within_a_day(tries, tmp_path, cache):
    assert "no route" in again(tmp_path)
    assert "could not be reached 0 minutes ago" in again(tmp_path)
    assert tries == [URL] and list(json.loads(cache.read_text())) == [URL]


@pytest.mark.parametrize(("hours", "count"), [(23.9, 0), (24.1, 1), (-1, 1)])
def test_it_is_tried_again_after_a_day(tries, tmp_path, cache, hours, count):
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({URL: time.time() - hours * 3600}))
    again(tmp_path)
    assert len(tries) == count


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": "y"}', '{"http://127.0.0.1:9/": []}', "1"])
def test_a_damaged_memory_is_forgotten(tries, tmp_path, cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert "no route" in again(tmp_path) and tries == [URL]


def test_a_success_is_remembered_as_one(monkeypatch, tmp_path, cache):
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps({URL: 0.0, "other": 1.0}))
    monkeypatch.setattr(downloading, "_fetch", lambda url: iter([4, b"good"]))
    md5 = hashlib.md5(b"good").hexdigest()
    path = download_once_a_day(URL, md5, tmp_path / "weights.pdparams")
    assert path.read_bytes() == b"good" and json.loads(cache.read_text()) == {"other": 1.0}


def test_damaged_files_are_tried_again(monkeypatch, tmp_path, cache):
    monkeypatch.setattr(downloading, "_fetch", lambda url: iter([4, b"evil"]))
    for _ in range(2):
        assert "wrong md5" in again(tmp_path)
    assert not cache.exists()


def test_the_command_tries_at_once(tries, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    for _ in range(2):
        assert main(["weights", "download", "alexnet"]) == 2
        assert "no route" in capsys.readouterr().err
    assert len(tries) == 2


def test_a_stand_in_is_told_in_one_short_line(tries, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(logging.getLogger("visualize_pd"), "propagate", True)
    classifier = load_model("alexnet", fallback="efficientnet_lite0")
    assert classifier.title == "EfficientNet-Lite0 (standing in for AlexNet)"
    (line,) = {each.getMessage() for each in caplog.records if each.name == "visualize_pd"}
    assert line.startswith("EfficientNet-Lite0 stands in for AlexNet") and len(line) < 120
    assert "visualize-pd weights" in line


def test_the_command_tells_the_long_form(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    assert main(["weights"]) == 0
    output = capsys.readouterr().out
    assert "There are four ways to get AlexNet's weights" in output
    assert "efficientnet_lite0" in output and "packaged" in output


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "vgg16", "mobilenet_v1", "mobilenet_v2",
                                  "mobilenet_v3_small", "mobilenet_v3_large"])  # fmt: skip
def test_the_zoo_has_weights_under_its_own_names(name):
    url, md5 = zoo_url(name)
    assert url.endswith(".pdparams") and len(md5) == 32
    assert name.replace("_", "").lower()[:9] in url.replace("_", "").lower()


def test_the_zoo_has_none_for_some():
    assert zoo_url("vgg11") is None and zoo_url("LeNet") is None and zoo_url("none") is None
