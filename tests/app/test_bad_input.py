"""What a person can get wrong: exit code 2, one line that says what, and nothing half-written."""

import functools
import json
import logging
import os
import pickle
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import paddle
import pytest
import tiny
from PIL import Image

from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.core.runtime import gpu_count

try:
    import resource
except ImportError:  # Windows
    resource = None

ROOT = Path(__file__).parents[2]
SMALL = {"model.name": "tiny:small_net", "model.image_size": "32", "model.fallback": "null"}
EXPLAIN, GENERATE = "method_1_pp.py", "method_2_pp.py"
SCRIPTS = [EXPLAIN, GENERATE]
COMMANDS = {
    EXPLAIN: (explain_command, ROOT / "configs" / "saliency.yaml"),
    GENERATE: (generate_command, ROOT / "configs" / "class_image.yaml"),
}


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch, tmp_path):
    """Work in an empty folder; the commands' signal handler and logging are undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    logger = logging.getLogger("visualize_pd")
    handlers, propagate = list(logger.handlers), logger.propagate
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    logger.handlers[:], logger.propagate = handlers, propagate


def overrides(script, changes):
    """The command line of a quick run that would succeed, with some changes."""
    own = {"images": "photo.png"} if script == EXPLAIN else {"target": "1", "iterations": "3"}
    values = {**SMALL, **own, "device": "cpu", "output": "out", **changes}
    return [word for key, value in values.items() for word in ("-o", f"{key}={value}")]


def files():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def lines_of(text):
    """What stays on stderr after the progress bars and the reports of single images."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    lines = [line for line in lines if line and not re.search(r"\d+%\|", line)]
    return [line for line in lines if not line.startswith("skipped: ")]


@pytest.fixture
def run(capsys, photograph):
    """Run a command in this process; return the exit code, stdout and stderr."""
    photograph("photo.png")

    def run(script, changes=(), arguments=None):
        command, default = COMMANDS[script]
        words = overrides(script, dict(changes)) if arguments is None else arguments
        capsys.readouterr()
        code = command(default, words)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def refuse(run):
    """Run a command that must be refused; return what it says."""

    def refuse(script, changes=(), arguments=None):
        before = files()
        code, out, err = run(script, changes, arguments)
        lines = lines_of(err)
        assert len(lines) == 1 and lines[0].startswith("error: "), err
        assert code == 2 and out == ""
        assert files() == before, "something was written"
        return err

    return refuse


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_quick_run_itself_succeeds(run, script):
    """Without this the tests below could pass for a wrong reason."""
    code, out, err = run(script)
    assert code == 0 and lines_of(err) == []
    assert out.count("→") == 1 and any(path.parts[0] == "out" for path in files())


# --- the config ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "content, says",
    [
        (None, "no such config file"),
        (b"", "keys and values"),
        (b"- a\n- b\n", "keys and values"),
        (b"images: [", "not valid YAML"),
        (b"\x89PNG\r\n\x1a\n\0", "UTF-8"),
        (b"output: caf\xe9", "UTF-8"),
        (b"outptu: here", "'output'"),
        (b"output: a\noutput: b", "twice"),
        (b"output: !!python/object/apply:os.system ['touch marker']", "not valid YAML"),
        (b"device: " + b"[" * 3000, "not valid YAML"),
    ],
)
def test_config_file(refuse, script, content, says):
    if content is not None:
        Path("bad.yaml").write_bytes(content)
    assert says in refuse(script, arguments=["--config", "bad.yaml"])
    assert not Path("marker").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_config_file_that_is_a_folder(refuse, script):
    Path("folder.yaml").mkdir()
    assert "folder.yaml: Is a directory" in refuse(script, arguments=["--config", "folder.yaml"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_config_file_whose_name_is_too_long(refuse, script):
    name = f"configs/{'x' * 300}.yaml"
    assert name in refuse(script, arguments=["--config", name])


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("arguments", [["stray"], ["--unknown"], ["-o"], ["--config"]])
def test_command_line_that_is_not_understood(script, arguments, capsys):
    command, default = COMMANDS[script]
    with pytest.raises(SystemExit) as caught:
        command(default, arguments)
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "script, key, value, says",
    [
        (GENERATE, "learning_rate", "0", "learning_rate must be greater than 0"),
        (GENERATE, "learning_rate", "-1", "learning_rate must be greater than 0"),
        (GENERATE, "learning_rate", ".nan", "learning_rate must be a finite number"),
        (GENERATE, "learning_rate", ".inf", "learning_rate must be a finite number"),
        (GENERATE, "lambda", ".nan", "lambda must be a finite number"),
        (GENERATE, "lambda", "-.inf", "lambda must be a finite number"),
        (GENERATE, "lambda", "-0.1", "lambda must be at least 0"),
        (GENERATE, "init_std", ".nan", "init_std must be a finite number"),
        (GENERATE, "iterations", "0", "iterations must be at least 1"),
        (GENERATE, "iterations", "1e400", "iterations must be a whole number"),
        (GENERATE, "iterations", "1" + "0" * 400, "iterations"),
        (GENERATE, "iterations", "9" * 5000, "iterations"),
        (GENERATE, "iterations", "many", "iterations must be a whole number"),
        (GENERATE, "frames.every", "0", "frames.every must be at least 1"),
        (GENERATE, "priors.shift", "-1", "priors.shift must be at least 0"),
        (GENERATE, "priors.shift", str(10**20), "shift"),
        (GENERATE, "animation.frame_ms", "1000000", "animation.frame_ms"),
        (GENERATE, "animation.hold_ms", "0", "animation.hold_ms must be at least 20"),
        (GENERATE, "seed", "-1", "seed must be at least 0"),
        (GENERATE, "itrations", "5", "did you mean 'iterations'?"),
        (GENERATE, "priors.tv", "5", "priors.tv"),
        (EXPLAIN, "batch_size", "0", "batch_size must be at least 1"),
        (EXPLAIN, "save_arrays", "5", "save_arrays must be true or false"),
        (EXPLAIN, "metod", "saliency", "did you mean 'method'?"),
    ],
)
def test_values(refuse, script, key, value, says):
    assert says in refuse(script, {key: value})


def test_a_key_with_a_line_break_is_told_in_one_line(refuse):
    assert "unknown key" in refuse(EXPLAIN, {"some\nkey": "1"})


# --- the class -----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "target, says",
    [
        ("3", "class 3 does not exist; this network has 3 classes, 0 to 2"),
        ("1000", "class 1000 does not exist"),
        ("-1", "class -1 does not exist"),
        ("'-1'", "class -1 does not exist"),
        (str(10**12), "does not exist"),
        ("'--1'", "--1"),
        ("'²'", "²"),
        ("'" + "9" * 5000 + "'", "class"),
        ("1.5", "target must be"),
        ("true", "target must be"),
        ("", "target must be"),
        ("[1.5]", "target must be"),
        ("2001-01-01", "target must be"),
        ("flamingo", "no class names are known"),
    ],
)
def test_target(refuse, script, target, says):
    assert says in refuse(script, {"target": target})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "target, says",
    [
        ("1000", "class 1000 does not exist; this network has 1000 classes, 0 to 999"),
        ("flamingoo", "did you mean flamingo (130)"),
        ("crane", "crane (134) or crane (517)"),
        ("'!?'", "unknown class '!?'"),
        ("''", "unknown class ''"),
    ],
)
def test_target_among_a_thousand(refuse, script, target, says):
    assert says in refuse(script, {"target": target, "model.num_classes": "1000"})


def test_there_is_no_image_to_predict_the_class_of(refuse):
    assert "target must be a class" in refuse(GENERATE, {"target": "predicted"})


# --- pictures ------------------------------------------------------------------------------------


def bomb(width=60_000, height=60_000):
    """A PNG of a few bytes that claims to be huge."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(1000)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def cut(name, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype="uint8")
    Image.fromarray(noise).save(name)
    content = Path(name).read_bytes()
    return content[: int(len(content) * kept)]


def one_pixel():
    Image.new("RGB", (1, 1)).save("one.png")
    return Path("one.png").read_bytes()


BAD_PICTURES = {
    "missing.png": (None, "no such image: missing.png"),
    "text.jpg": (lambda: b"this is no picture\n", "text.jpg is not a picture"),
    "empty.png": (lambda: b"", "empty.png is not a picture"),
    "short.jpg": (lambda: cut("short.jpg", 0.1), "cannot read short.jpg"),
    "half.jpg": (lambda: cut("half.jpg", 0.5), "cannot read half.jpg"),
    "most.jpg": (lambda: cut("most.jpg", 0.98), "cannot read most.jpg"),
    "half.png": (lambda: cut("half.png", 0.5), "cannot read half.png"),
    "most.png": (lambda: cut("most.png", 0.98), "cannot read most.png"),
    "one.png": (one_pixel, "one.png is 1×1"),
    "bomb.png": (bomb, "bomb.png has over 89,000,000 pixels"),
    "photo.png/below.png": (None, "cannot read photo.png/below.png"),
}


@pytest.fixture(params=BAD_PICTURES)
def bad_picture(request):
    content, says = BAD_PICTURES[request.param]
    if content:
        Path(request.param).write_bytes(content())
    return request.param, says


def test_a_bad_picture(refuse, bad_picture):
    name, says = bad_picture
    err = refuse(EXPLAIN, {"images": name})
    assert f"skipped: {says}" in err


def test_a_bad_picture_to_begin_with(refuse, bad_picture):
    name, says = bad_picture
    assert f"error: {says}" in refuse(GENERATE, {"init": name})


@pytest.mark.parametrize("name", ["a\\0b.png", "x" * 300, "~nobody/x.png"])
def test_a_name_that_can_be_no_file(refuse, name):
    refuse(EXPLAIN, {"images": f'"{name}"'})
    refuse(GENERATE, {"init": f'"{name}"'})


@pytest.mark.parametrize(
    "images, says",
    [
        ("[]", "no images given"),
        ("empty", "the folder empty holds no pictures"),
        ("empty/*.png", "no picture matches empty/*.png"),
        ("nowhere/**/*.jpg", "no picture matches nowhere/**/*.jpg"),
        ("[photo.png, '*.nothing']", "no picture matches *.nothing"),
        ("[[photo.png]]", "images must be"),
        ("", "images must be"),
        ("5", "images must be"),
    ],
)
def test_no_pictures(refuse, images, says):
    Path("empty").mkdir()
    assert says in refuse(EXPLAIN, {"images": images})


def test_good_pictures_are_done_and_bad_ones_reported(run, photograph):
    photograph("other.png")
    Path("text.jpg").write_text("no picture")
    names = ["text.jpg", "photo.png", "missing.png", "other.png"]
    for batch_size in (1, 2, 8):
        output = f"out_{batch_size}"
        changes = {"images": f"[{', '.join(names)}]", "batch_size": batch_size, "output": output}
        code, out, err = run(EXPLAIN, changes)
        assert code == 1
        assert "skipped: text.jpg is not a picture" in err and "no such image: missing.png" in err
        assert lines_of(err) == []
        assert [line.split(":")[0] for line in out.splitlines()] == ["photo.png", "other.png"]
        made = sorted(path.name for path in Path(output).rglob("*") if path.is_file())
        assert made == ["other_pp.jpg", "photo_pp.jpg", "summary.csv"]


def test_several_bad_pictures_are_all_reported(refuse):
    Path("text.jpg").write_text("no picture")
    err = refuse(EXPLAIN, {"images": "[text.jpg, missing.png]"})
    assert err.count("skipped: ") == 2 and "no image could be explained" in err


def test_a_line_break_in_a_file_name_does_not_break_the_line(run):
    Path("two\nlines.jpg").write_text("no picture")
    code, _, err = run(EXPLAIN, {"images": "[photo.png, '*.jpg']"})
    assert code == 1 and lines_of(err) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are in Unicode")
@pytest.mark.parametrize("name", [b"caf\xe9.png", b"two\nlines.png"])
@pytest.mark.parametrize("changes", [{}, {"compare": "[saliency, gradient]"}])
def test_a_file_name_that_is_no_word(run, name, changes):
    Path("folder").mkdir()
    Path("photo.png").rename(os.fsdecode(b"folder/" + name))
    code, _, err = run(EXPLAIN, {"images": "folder", **changes})
    assert code == 0 and lines_of(err) == []
    assert "folder" in Path("out/method_1/summary.csv").read_text(encoding="utf-8")


def test_a_name_of_surrogates_is_one_of_no_file(run):
    assert run(EXPLAIN, {"images": r'[photo.png, "\udc80.png"]'})[0] == 1
    summary = Path("out/method_1/summary.csv").read_text(encoding="utf-8")
    assert r"\udc80.png" in summary


def test_names_that_are_no_text_are_recorded(run, photograph):
    name = os.fsdecode(b"\xff.png")
    shutil.copy(photograph("photo.png"), name)
    assert run(GENERATE, {"init": r'"\udcff.png"'})[0] == 0
    (record,) = Path("out").rglob("run.json")
    assert strict_json(record)["config"]["init"] == name


# --- the method ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, says",
    [
        ("salinecy", "unknown method 'salinecy'; did you mean 'saliency'?"),
        ("''", "unknown method"),
        ("", "method must be"),
        ("5", "method must be"),
        ("{}", "unknown method"),
        ("{name: null}", "unknown method"),
        ("{name: [saliency]}", "method"),
        ("{name: {saliency: 1}}", "method"),
        ("{sign: positive}", "unknown method"),
        ("{name: saliency, sing: positive}", "did you mean 'sign'?"),
        ("{name: saliency, sign: sideways}", "unknown sign 'sideways'"),
        ("{name: saliency, channel: 7}", "unknown channel '7'"),
        ("{name: saliency, sign: []}", "sign"),
        ("{name: saliency, sign: {}}", "sign"),
        ("{name: saliency, channel: [max]}", "channel"),
    ],
)
def test_method(refuse, method, says):
    assert says in refuse(EXPLAIN, {"method": method})


# --- the device ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "device, says",
    [
        ("tpu", "unknown device 'tpu'"),
        ("CPU", "unknown device 'CPU'"),
        ("cpu:0", "unknown device"),
        ("auto:0", "unknown device"),
        ("gpu:-1", "unknown device"),
        ("gpu:x", "unknown device"),
        ("gpu:²", "device"),
        ("gpu:99", "gpu:99"),
        ("'gpu:" + "9" * 5000 + "'", "device"),
        ("''", "unknown device"),
        ("0", "device must be a text"),
    ],
)
def test_device(refuse, script, device, says):
    assert says in refuse(script, {"device": device})


@pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU")
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("device", ["gpu", "gpu:0"])
def test_no_gpu(refuse, script, device):
    assert "no GPU" in refuse(script, {"device": device})


# --- the network ---------------------------------------------------------------------------------

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
def own_module(tmp_path, monkeypatch):
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
def test_network(refuse, own_module, script, name, says):
    assert says in refuse(script, {"model.name": name})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.filterwarnings("ignore")
def test_a_network_that_computes_no_number(refuse, own_module, script):
    refuse(script, {"model.name": "own_networks:not_a_number"})


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("changes", [{"learning_rate": "1e300"}, {"init_std": "1e39"}])
@pytest.mark.filterwarnings("ignore")
def test_an_ascent_that_leaves_the_numbers(run, changes):
    """Refused with a sentence, or recorded as JSON that others can read."""
    code, _, err = run(GENERATE, changes)
    assert "Warning" not in err
    if code == 2:
        assert len(lines_of(err)) == 1
    for path in Path("out").rglob("run.json"):
        assert strict_json(path)


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_image_too_small_for_the_network(refuse, script):
    changes = {"model.name": "alexnet", "model.weights": "random", "model.image_size": "16"}
    assert re.search(r"AlexNet.*16|63", refuse(script, changes))


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
        {"model.mean": "[0.5]", "model.std": "[0.5]"},  # grey, for a network of three channels
    ],
    ids=str,
)
def test_mean_and_std(refuse, script, changes):
    refuse(script, changes)


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
def test_network_options(refuse, script, changes, says):
    assert says in refuse(script, changes)


# --- weights -------------------------------------------------------------------------------------


class Hostile:
    """Unpickled the plain way it makes a file."""

    def __reduce__(self):
        return (open, ("marker", "w"))


def saved(layer, kept=1.0):
    paddle.save(layer.state_dict(), "weights.pdparams")
    content = Path("weights.pdparams").read_bytes()
    return content[: int(len(content) * kept)]


@pytest.mark.parametrize(
    "make, says",
    [
        (None, "no such weight file: weights.pdparams"),
        (lambda: b"", "cannot use the weights weights.pdparams"),
        (lambda: b"just text", "cannot use the weights weights.pdparams"),
        (lambda: saved(tiny.small_net(), 0.02), "cut off or damaged"),
        (lambda: saved(tiny.small_net(), 0.5), "cut off or damaged"),
        (lambda: saved(tiny.small_net(), 0.999), "cut off or damaged"),
        (lambda: saved(tiny.small_net(5)), "[8, 5] where [8, 3] is needed"),
        (lambda: saved(paddle.nn.Linear(3, 3)), "missing: 0.weight"),
        (lambda: pickle.dumps({"0.weight": Hostile()}), "was not run"),
        (lambda: pickle.dumps(Hostile()), "was not run"),
        (lambda: pickle.dumps(5), "no state dict"),
        (lambda: pickle.dumps({}), "no weights"),
    ],
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_weights(refuse, script, make, says):
    if make:
        Path("weights.pdparams").write_bytes(make())
    assert says in refuse(script, {"model.weights": "weights.pdparams"})
    assert not Path("marker").exists()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "name", [".", "''", "x" * 300, '"a\\0b"', "photo.png/below", "~no one/below"]
)
def test_weights_that_are_no_file(refuse, script, name):
    assert "weight" in refuse(script, {"model.weights": name})


def test_good_weights_are_taken(run):
    Path("weights.pdparams").write_bytes(saved(tiny.small_net()))
    assert run(EXPLAIN, {"model.weights": "weights.pdparams"})[0] == 0


# --- where the results go ------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "output",
    ["photo.png", "photo.png/below", '"a\\0b"', "x" * 300, "x/" * 3000]
    + (["/proc", "/proc/below"] if Path("/proc/self").exists() else []),
)
def test_output_that_takes_no_files(refuse, script, output):
    assert "cannot write" in refuse(script, {"output": output})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("output", ["", "5", "[a]", "null"])
def test_output_that_is_no_text(refuse, script, output):
    assert "output must be a text" in refuse(script, {"output": output})


def test_results_may_go_to_the_current_folder(run):
    assert run(EXPLAIN, {"output": "."})[0] == 0
    assert Path("method_1/photo_pp.jpg").is_file()


# --- in processes of their own -------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, photograph):
    """A folder to start scripts in, with a picture and the small network."""
    photograph("photo.png")
    (tmp_path / "tiny.py").write_text(Path(tiny.__file__).read_text())
    return tmp_path


@pytest.mark.skipif(resource is None, reason="this platform has no limits on file sizes")
@pytest.mark.parametrize(
    "script, limit, changes, whole",
    [
        (EXPLAIN, 1500, {}, 0),
        (GENERATE, 500, {}, 0),
        # Each frame fits, and the saved state; the animation does not.
        (GENERATE, 70_000, {"iterations": "40", "frames.every": "1", "animation.size": "200"}, 42),
    ],
)
def test_a_full_disk(run_script, here, script, limit, changes, whole):
    done = run_script(
        script,
        *overrides(script, changes),
        cwd=here,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    lines = lines_of(done.stderr)
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1 and lines[0].startswith("error: cannot write "), done.stderr
    made = [path for path in Path("out").rglob("*") if path.is_file()]
    assert len(made) == whole and {path.suffix for path in made} <= {".png", ".safetensors"}
    assert not any("partial" in path.name for path in Path().rglob("*"))
    for path in made:
        if path.suffix == ".png":
            Image.open(path).load()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_every_letter(run_script, here, script, encoding):
    done = run_script(script, *overrides(script, {}), cwd=here, env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and done.stdout.count("%") >= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_goes_nowhere(here):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, str(ROOT / EXPLAIN), *overrides(EXPLAIN, {})],
            cwd=here,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert "Traceback" not in done.stderr
    assert Path("out/method_1/photo_pp.jpg").is_file()


SLOW = """
import time
import paddle

def net():
    class Slow(paddle.nn.Layer):
        def forward(self, images):
            print("at work", flush=True)
            for _ in range(300):
                time.sleep(0.05)
            return images.mean(axis=[2, 3])
    return Slow()
"""


def started(script, changes, **options):
    """A process that has begun its work: it has said so on stdout."""
    Path("slow.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / script), *overrides(script, changes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    watch = threading.Timer(60, process.kill)
    watch.start()
    assert process.stdout.readline() == "at work\n"
    watch.cancel()
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    "number, ignored",
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
    ids=["Ctrl-C", "kill", "kill in the background"],
)
def test_a_stopped_run_leaves_nothing_half_written(here, number, ignored):
    """A shell starts what runs in the background with SIGINT ignored; kill must still work."""
    handling = signal.SIG_IGN if ignored else signal.SIG_DFL  # whatever the tests were started with
    prepare = functools.partial(signal.signal, signal.SIGINT, handling)
    process = started(EXPLAIN, {"model.name": "slow:net"}, preexec_fn=prepare)
    begun = time.monotonic()
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail("it went on")
    assert time.monotonic() - begun < 5
    assert process.returncode == 130 and "Traceback" not in err
    assert not any(path.is_file() for path in Path("out").rglob("*"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"target": "[]"}, "at least one"),
        ({"target": "[predicted, 1]"}, "holds classes"),
        ({"target": "top9"}, "top9 of a network with 3 classes"),
        ({"target": "top0"}, "ask for top1 or more"),
        ({"method": "{name: smooth_grad, of: {name: gradient, steps: 3}}"}, "'method.of.steps'"),
        ({"compare": "[]"}, "compare is empty"),
        ({"compare": "[saliency, gard_cam]"}, "did you mean 'grad_cam'?"),
        ({"colormap": "rainbow"}, "unknown colormap 'rainbow'; use auto, viridis, jet"),
        ({"method": "{name: grad_cam, target_layer: '9'}"}, "no layer '9'"),
        ({"method": "{name: grad_cam, guided: 3}"}, "method.guided must be true or false"),
        ({"method": "{name: smooth_grad, of: rise}"}, "unknown method 'rise'"),
        ({"method": "{name: smooth_grad, samples: many}"}, "method.samples must be a number"),
        ({"method": "{name: integrated_gradients, baseline: black}"}, "nor one of zero, mean"),
        ({"method": "{name: occlusion, baseline: %s}" % ("x" * 300)}, "is no image file"),
        ({"method": "{name: occlusion, baseline: ~no one/x.png}"}, "is no image file"),
        ({"method": "{name: saliency, score: loss}"}, "unknown score 'loss'; use logit"),
        ({"method": "{name: rise, keep: 0}"}, "keep must be a probability over 0"),
    ],
)
def test_methods_and_how_to_draw_them(refuse, settings, says):
    assert says in refuse(EXPLAIN, settings)
