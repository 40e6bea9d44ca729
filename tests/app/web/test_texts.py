"""Everything that the page says, it says in both languages."""

import ast
import io
import re
from pathlib import Path

import pytest
from page_visitor import Visitor, png
from PIL import Image

from visualize_pd.app import web
from visualize_pd.app.web import texts
from visualize_pd.app.web.texts import CHINESE, ENGLISH, SENTENCES, PageError, sentence_of
from visualize_pd.core import errors
from visualize_pd.core.checks import check_count
from visualize_pd.core.stopping import check_stop, stoppable
from visualize_pd.network.batching import check_not_too_small

FOLDER = Path(web.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def pairs():
    """Every two texts beside each other, of which one is Chinese."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple) and len(node.elts) == 2:
                values = [getattr(each, "value", None) for each in node.elts]
                words = all(isinstance(value, str) for value in values)
                if words and re.search("[一-鿿]", values[0] + values[1]):
                    yield path.name, *values


def test_each_text_is_there_twice_with_the_same_places():
    found = list(pairs())
    assert len(found) > 90
    for name, english, chinese in found:
        assert not re.search("[一-鿿]", english), (name, english)
        assert re.search("[一-鿿]", chinese) or chinese == "中文", (name, chinese)
        places = [sorted(re.findall(r"{(\w*)[^}]*}", each)) for each in (english, chinese)]
        if all(re.fullmatch(r"\d", place) for place in places[1]):  # in another order
            places = [len(each) for each in places]
        assert places[0] == places[1], (name, english)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_page_raises_only_errors_that_have_both_languages(path):
    """`launch.py` speaks to the terminal. Uploads have the sentences of the scripts' loader."""
    raised = {
        node.exc.func.id
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    english = {name for name in raised if hasattr(errors, name)}
    allowed = {"launch.py": {"ConfigError"}, "explaining.py": {"ImageError"}}
    allowed["uploads.py"] = {"ImageError"}
    assert english <= allowed.get(path.name, set())


def picture(size=(40, 40)):
    data = io.BytesIO()
    Image.new("1", size).save(data, "PNG")
    return data.getvalue()


BAD = {
    "text.png": b"no picture",
    "cut.png": png()[:300],
    "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) run\n",
    "tiny.png": png(size=(4, 4)),
    "huge.png": picture((20_000, 20_000)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_picture_is_told_in_chinese(tiny_page, name):
    with pytest.raises(RuntimeError, match=r"[一-鿿]") as caught:
        Visitor(*tiny_page, language="zh-CN").bring(name, BAD[name])
    assert name in str(caught.value)


def stopped():
    with stoppable(lambda: True):
        check_stop()


RAISES = [
    stopped,
    lambda: check_count("iterations", 2000, 1, 1000),
    lambda: check_count("channel", -1, 0),
]


@pytest.mark.parametrize("function", RAISES, ids=["stopped", "most", "least"])
def test_frequent_sentence_is_told_in_chinese(function):
    with pytest.raises(errors.VisualizeError) as caught:
        function()
    assert re.search("[一-鿿]", sentence_of(caught.value, CHINESE))
    assert sentence_of(caught.value, ENGLISH) == str(caught.value)


def test_small_picture_is_told_in_chinese():
    import paddle

    empty = paddle.nn.Flatten(2)
    empty.forward = lambda images: images[:, :, :0]
    with pytest.raises(errors.ImageError, match="too small") as caught:
        check_not_too_small(paddle.nn.Sequential(empty), paddle.zeros([1, 3, 16, 16]))
    assert "对网络来说太小" in sentence_of(caught.value, CHINESE)


def test_other_sentences_stay_in_english():
    assert sentence_of(errors.ModelError("no such thing"), CHINESE) == "no such thing"


def test_values_are_told_in_the_language_too():
    error = PageError(("{} of {}", "{1} 的 {0}"), ("red", "红"), 3)
    assert [sentence_of(error, language) for language in texts.LANGUAGES] == ["red of 3", "3 的 红"]


def test_each_known_sentence_is_used_once():
    for number, (english, _) in enumerate(SENTENCES):
        example = re.sub(r"{(\w+)}", "7", english)
        found = sentence_of(errors.ImageError(example), CHINESE)
        assert found == re.sub(r"{(\w+)}", "7", SENTENCES[number][1])
