"""Whatever a file holds, it is read or refused with a `VisualizeError`: quickly, and nothing runs.

The examples are the same in each run; FUZZ_EXAMPLES=20000 draws so many new ones for each test.
"""

import io
import json
import operator
import os
import re
import time
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

import numpy as np
import paddle
import pytest
import tiny
import yaml
from golden.checkpoint_files import HEADERS, attacks, part, torch_file, torch_legacy, torch_zip
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load, save

from visualize_pd import VisualizeError
from visualize_pd.app.commands import parser
from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import (
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    LocaliseConfig,
    SanityConfig,
)
from visualize_pd.app.explain.maps import parse_targets
from visualize_pd.app.generate import state
from visualize_pd.app.generate.run import Run
from visualize_pd.app.generate.tasks import OBJECTIVES, find_objective
from visualize_pd.attribution.configured import configure_method
from visualize_pd.attribution.methods import METHODS
from visualize_pd.core.config import as_dict, build
from visualize_pd.core.images import load_image, load_mask
from visualize_pd.evaluate.truth import read_truth
from visualize_pd.models.classifier import Classifier
from visualize_pd.models.networks import alexnet
from visualize_pd.models.weights.checkpoints import read_checkpoint
from visualize_pd.models.weights.fitting import fit

try:
    import resource
except ImportError:  # Windows
    resource = None

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
fuzz = hypothesis.settings(
    max_examples=int(EXAMPLES or 100),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),  # a folder serves all examples of a test
)
ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


@contextmanager
def read_or_refused(seconds=5.0):
    """What is done here ends in time, well or in a `VisualizeError`."""
    start = time.monotonic()
    with suppress(VisualizeError):
        yield
    assert time.monotonic() - start < seconds


EIGHTS = [number.to_bytes(8, "little") for number in (0, 1, 2**31 - 1, 2**63 - 1, 2**64 - 1)]


@st.composite
def damaged(draw, contents, head=400):
    """One of these files, with bytes replaced, put in, taken out or spliced, most near its head."""
    data = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        places = st.integers(0, min(len(data), head)) | st.integers(0, len(data))
        start, length = draw(places), draw(st.integers(0, 12))
        other = draw(st.sampled_from(contents))[start : start + 40]
        data[start : start + length] = draw(
            st.binary(max_size=8) | st.sampled_from([*EIGHTS, other])
        )
    if not draw(st.integers(0, 7)):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


# --- configs -------------------------------------------------------------------------------------

CONFIGS = {
    GenerateConfig: "class_image deep_dream filters inversion",
    ExplainConfig: "compare grad_cam smooth_grad",
    EvaluateConfig: "evaluate",
    LocaliseConfig: "localise",
    SanityConfig: "sanity",
}
FILES = [
    (schema, (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    for schema, names in CONFIGS.items()
    for name in names.split()
]
LABELS = (ROOT / "visualize_pd/models/imagenet_classes.txt").read_text(encoding="utf-8")
PIECES = [
    *("&a ", "*a", "[", "]", "{", "}", ", ", ": ", "? ", "- ", "\n", "  ", "'", '"', "|", "# "),
    *("!!int ", "!!set ", "!!omap ", "!!binary ", "!!float ", "!x ", "<<: ", "%YAML 1.1\n", "~"),
    *(
        "0x" + "f" * 5000,
        "1" * 400,
        "1e400",
        ".nan",
        "-.inf",
        "2001-01-01",
        "1:30",
        "true",
        "0",
        "2",
    ),
    *("name: ", "of: ", "saliency", "smooth_grad", "tiger", "noise", "all", "0-3", "top3", "---"),
    *("\0", "\t", "\x85", "\ufeff", r'"\ud800"', '"\\0"', "é", "x" * 300, "~no one/x"),
    *("&c [*c]", "{tiger: &d [*d]}", "&e {name: smooth_grad, of: *e}", "{tiger: 2001-01-01}"),
]
words = st.sampled_from([*METHODS, "noise", "filter", "inversion", "fourier", "~x/y", "tiger"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(0, 3) | st.floats() | words
    | st.text(st.characters(), max_size=8) | st.dates() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.just("of"), inner)
    | words.flatmap(lambda name: st.fixed_dictionaries({"name": st.just(name)}, optional={
        "of": inner, "zooms": inner, "steps": inner, "baseline": inner, "score": inner})),
    max_leaves=6,
)  # fmt: skip
pieces = st.sampled_from(PIECES)
groups = st.sampled_from(["%s", "{tiger: %s}", "{name: %s}", "{name: rise, seed: %s}"])
texts = (
    st.lists(pieces, max_size=8).map("".join)
    | st.builds(operator.mod, groups, pieces)
    | values.map(lambda value: yaml.safe_dump(value, default_flow_style=True))
)


FITTING = {bool: st.booleans(), int: st.integers(-1, 40), float: st.floats(0, 2), str: words}


def keys_of(group, start=""):
    """Each key, with dots into groups, and its default."""
    for key, value in group.items():
        yield start + key, value
        if isinstance(value, dict):
            yield from keys_of(value, f"{start}{key}.")


@st.composite
def configs(draw):
    """A schema, and a file that was one of the project's, or is one, with overrides."""
    schema, content = draw(st.sampled_from(FILES))
    lines, overrides = content.splitlines(), []
    in_file = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        if in_file:
            place = draw(st.integers(0, len(lines) - 1))
            key = lines[place].partition(":")[0]
            lines[place] = draw(st.sampled_from([f"{key}: "] * 3 + [""])) + draw(texts)
        else:
            key, default = draw(st.sampled_from(list(keys_of(as_dict(schema())))))
            fitting = FITTING.get(type(default), words).map(lambda value: str(value).lower())
            overrides.append(f"{key}={draw(texts | fitting | fitting)}")
    return schema, "\n".join(lines).encode(errors="surrogatepass"), overrides


@fuzz
@hypothesis.given(configs() | st.tuples(st.just(ExplainConfig), st.binary(), st.just(())))
def test_configs(tmp_path, case):
    schema, content, overrides = case
    (tmp_path / "config.yaml").write_bytes(content)
    with read_or_refused():
        config = load_config(schema, tmp_path / "config.yaml", overrides)
        build(schema, as_dict(config))
        prepared(config)
        json.dumps(as_dict(config))


def prepared(config):
    """What is done with a config before the first image or step."""
    labels = LABELS.splitlines()
    parser._check_samples(config)
    if isinstance(config, GenerateConfig):
        classifier = Classifier(network, "tiny", "Tiny", 32, labels=labels, resize=32)
        task = find_objective(config).task
        return task and json.dumps(task(config, classifier).record)
    methods = [getattr(config, "method", None), *(getattr(config, "methods", None) or ())]
    for method in [*filter(None, methods), *(getattr(config, "compare", None) or ())]:
        configured = configure_method(method)
        configured.column_title(with_options=True)
        configured.prepared(None)
    return parse_targets(config.target, labels)


network = tiny.small_net(1000)


# --- weights -------------------------------------------------------------------------------------

ARRAYS = {name: value.numpy() for name, value in tiny.small_net().state_dict().items()}
WEIGHTS = [path.read_bytes() for path in sorted(GOLDEN.glob("*.pth"))]
WEIGHTS += [torch_file(ARRAYS), torch_file(ARRAYS, legacy=True), save(ARRAYS)]
PLACES = [bytes, torch_zip, torch_legacy, lambda pickle: HEADERS[0] + pickle + HEADERS[2]]


@st.composite
def programs(draw, hostile):
    """Pickles of instructions in any order."""
    scraps = [part(value) for value in (0, 4, -1, 2**62, "a.weight", (4,), (2**40, 0), b"abcd")]
    scraps += [name[2:] for name in hostile] + [bytes([code]) for code in range(256)]
    scraps += [b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n", b"cnumpy\ndtype\n"]
    scraps += [b"ctorch._utils\n_rebuild_tensor_v2\n", b"cnumpy.core.multiarray\n_reconstruct\n"]
    body = b"".join(draw(st.lists(st.sampled_from(scraps), max_size=25)))
    return draw(st.sampled_from(PLACES))(b"\x80\x02}" + part("a.weight") + body + b"s.")


@pytest.mark.parametrize("kind", ["damaged", "programs"])
def test_weights(tmp_path, kind):
    path, mark, memory = tmp_path / "file.pth", tmp_path / "mark", peak()
    hostile = list(attacks(mark).values())
    files = [*WEIGHTS, *hostile, *map(torch_zip, hostile), *map(torch_legacy, hostile)]

    @fuzz
    @hypothesis.given(damaged(files, 1500) if kind == "damaged" else programs(hostile))
    def run(content):
        path.write_bytes(content)
        with read_or_refused():
            arrays = read_checkpoint(path)
            assert all(array.dtype == np.float32 for array in arrays.values())
            fit(arrays, network, path, alexnet.translate)
        assert not mark.exists()

    run()
    assert peak() - memory < 300


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The program and the weights of an inference model, as this Paddle writes them."""
    folder, spec = tmp_path_factory.mktemp("exported"), paddle.static.InputSpec([None, 3, 8, 8])
    paddle.jit.save(tiny.small_net(), str(folder / "inference"), input_spec=[spec])
    (program,) = (f for f in folder.iterdir() if f.suffix in (".json", ".pdmodel"))
    return program.name, program.read_bytes(), (folder / "inference.pdiparams").read_bytes()


@pytest.mark.parametrize("part", ["program", "weights"])
def test_inference_models(tmp_path, exported, part):
    name, program, weights = exported
    memory = peak()

    @fuzz
    @hypothesis.given(damaged([program if part == "program" else weights]))
    def run(content):
        (tmp_path / name).write_bytes(content if part == "program" else program)
        (tmp_path / "inference.pdiparams").write_bytes(weights if part == "program" else content)
        with read_or_refused():
            path = tmp_path / "inference.pdiparams"
            fit(read_checkpoint(path), network, path)

    run()
    assert peak() - memory < 300


def test_onnx_files(tmp_path):
    onnx = pytest.importorskip("onnx")
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in ARRAYS.items()]
    node = onnx.helper.make_node("Conv", ["x", "0.weight"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], tensors))
    memory = peak()

    @fuzz
    @hypothesis.given(damaged([model.SerializeToString()]))
    def run(content):
        (tmp_path / "a.onnx").write_bytes(content)
        with read_or_refused():
            fit(read_checkpoint(tmp_path / "a.onnx"), network, tmp_path / "a.onnx")

    run()
    assert peak() - memory < 300


def peak():
    """The most megabytes that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if resource else 0


# --- pictures ------------------------------------------------------------------------------------


def pictures():
    """Small files of the usual kinds and modes."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 12, 4), dtype="uint8")
    picture = Image.fromarray(noise, "RGBA")
    exif = Image.Exif()
    exif[274] = 6  # on its side
    deep = Image.fromarray(noise[..., 0].astype("uint16") * 257)
    palette = picture.convert("RGB").quantize(16)
    kinds = {
        "PNG": [picture, palette, deep, picture.convert("1"), picture.convert("LA")],
        "JPEG": [picture.convert("RGB"), picture.convert("CMYK"), picture.convert("L")],
        "GIF": [palette],
        "WEBP": [picture],
        "BMP": [picture.convert("RGB"), palette],
        "TIFF": [picture, palette, deep, picture.convert("CMYK"), picture.convert("F")],
    }
    for kind, modes in kinds.items():
        for mode in modes:
            options = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}
            with io.BytesIO() as file:
                mode.save(file, kind, **options)
                yield file.getvalue()


@fuzz
@hypothesis.given(damaged(list(pictures())) | st.binary())
@pytest.mark.filterwarnings("ignore")
def test_pictures(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with read_or_refused(20):  # the largest that is allowed has 89 million pixels
        assert load_image(path).mode == "RGB"
    with read_or_refused(20):
        assert load_mask(path, (12, 10)).mode == "L"


# --- boxes ---------------------------------------------------------------------------------------

cells = st.sampled_from(["a.jpg", "0", "1", "30", "-5", "1.5", "1e300", "1e999", "nan", "9" * 5000])
cells = cells | st.text(max_size=4)
items = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | cells,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
COLUMNS = ["file", "x0", "y0", "x1", "y1", "class"]
GOOD = dict(zip(COLUMNS, ["a.jpg", 1, 2, 30, 40, 7]))
boxes = st.lists(st.dictionaries(st.sampled_from(COLUMNS), items).map(lambda box: {**GOOD, **box}))
rows = st.lists(st.lists(cells | st.sampled_from(["1", "9"]), min_size=4, max_size=7).map(",".join))
tables = st.permutations(COLUMNS).flatmap(
    lambda names: rows.map(lambda lines: "\n".join([",".join(names), *lines]))
)


@fuzz
@hypothesis.given(
    st.tuples(st.just("a.json"), (boxes | items).map(json.dumps).map(str.encode) | st.binary())
    | st.tuples(st.just("a.csv"), tables.map(lambda t: t.encode(errors="surrogatepass")))
)
def test_boxes(tmp_path, case):
    name, content = case
    (tmp_path / name).write_bytes(content)
    with read_or_refused():
        for truth in read_truth(tmp_path / name).values():
            assert truth.on(Image.new("L", (40, 30))).size == (40, 30)


# --- the state of a run --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A task of four steps, and a function that makes its run in a folder with two of them done."""
    settings = {"target": [1, 2], "iterations": 4, "animation": {"score": True}}
    config = build(GenerateConfig, {**settings, "frames": {"every": 2}})
    classifier = Classifier(tiny.small_net(), "tiny", "Tiny", 16, resize=16)
    task = OBJECTIVES["class_image"].task(config, classifier)
    folder = tmp_path_factory.mktemp("run")

    def make():
        return Run(config, classifier, task, folder, "cpu")

    first = make()
    for frame in islice(task.frames(None), 3):
        if frame.iteration % 2 == 0:
            first._write(frame)
    return task, make


def edited(record, place, value):
    """A copy of JSON with a value at the n-th place in it; lists and dicts are walked in order."""
    text = json.dumps(record)
    spots = [match.span() for match in re.finditer(r'-?[0-9][0-9.e-]*|"[^"]*"|null|true', text)]
    start, end = spots[place % len(spots)]
    return text[:start] + json.dumps(value) + text[end:]


def test_states(begun):
    task, make = begun
    path = make().folder / state.FILE
    content, arrays = path.read_bytes(), load(path.read_bytes())
    with safe_open(str(path), framework="numpy") as file:
        record = json.loads(file.metadata()["run"].partition(" ")[2])
    kinds = st.sampled_from(["f2", "f4", "f8", "i8", "u1"])
    others = st.builds(np.zeros, st.sampled_from([(), (1,), (1, 3, 16, 16)]), kinds)
    changed = st.dictionaries(st.sampled_from([*arrays, "x"]), others, max_size=1)
    texts = st.builds(edited, st.just(record), st.integers(0, 200), items)

    def state_file(new, text):
        """A state whose checksum is right, so that the rest of it is read."""
        both = {**arrays, **new}
        return save(both, {"run": f"{state._checksum(both, text)} {text}"})

    made = st.builds(state_file, changed, texts)

    @fuzz
    @hypothesis.given(damaged([content], 2500) | made)
    def run(content):
        path.write_bytes(content)
        with read_or_refused():
            run = make()
            if run.resume():
                list(islice(task.frames(run.begin), 2))

    run()
