"""Networks that cannot be built or run, and model settings that do not fit the network."""

import re
import sys
from pathlib import Path

import pytest
from app_helpers import GENERATE, SCRIPTS, stderr_lines, strict_json

from visualize_pd import VisualizeError, load_model

OWN_MODULE = """
import sys
import paddle

def raises():
    raise RuntimeError("first line\\nsecond line")

def leaves():
    sys.exit(3)

def nothing():
    return None

def layer_class():
    return paddle.nn.Linear

value = 5

def broken_in_forward(exception):
    class Broken(paddle.nn.Layer):
        def forward(self, images):
            raise exception
    return lambda: Broken()

value_error = broken_in_forward(ValueError("of two\\nlines"))
index_error = broken_in_forward(IndexError("list index out of range"))
key_error = broken_in_forward(KeyError("lost"))
attribute_error = broken_in_forward(AttributeError("no such thing"))
assertion_error = broken_in_forward(AssertionError())
zero_division = broken_in_forward(ZeroDivisionError("division by zero"))
os_error = broken_in_forward(OSError("gone"))

def returning(make):
    class Odd(paddle.nn.Layer):
        def forward(self, images):
            return make(images)
    return lambda: Odd()

feature_map = returning(lambda images: images)
a_dict = returning(lambda images: {"logits": images})
whole_numbers = returning(lambda images: images.mean(axis=[2, 3]).astype("int64"))
not_a_number = returning(lambda images: images.mean(axis=[2, 3]) * float("nan"))
"""


@pytest.fixture
def own_module(empty_folder, monkeypatch):
    """Write modules with broken networks into the current folder."""
    Path("own_networks.py").write_text(OWN_MODULE)
    Path("broken_networks.py").write_text("def oh no")
    Path("leaving_networks.py").write_text("import sys\nsys.exit(4)\n")
    Path("raising_networks.py").write_text("raise Exception('two\\nlines')\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in ("own", "broken", "leaving", "raising"):
        sys.modules.pop(f"{name}_networks", None)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "name, says",
    [
        ("alexnot", "unknown model 'alexnot'"),
        ("''", "unknown model ''"),
        ("5", "model.name must be a text"),
        ("ResNet18", "unknown model 'ResNet18'"),
        ("nowhere:net", "cannot import nowhere:net: ModuleNotFoundError"),
        ("'own_networks:'", "cannot import own_networks:"),
        ("':net'", "cannot import :net"),
        ("own_networks:absent", "no attribute 'absent'"),
        ("broken_networks:net", "SyntaxError"),
        ("raising_networks:net", "cannot import raising_networks:net: Exception: two"),
        ("leaving_networks:net", "cannot import leaving_networks:net"),
        ("own_networks:raises", "cannot build own_networks:raises: RuntimeError: first line"),
        ("own_networks:leaves", "cannot build own_networks:leaves"),
        ("own_networks:value", "cannot build own_networks:value"),
        ("own_networks:nothing", "must return a paddle.nn.Layer, not NoneType"),
        ("own_networks:layer_class", "must return a paddle.nn.Layer, not type"),
        ("own_networks:value_error", "ValueError"),
        ("own_networks:index_error", "IndexError"),
        ("own_networks:key_error", "KeyError"),
        ("own_networks:attribute_error", "AttributeError"),
        ("own_networks:assertion_error", "AssertionError"),
        ("own_networks:zero_division", "ZeroDivisionError"),
        ("own_networks:os_error", "gone"),
        ("own_networks:feature_map", "[N, classes]"),
        ("own_networks:a_dict", "[N, classes]"),
        ("own_networks:whole_numbers", ""),
    ],
)
def test_bad_network(run_error, own_module, script, name, says):
    assert says in run_error(script, {"model.name": name})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.filterwarnings("ignore")
def test_network_that_returns_nan(run_error, own_module, script):
    run_error(script, {"model.name": "own_networks:not_a_number"})


@pytest.mark.parametrize("changes", [{"learning_rate": "1e300"}, {"init_std": "1e39"}])
@pytest.mark.filterwarnings("ignore")
def test_ascent_that_overflows(run_quick, changes):
    """It is refused in one line, or its record is valid JSON, without NaN and Infinity."""
    code, _, err = run_quick(GENERATE, changes)
    assert "Warning" not in err
    if code == 2:
        assert len(stderr_lines(err)) == 1
    for path in Path("out").rglob("run.json"):
        assert strict_json(path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_image_size_too_small_for_the_network(run_error, script):
    changes = {"model.name": "alexnet", "model.weights": "random", "model.image_size": "16"}
    assert re.search(r"AlexNet.*16|63", run_error(script, changes))


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "changes",
    [
        {"model.std": "[0, 1, 1]"},
        {"model.std": "[-1, 1, 1]"},
        {"model.std": "[.nan, 1, 1]"},
        {"model.std": "[.inf, 1, 1]"},
        {"model.std": "[1e-320, 1, 1]"},  # zero in 32 bits
        {"model.std": "[1, 1]"},
        {"model.std": "[]"},
        {"model.std": "1"},
        {"model.std": "[true, 1, 1]"},
        {"model.mean": "[0, 0]"},
        {"model.mean": "[.nan, 0, 0]"},
        {"model.mean": "[.inf, 0, 0]"},
        {"model.mean": "[1e300, 0, 0]"},  # infinite in 32 bits
        {"model.mean": "[a, b, c]"},
        {"model.mean": "[0.5]", "model.std": "[0.5]"},  # one channel, but the network has three
    ],
    ids=str,
)
def test_bad_mean_or_std(run_error, script, changes):
    run_error(script, changes)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "changes, says",
    [
        ({"model.image_size": "0"}, "model.image_size must be at least"),
        ({"model.image_size": "-5"}, "model.image_size must be at least"),
        ({"model.image_size": "1e2"}, "model.image_size must be a whole number"),
        ({"model.num_classes": "0"}, "model.num_classes must be at least 1"),
        ({"model.num_classes": "three"}, "model.num_classes must be a whole number"),
        ({"model.num_classes": str(10**20)}, "error: "),
        ({"model.labels": "missing.txt"}, "missing.txt"),
        ({"model.labels": "photo.png"}, "cannot read the class names photo.png"),
        ({"model.labels": "."}, "cannot read the class names"),
        ({"model.labels": '"a\\0b"'}, "cannot read the class names"),
        ({"model.labels": "~no one/labels"}, "cannot read the class names"),
        ({"model.colour": "red"}, "unknown key 'model.colour'"),
    ],
)
def test_bad_model_setting(run_error, script, changes, says):
    assert says in run_error(script, changes)


def test_wrong_number_of_class_names(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\n")
    with pytest.raises(VisualizeError, match="has 2 class names for 1000 classes"):
        load_model("efficientnet_lite0", labels=str(names))


def test_stand_in_takes_image_size_and_labels_but_no_mean_or_std(tmp_path, monkeypatch):
    """A mean or std belongs to the missing network. If one is given, no stand-in is used."""
    monkeypatch.chdir(tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"kind {i}" for i in range(1000)))
    missing = {"name": "resnet18", "fallback": "efficientnet_lite0"}
    monkeypatch.setattr("visualize_pd.models.loading.zoo_url", lambda _: None)
    stand_in = load_model(**missing, image_size=300, labels=str(names))
    assert stand_in.image_size == 300 and stand_in.class_name(130) == "kind 130"
    assert stand_in.title == "EfficientNet-Lite0 (standing in for resnet18)"
    for own in ({"mean": [0.5] * 3}, {"std": [0.5] * 3}):
        with pytest.raises(VisualizeError, match="no weights for resnet18"):
            load_model(**missing, **own)
