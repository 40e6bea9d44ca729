"""What would be wrong without a word is refused, or kept apart."""

import os
import shutil
from pathlib import Path

import numpy as np
import paddle
import pytest
from app_helpers import TINY, overrides, read_csv, run_explain, run_generate
from PIL import Image
from safetensors.numpy import save_file
from tiny import small_net

import visualize_pd as vp
from visualize_pd import load_model
from visualize_pd.app.concepts import run as concepts_run
from visualize_pd.app.explain.writer import FigureWriter
from visualize_pd.app.generate.run import Run
from visualize_pd.attribution.perturbation import occlusion
from visualize_pd.core.errors import ConfigError, ModelError
from visualize_pd.evaluate.generated import judge_pictures
from visualize_pd.network import batching


def weights_file(path, change):
    """A file of weights that `change` has changed, as `{name: array}`."""
    arrays = {name: value.numpy() for name, value in small_net().state_dict().items()}
    change(arrays)
    save_file(arrays, path)
    return path


def nan_bias(arrays):
    arrays["6.bias"] = np.full_like(arrays["6.bias"], np.nan)


def one_nan(arrays):
    """Only the score of class 2 is NaN. Class 1 is asked for."""
    arrays["6.bias"][2] = np.nan


def infinite(arrays):
    arrays["6.bias"][0] = np.inf


def zeros(arrays):
    for name in arrays:
        arrays[name] = np.zeros_like(arrays[name])


WORTHLESS = [
    (nan_bias, "not finite numbers; check its weights"),
    (one_nan, "not finite numbers; check its weights"),
    (infinite, "not finite numbers; check its weights"),
    (zeros, "the same score to every class; check its weights"),
]


@pytest.mark.parametrize(("change", "sentence"), WORTHLESS)
@pytest.mark.parametrize("run", [run_explain, run_generate])
def test_worthless_weights_are_blamed_by_scripts(
    run, change, sentence, tmp_path, photograph, capsys
):
    file = weights_file(tmp_path / "net.safetensors", change)
    own = {"images": photograph("a.png")} if run is run_explain else {"target": 1}
    model = f"{{name: tiny:small_net, image_size: 32, weights: {file}}}"
    folder = run(tmp_path / "out", code=2, model=model, **own)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and sentence in lines[0] and "learning_rate" not in lines[0]
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def photographs(tmp_path, photograph):
    return f"[{photograph('a.png')}, {photograph('b.png')}]"


MEASURES = {
    "evaluate compare saliency gradient": {
        **{"steps": 2, "measures": "[deletion]", "truth": "null", "target": "predicted"},
    },
    "evaluate sanity": {"methods": "[gradient]"},
    "evaluate localise": {"engine": "threshold", "truth": "null", "ten_crops": "false"},
    "concepts": {"new_images": "null", "target": 1, "image": "null", "concepts": 2, "samples": 2},
}


@pytest.mark.parametrize(("change", "sentence"), [WORTHLESS[0], WORTHLESS[3]])
@pytest.mark.parametrize("command", MEASURES)
def test_worthless_weights_are_blamed_by_measures(
    command, change, sentence, tmp_path, photographs, command_error
):
    file = weights_file(tmp_path / "net.safetensors", change)
    model = f"{{name: tiny:small_net, image_size: 32, weights: {file}}}"
    settings = {**MEASURES[command], "model": model, "images": photographs}
    out = tmp_path / "out"
    assert sentence in command_error(*command.split(), *overrides({**settings, "output": out}))
    assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("change", "sentence"), [WORTHLESS[0], WORTHLESS[3]])
def test_worthless_judges_are_refused_before_the_work(change, sentence, tmp_path, capsys):
    """A judge that is not sure of anything would keep the first candidate, without a word."""
    file = weights_file(tmp_path / "net.safetensors", change)
    judge = f"{{name: tiny:small_net, image_size: 32, weights: {file}}}"
    settings = {**TINY, "target": 1, "iterations": 2, "candidates": 2, "judge": judge}
    folder = run_generate(tmp_path / "out", code=2, **settings)
    error = capsys.readouterr().err
    assert error.startswith("error: judge: tiny:small_net: ") and sentence in error
    assert not list(folder.rglob("*.png"))


@pytest.mark.parametrize(("change", "sentence"), [WORTHLESS[0], WORTHLESS[3]])
def test_worthless_judges_of_a_transfer_are_blamed(change, sentence, tmp_path):
    file = weights_file(tmp_path / "net.safetensors", change)
    judge = load_model("tiny:small_net", weights=str(file), image_size=32)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype("uint8")
    with pytest.raises(ModelError, match=sentence):
        judge_pictures([judge], [picture], [1])


@pytest.mark.parametrize(("change", "sentence"), WORTHLESS)
def test_worthless_weights_are_blamed_in_python(change, sentence, tmp_path, caplog):
    file = weights_file(tmp_path / "net.safetensors", change)
    network = load_model("tiny:small_net", weights=str(file)).network
    images = paddle.to_tensor(np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)), "float32")
    calls = [
        lambda: vp.saliency(network, images, 1),
        lambda: vp.grad_cam(network, images, 1, target_layer="2"),
        lambda: vp.occlusion(network, images, 1, size=8, stride=8),
        lambda: list(vp.class_image(network, 1, init=images[:1], iterations=1)),
    ]
    for number, call in enumerate(calls):
        if change is zeros and number < 3:  # equal scores can have different derivatives
            call()
            assert sentence in caplog.text
        else:
            with pytest.raises(ModelError, match=sentence):
                call()


class RootOfMaps(paddle.nn.Layer):
    """A network with finite scores. The gradient of a root is infinite at 0, after a ReLU."""

    def __init__(self):
        super().__init__()
        paddle.seed(0)
        self.convolution, self.relu = paddle.nn.Conv2D(3, 4, 3), paddle.nn.ReLU()
        self.classes = paddle.nn.Linear(4, 3)

    def forward(self, images):
        maps = self.relu(self.convolution(images))
        return self.classes(maps.sqrt().mean(axis=[2, 3]))


@pytest.mark.parametrize("method", ["gradient", "grad_cam", "xgrad_cam", "eigen_grad_cam"])
def test_gradients_that_are_not_finite_are_refused(method):
    images = paddle.to_tensor(np.random.default_rng(0).normal(0, 1, (1, 3, 8, 8)), "float32")
    with pytest.raises(ModelError, match="gradient of the score holds numbers that are not finite"):
        vp.METHODS[method](RootOfMaps(), images, 1)


def test_maps_that_show_nothing_are_noted(tmp_path, photograph, run_command):
    """The class 1 has the same score for all images, but the other classes do not."""

    def blind(arrays):
        arrays["6.weight"][:, 1] = 0

    file = weights_file(tmp_path / "net.safetensors", blind)
    model = f"{{name: tiny:small_net, image_size: 32, weights: {file}}}"
    settings = {"model": model, "images": photograph("a.png"), "target": "[1, 2]"}
    folder = run_explain(tmp_path / "out", **settings)
    notes = [row["note"] for row in read_csv(folder / "summary.csv")]
    assert notes == ["the map has the same value everywhere", ""]
    command = "evaluate compare saliency gradient"
    keys = {**MEASURES[command], "images": f"[{photograph('a.png')}, {photograph('b.png')}]"}
    keys.update(model=model, target=1, output=tmp_path / "out")
    _, _, errors = run_command(*command.split(), *overrides(keys))
    lines = [line for line in errors.splitlines() if "same value everywhere" in line]
    assert lines[0] == "note: Saliency gives a.png the same value everywhere" and len(lines) == 4


def test_a_learning_rate_that_is_too_high_is_blamed_as_such(tmp_path, capsys):
    settings = {**TINY, "target": 1, "iterations": 9, "learning_rate": 1e38}
    run_generate(tmp_path, code=2, config="class_image_pixels", **settings)
    error = capsys.readouterr().err
    assert "lower learning_rate" in error and "weights" not in error


def test_a_photograph_named_comparison_keeps_its_figure(tmp_path, photograph):
    """The sheet of a comparison has that name too."""
    for name in ("comparison.png", "Comparison_2.png", "comparisons.png"):
        photograph(name)
    pictures = {"images": f"[{tmp_path}/*omparison*.png]"}
    settings = {**TINY, **pictures, "compare": "[gradient, grad_cam]", "report": "true"}
    folder = run_explain(tmp_path / "out", **settings)
    names = sorted(path.name for path in folder.glob("*.jpg"))
    assert names == [
        "Comparison_2_image_pp.jpg",
        "comparison_image_pp.jpg",
        "comparison_pp.jpg",
        "comparisons_pp.jpg",
    ]
    with Image.open(folder / "comparison_pp.jpg") as sheet:
        assert sheet.height > 2 * 160  # three rows, not the figure of one photograph


def test_a_photograph_named_curves_keeps_its_sheet(tmp_path, photograph, run_command):
    """The plot of a sanity check has that name too."""
    settings = {**TINY, "methods": "[gradient]", "output": tmp_path / "out"}
    pictures = f"[{photograph('curves.png')}]"
    code, *_ = run_command("evaluate", "sanity", *overrides({**settings, "images": pictures}))
    assert code == 0
    found = {path.name: Image.open(path).height for path in (tmp_path / "out").rglob("*.png")}
    names = ["cascading_curves.png", "cascading_curves_image.png"]
    assert sorted(found) == names and found[names[0]] == 504  # 4.2 inches of 120 pixels


def test_pictures_of_one_name_are_told_apart(tmp_path, photograph, run_command):
    """Without the paths, a table of a measure would not say of which picture a row is."""
    for folder in "xy":
        (tmp_path / folder).mkdir()
    paths = [photograph("x/a.png"), photograph("y/a.png", 40, 60), photograph("b.png")]
    settings = {**MEASURES["evaluate compare saliency gradient"], **TINY}
    settings.update(images=f"[{', '.join(map(str, paths))}]", output=tmp_path / "out")
    command = ["evaluate", "compare", "saliency", "gradient"]
    assert run_command(*command, *overrides(settings))[0] == 0
    rows = read_csv(tmp_path / "out/compare/results.csv")
    assert [row["file"] for row in rows[::2]] == [*map(str, paths[:2]), "b.png"]
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1\na.png,1,1,9,9\n")
    settings["truth"] = tmp_path / "boxes.csv"
    code, _, errors = run_command(*command, *overrides(settings))
    assert code == 2 and "one picture a.png, but 2 of the pictures have this name" in errors


def test_class_names_end_at_line_feeds_alone(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_bytes("one\x0cpart two\ntwo\u2028li\rnes\r\nthree\n".encode())
    classifier = load_model("tiny:small_net", num_classes=3, labels=str(labels))
    assert classifier.labels == ["one\x0cpart two", "two\u2028li\rnes", "three"]
    assert paddle.is_tensor(classifier.network(paddle.zeros([1, 3, 32, 32])))


@pytest.mark.parametrize("text", ["", "one", "one\ntwo\nthree\nfour\n"])
def test_another_number_of_class_names_is_refused(tmp_path, text):
    labels = tmp_path / "labels.txt"
    labels.write_text(text)
    with pytest.raises(ModelError, match=f"has {len(text.split())} class names for 3 classes"):
        load_model("tiny:small_net", num_classes=3, labels=str(labels))


def test_names_that_are_too_long_are_cut_off(tmp_path, photograph):
    """A file name has at most 255 bytes. Some letters take several bytes."""
    long = ["a" * 251, "a" * 250 + "b", "é" * 125]
    for name in long:
        photograph(f"{name}.png")
    settings = {**TINY, "images": f"[{tmp_path}/*.png]", "save_arrays": "true"}
    folder = run_explain(tmp_path / "out", **settings)
    rows = read_csv(folder / "summary.csv")
    assert sorted(row["file"] for row in rows) == sorted(f"{tmp_path}/{n}.png" for n in long)
    figures = {row["figure"] for row in rows}
    assert len(figures) == 3 and all(Path(figure).is_file() for figure in figures)
    assert len(list(folder.glob("*.npy"))) == 3


@pytest.mark.parametrize("letters", [200_000, 10_000_000])
def test_a_class_name_that_is_too_long_is_cut_off(tmp_path, photograph, capsys, letters):
    (tmp_path / "labels.txt").write_text("x" * letters + "\ntwo\nthree\n")
    model = (
        f"{{name: tiny:small_net, num_classes: 3, image_size: 32, labels: {tmp_path}/labels.txt}}"
    )
    settings = {"model": model, "images": photograph("a.png"), "target": 0}
    folder = run_explain(tmp_path / "out", **settings, report="true")
    assert "names with over 1,000 letters were cut off" in capsys.readouterr().err
    (row,) = read_csv(folder / "summary.csv")
    assert row["name"] == "x" * 119 + "…"
    run_explain(tmp_path / "out", **settings, skip_existing="true")
    assert read_csv(folder / "summary.csv") == [row]


def test_a_narrow_picture_is_refused_for_a_dream(tmp_path, capsys):
    Image.new("RGB", (8, 30_000)).save(tmp_path / "narrow.png")
    settings = {**TINY, "init": tmp_path / "narrow.png", "layer": "0"}
    run_generate(tmp_path / "out", code=2, config="deep_dream", **settings)
    error = capsys.readouterr().err
    assert "is 8 × 30,000 pixels, but an animation has at most 16,383 on a side" in error


@pytest.mark.parametrize("run", [run_explain, run_generate])
def test_more_memory_than_there_is_is_not_taken(run, tmp_path, photograph, capsys, monkeypatch):
    monkeypatch.setattr(batching, "free_memory", lambda: 50_000_000)
    model = "{name: tiny:small_net, image_size: 2048}"
    own = {"images": photograph("a.png")} if run is run_explain else {"target": 1}
    run(tmp_path / "out", code=2, model=model, **own)
    error = capsys.readouterr().err
    # 250 bytes for each of the pixels, and 5 for each number that a layer returns
    numbers = 2 * 4 * 112**2 + 2 * 8 * 56**2 + 8 + 8 + 3
    needed = 2048**2 * (250 + 5 * numbers / 224**2) / 1e9
    assert f"2,048 × 2,048 pixels would need about {needed:.1f} GB of memory" in error
    assert "but 0.1 GB are free" in error


def test_an_image_of_a_concept_that_needs_too_much_memory(
    tmp_path, photographs, command_error, monkeypatch
):
    """It is refused before the concepts are looked for."""
    monkeypatch.setattr(batching, "free_memory", lambda: 50_000_000)
    monkeypatch.setattr(concepts_run, "concepts", None)
    settings = {**MEASURES["concepts"], **TINY, "images": photographs, "output": tmp_path / "out"}
    settings["image"] = "{iterations: 1, size: 4096}"
    assert "4,096 × 4,096 pixels would need" in command_error("concepts", *overrides(settings))


TOO_MUCH = [
    ("{name: rise, masks: 9, batch_size: 99999}", "99999 images of 64 × 64 pixels would need"),
    ("{name: smooth_grad, batch_size: 99999}", "99999 images of 64 × 64 pixels would need"),
    ("{name: hsic, cells: 64, samples: 99999}", "samples must be at most 12,207"),
    (
        "{name: integrated_gradients, baseline: random, draws: 99999}",
        "draws must be at most 20,000",
    ),
    ("{name: sobol, cells: 64, samples: 99999}", "samples must be at most 244"),
]


@pytest.mark.parametrize(("method", "sentence"), TOO_MUCH)
def test_numbers_of_a_method_that_need_too_much(
    method, sentence, tmp_path, photograph, capsys, monkeypatch
):
    monkeypatch.setattr(batching, "free_memory", lambda: 10**9)
    model = "{name: tiny:small_net, image_size: 64}"
    settings = {"model": model, "images": photograph("a.png"), "method": method}
    run_explain(tmp_path / "out", code=2, **settings)
    assert sentence in capsys.readouterr().err


def test_too_many_squares_are_refused(monkeypatch):
    monkeypatch.setattr(occlusion, "MOST_VERSIONS", 63)
    images = paddle.zeros([1, 3, 8, 8])
    with pytest.raises(ConfigError, match="squares must be at most 63, not 64"):
        vp.occlusion(small_net(), images, 1, size=1, stride=1)


def test_a_pass_holds_fewer_large_images():
    """A pass of 32 images of 1024 × 1024 is the largest, if nobody asks for less."""
    sizes = {1024: 32, 2048: 8, 8192: 1}
    for side, count in sizes.items():
        images = paddle.to_tensor(0.0).expand([1, 1, side, side])
        assert batching.versions_per_pass(small_net(), images, 32) == count
        assert batching.versions_per_pass(small_net(), images, 5) == min(5, count)


def test_free_memory_of_a_container(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemFree: 1 kB\nMemAvailable:   3000 kB\n")
    assert batching.free_memory(tmp_path) == 3000 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("500\n")
    assert batching.free_memory(tmp_path) == 3000 * 1024
    (group / "memory.max").write_text("2000\n")
    assert batching.free_memory(tmp_path) == 1500
    assert batching.free_memory(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("run", "writer"), [(run_explain, (FigureWriter, "take")), (run_generate, (Run, "_write"))]
)
def test_results_that_are_gone_at_the_end_are_missed(
    run, writer, tmp_path, photograph, capsys, monkeypatch
):
    """The output is removed between two results. The later ones are written all the same."""
    owner, name = writer
    write, calls = getattr(owner, name), []

    def write_and_lose(self, result):
        write(self, result)
        calls.append(result)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "out")

    monkeypatch.setattr(owner, name, write_and_lose)
    pictures = f"[{photograph('a.png')}, {photograph('b.png')}]"
    own = {"images": pictures}
    if run is run_generate:
        own = {"target": 1, "iterations": 2, "frames.every": 1}
    run(tmp_path / "out", code=2, **TINY, **own)
    assert "results are not in" in capsys.readouterr().err and len(calls) > 1


@pytest.mark.parametrize("command", MEASURES)
def test_results_of_measures_that_are_gone_at_the_end_are_missed(
    command, tmp_path, photographs, command_error, monkeypatch
):
    replace, written = os.replace, []

    def replace_and_lose(before, after):
        replace(before, after)
        written.append(after)
        if len(written) == 2:
            shutil.rmtree(tmp_path / "out")

    monkeypatch.setattr(os, "replace", replace_and_lose)
    settings = {**MEASURES[command], **TINY, "images": photographs, "output": tmp_path / "out"}
    error = command_error(*command.split(), *overrides(settings))
    assert "results are not in" in error and str(written[0]) in error and len(written) > 2
