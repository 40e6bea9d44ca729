"""What method 2 writes for each objective, from YAML."""

import json
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load, save

from visualize_pd import crop, load_image, load_model, noise, to_tensor
from visualize_pd.app.commands.scripts import generate_command
from visualize_pd.app.config.schema import GenerateConfig
from visualize_pd.app.generate import run as generate_module
from visualize_pd.core.config import build
from visualize_pd.synthesis.builder import configured_ascent
from visualize_pd.synthesis.inversion import inversion
from visualize_pd.synthesis.objectives import class_score
from visualize_pd.synthesis.priors import pixel_steps

ROOT = Path(__file__).parents[2]
TINY = {"model": "{name: tiny:small_net, image_size: 32}", "frames.every": "2"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT / "tests")


@pytest.fixture
def generate(tmp_path):
    def run(recipe, code=0, resume=False, **settings):
        keys = {**TINY, "output": tmp_path, **settings}
        arguments = [part for key, value in keys.items() for part in ("-o", f"{key}={value}")]
        arguments += ["--resume"] if resume else []
        assert generate_command(ROOT / f"configs/{recipe}.yaml", arguments) == code
        return tmp_path / "method_2"

    return run


def made(folder):
    """The record, and the frames by their iteration."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    frames = {row["iteration"]: Image.open(folder / row["file"]) for row in record["frames"]}
    return record, frames


def network():
    return load_model("tiny:small_net", image_size=32).network


def test_filter(generate):
    options = {"layer": "0", "channel": 2, "iterations": 6, "animation.format": "webp"}
    folder = generate("filter", **options) / "filter_0_2"
    record, frames = made(folder)
    assert sorted(frames) == [0, 2, 4, 6] and record["complete"]
    assert record["layer"] == "0" and record["channel"] == 2
    scores = [row["score"] for row in record["frames"]]
    assert scores[-1] == record["final_score"] > scores[0]
    (maps,) = (network()[0](to_tensor([frames[6]])),)
    assert maps[0, 2].mean().item() == pytest.approx(scores[-1], abs=0.02)  # but for rounding
    assert (folder / "filter_0_2.webp").is_file() and (folder / "filter_0_2.png").is_file()


def test_dream_keeps_the_size_of_its_photograph(generate, photograph):
    path = photograph(width=90, height=50)
    settings = {"layer": "2", "init": path, "octaves": 2, "iterations": 4}
    record, frames = made(generate("deep_dream", **settings) / "dream_2")
    assert sorted(frames) == [0, 2, 4, 6, 8] and frames[8].size == (90, 50)
    before = np.asarray(load_image(path)).astype(int)
    assert np.abs(np.asarray(frames[0]) - before).max() <= 1
    assert np.abs(np.asarray(frames[8]) - before).max() > 5
    with paddle.no_grad():
        maps = network()[:3](to_tensor([frames[8]]))
    assert record["final_score"] == pytest.approx(float((maps**2).mean()) / 2, rel=0.05)
    assert record["final_score"] > record["frames"][0]["score"]


def test_inversion_comes_near_to_its_photograph(generate, photograph):
    settings = {"layer": "0", "init": photograph(), "iterations": 40, "priors.shift": 0}
    record, frames = made(generate("inversion", **settings) / "inversion_0")
    scores = [row["score"] for row in record["frames"]]
    assert scores[0] < -0.9 and scores[-1] > -0.5  # at first the image is nearly empty
    picture = load_image(photograph()).convert("RGB")
    side = round(32 * 256 / 224)
    wanted, found = (
        network()[0](to_tensor([each])).numpy() for each in (crop(picture, 32, side), frames[40])
    )
    distance = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    assert -scores[-1] == pytest.approx(distance, abs=0.03)


def test_exponents_of_an_inversion(generate, photograph):
    """By YAML as by the function; its own default is 2, not the class image's 1."""
    common = {"layer": "0", "init": photograph(), "iterations": 5, "frames.every": 5}
    maker = load_model("tiny:small_net", image_size=32)
    image = maker.prepare([load_image(photograph())])
    strong = {"priors.total_variation": 0.01, "priors.alpha_norm": 0.01, "priors.shift": 0}
    for given, options in (
        ({}, {"beta": 2, "alpha": 6}),
        ({"priors.beta": 1, "priors.alpha": 2}, {"beta": 1, "alpha": 2}),
    ):
        _, frames = made(generate("inversion", **common, **strong, **given) / "inversion_0")
        weights = {"total_variation": 0.01, "alpha_norm": 0.01, "shift": 0}
        *_, last = inversion(maker.network, "0", image, iterations=5, **weights, **options)
        np.testing.assert_array_equal(np.asarray(frames[5]), maker.to_pixels(last.image)[0])


def test_several_classes_side_by_side(generate):
    """Each is the same as alone; one picture, one animation, one record for all."""
    common = {"iterations": 4, "animation.size": 64, "animation.score": "true"}
    folder = generate("class_image", target="[2, 0]", **common) / "class_2_0"
    record, frames = made(folder)
    assert record["target"] == [2, 0] and record["class"] == ["class 2", "class 0"]
    assert frames[4].size == (64, 32)
    for place, target in enumerate([2, 0]):
        alone, single = made(generate("class_image", target=target, **common) / f"class_{target}")
        ours = np.asarray(frames[4].crop((32 * place, 0, 32 * place + 32, 32))).astype(int)
        assert np.abs(ours - np.asarray(single[4])).max() <= 1
        assert record["frames"][-1]["score"][place] == pytest.approx(alone["final_score"], abs=1e-3)
        assert record["frames"][-1]["probability"][place] == pytest.approx(
            alone["final_probability"], abs=1e-3
        )
    with Image.open(folder / "class_2_0.gif") as gif:
        assert gif.size == (2 * 64 + 3 * 8, 64 + 2 * 8 + 26) and gif.n_frames == 3
    assert (folder / "class_2_0.png").is_file()


STILL = {"priors.shift": 0, "priors.rotation": 0, "priors.zoom": "[1, 1]", "learning_rate": 0.5}


def test_a_weighted_sum_of_classes(generate):
    settings = {"target": "{2: 1, 0: -0.5}", "iterations": 20, **STILL}
    record, frames = made(generate("class_image", **settings) / "mix_2_0")
    assert record["target"] == {"2": 1, "0": -0.5}
    logits = network()(to_tensor([frames[20]])).numpy()[0]
    assert record["final_score"] == pytest.approx(logits[2] - 0.5 * logits[0], abs=0.01)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert record["final_probability of class 2"] == pytest.approx(shares[2], abs=0.005)
    assert record["final_probability of class 0"] == pytest.approx(shares[0], abs=0.005)
    assert record["final_score"] > record["frames"][0]["score"] + 0.1


def test_a_contact_sheet_of_channels(generate):
    """A range, a list and `all` of one layer: each image excites its own channel."""
    common = {"layer": "0", "iterations": 4, "frames.every": 4}
    record, frames = made(generate("filter", channel="all", **common) / "filter_0_0-3")
    assert record["channel"] == [0, 1, 2, 3] and frames[4].size == (128, 32)
    tiles = [frames[4].crop((x, 0, x + 32, 32)) for x in (0, 32, 64, 96)]
    means = network()[0](to_tensor(tiles)).mean([2, 3]).numpy()
    np.testing.assert_allclose(record["frames"][-1]["score"], means.diagonal(), atol=0.02)
    part, _ = made(generate("filter", channel="1-2", **common) / "filter_0_1_2")
    assert part["channel"] == [1, 2]
    np.testing.assert_allclose(part["frames"][-1]["score"], means.diagonal()[1:3], atol=0.02)
    listed, _ = made(generate("filter", channel="[3, 1]", **common) / "filter_0_3_1")
    np.testing.assert_allclose(listed["frames"][-1]["score"], means.diagonal()[[3, 1]], atol=0.02)


def test_batches_of_a_sheet_are_the_sheet(generate, monkeypatch):
    common = {"layer": "0", "channel": "all", "iterations": 3}
    together, frames = made(generate("filter", **common) / "filter_0_0-3")
    before = np.asarray(frames[3]).astype(int)
    monkeypatch.setattr("visualize_pd.app.generate.task.images_per_pass", lambda *_: 3)
    apart, frames = made(generate("filter", **common) / "filter_0_0-3")
    assert np.abs(np.asarray(frames[3]) - before).max() <= 1
    np.testing.assert_allclose(
        apart["frames"][-1]["score"], together["frames"][-1]["score"], atol=1e-4
    )


def test_a_neuron(generate):
    settings = {"layer": "0", "channel": 1, "position": "[5, 9]", "iterations": 4}
    record, frames = made(generate("filter", **settings) / "filter_0_1_at_5_9")
    value = float(network()[0](to_tensor([frames[4]]))[0, 1, 5, 9])
    assert record["final_score"] == pytest.approx(value, abs=0.05)
    assert record["position"] == [5, 9]


def test_first_layers_weights(generate, capsys):
    """Each filter about grey: its strongest weight is 0 or 255."""
    folder = generate("first_layer") / "weights_0"
    sheet = np.asarray(Image.open(folder / "weights_0.png").convert("RGB"))
    weights = network()[0].weight.numpy()
    assert f"{len(weights)} filters of 3x3" in capsys.readouterr().out
    shares = 0.5 + weights / np.abs(weights).max(axis=(1, 2, 3), keepdims=True) / 2
    wanted = np.round(shares * 255).transpose(0, 2, 3, 1).astype("uint8")
    for filter_ in wanted:
        big = filter_.repeat(54, axis=0).repeat(54, axis=1)
        corner = big[0, 0]
        places = np.argwhere((sheet == corner).all(axis=2))
        assert any(np.array_equal(sheet[y : y + 162, x : x + 162], big) for y, x in places[:2000])


def killed_after(process, file):
    deadline = time.time() + 60
    while not file.exists() and time.time() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_resumed_run_ends_with_the_same_files(tmp_path, capsys, monkeypatch, how):
    """Broken off by force after a frame, or by Ctrl-C between two."""
    settings = {**TINY, "target": 1, "iterations": 300, "frames.every": 50}
    overrides = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
    config = ROOT / "configs/class_image.yaml"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert generate_command(config, [*overrides, "-o", f"output={whole}"]) == 0
    command = [*overrides, "-o", f"output={broken}"]
    frames = broken / "method_2/class_1/pp"
    if how == "killed":
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "method_2_pp.py"), *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        killed_after(process, frames / "c_1_iter_50_pp.png")
        assert process.returncode != 0
    else:
        with monkeypatch.context() as patch:
            patch.setattr(generate_module, "noted_interrupts", lambda: nullcontext(Stop(24)))
            assert generate_command(config, command) == 130
        assert (frames / "c_1_iter_24_pp.png").is_file()
    assert generate_command(config, [*command, "--resume"]) == 0
    assert "starting anew" not in capsys.readouterr().out
    files = files_below(whole)
    assert files == files_below(broken) and len(files) == 7 + 4
    for path in files:
        if path.suffix in (".png", ".gif"):
            assert (whole / path).read_bytes() == (broken / path).read_bytes(), path
    first, second = (made(folder / "method_2/class_1")[0] for folder in (whole, broken))
    assert first["frames"] == second["frames"] and second["complete"]


def files_below(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


class Stop:
    """An event that is set after it was asked so many times: once for each iteration."""

    def __init__(self, iteration):
        self.left = iteration

    def is_set(self):
        self.left -= 1
        return self.left < 0


def test_resuming_a_complete_run_makes_another_animation(generate, monkeypatch):
    common = {"iterations": 6, "layer": "0", "channel": 1, **STILL}
    folder = generate("filter", **common) / "filter_0_1"
    before = (folder / "pp/filter_0_1_iter_6_pp.png").stat().st_mtime_ns
    steps = []
    monkeypatch.setattr(paddle.optimizer.Adam, "step", lambda *_: steps.append(1))
    generate("filter", resume=True, **common, **{"animation.format": "webp"})
    assert (folder / "filter_0_1.webp").is_file() and not steps
    with Image.open(folder / "filter_0_1.webp") as animation:
        assert animation.n_frames == 4
    assert (folder / "pp/filter_0_1_iter_6_pp.png").stat().st_mtime_ns >= before


def test_random_weights_cannot_be_resumed(generate, capsys):
    settings = {"model": "{name: tiny:small_net, image_size: 32, weights: random}", "iterations": 2}
    for code, resume in ((0, False), (2, True)):
        generate("filter", code=code, resume=resume, layer="0", channel=1, **settings)
    assert "random weights are others in each run" in capsys.readouterr().err


def test_mp4_without_its_extra_is_told_before_the_work(generate, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    generate("filter", code=2, layer="0", channel=1, **{"animation.format": "mp4"})
    err = capsys.readouterr().err
    assert "[mp4]" in err and "it/s" not in err


def test_nothing_to_resume(generate, capsys):
    generate("filter", resume=True, layer="0", channel=1, iterations=2)
    assert "nothing to resume" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "state.safetensors").write_bytes(b"none"), "cannot resume"),
        (lambda folder: (folder / "pp/filter_0_1_iter_2_pp.png").unlink(), "cannot resume"),
        (lambda folder: Image.new("RGB", (9, 8)).save(folder / "pp/filter_0_1_iter_2_pp.png"),
         "cannot resume"),
        (lambda folder: {"iterations": 9}, "a run with another iterations; take the same"),
        (lambda folder: {"learning_rate": 0.2, "priors.shift": 1}, "learning_rate and priors"),
    ],
)  # fmt: skip
def test_what_cannot_be_resumed(generate, capsys, damage, message):
    common = {"layer": "0", "channel": 1, "iterations": 4}
    folder = generate("filter", **common) / "filter_0_1"
    changed = damage(folder)
    changed = changed if isinstance(changed, dict) else {}
    generate("filter", code=2, resume=True, **{**common, **changed})
    err = capsys.readouterr().err
    assert message in err and "without --resume" in err and "Traceback" not in err


@pytest.mark.parametrize(
    "change",
    [
        lambda record, arrays: record.update(config=5),
        lambda record, arrays: record.update(config="text"),
        lambda record, arrays: record.update(config=[[1]]),
        lambda record, arrays: record.update(iteration=2.0),
        lambda record, arrays: record.update(iteration=-2),
        lambda record, arrays: record.update(iteration=10**9),
        lambda record, arrays: record["frames"][0].pop("score"),
        lambda record, arrays: record["frames"][0].update(score=None),
        lambda record, arrays: record["frames"][0].update(score="high"),
        lambda record, arrays: record["frames"][0].update(score=10**400),
        lambda record, arrays: "[" * 100_000,
        lambda record, arrays: arrays.update({"0.variable": arrays["0.variable"].astype("f8")}),
        lambda record, arrays: arrays.update({"0.moment1_0": arrays["0.moment1_0"].astype("f2")}),
        lambda record, arrays: arrays.update({"0.moment1_0": arrays["0.moment1_0"][:, :1]}),
        lambda record, arrays: arrays.update({"0.moment2_0": np.zeros((), "f4")}),
        lambda record, arrays: arrays.pop("0.moment1_0"),
    ],
)
def test_a_state_that_no_run_writes(generate, capsys, monkeypatch, change):
    common = {"target": 1, "iterations": 4, "animation.score": "true"}
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "noted_interrupts", lambda: nullcontext(Stop(2)))
        folder = generate("class_image", code=130, **common) / "class_1"
    path = folder / "state.safetensors"
    with safe_open(str(path), framework="numpy") as file:
        record = json.loads(file.metadata()["run"])
    arrays = load(path.read_bytes())
    text = change(record, arrays)
    run = text if isinstance(text, str) else json.dumps(record)
    path.write_bytes(save(arrays, {"run": run}))
    generate("class_image", code=2, resume=True, **common)
    err = capsys.readouterr().err
    assert "resume" in err and "Traceback" not in err and "Error" not in err


def test_frames_of_another_size_cannot_be_resumed(generate, capsys):
    common = {"layer": "0", "channel": 1, "iterations": 4}
    folder = generate("filter", **common) / "filter_0_1"
    for path in folder.glob("pp/*.png"):
        Image.new("RGB", (9, 9)).save(path)
    generate("filter", code=2, resume=True, **common)
    assert "were of another size; run without --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("filter", {"layer": "9"}, "no layer '9'"),
        ("filter", {"layer": "0", "channel": 4}, "no channel 4"),
        ("filter", {"layer": "null"}, "objective filter needs a layer"),
        ("deep_dream", {"layer": "0", "init": "noise"}, "needs a picture"),
        ("deep_dream", {"layer": "0", "init": "none.jpg"}, "none.jpg"),
        ("inversion", {"layer": "0", "init": "grey"}, "needs a picture"),
        ("inversion", {"layer": "null", "init": "noise"}, "needs a layer"),
        ("filter", {"animation.format": "avi"}, "unknown animation format 'avi'; use gif, webp"),
        ("filter", {"layer": "0", "channel": "[0, 4]"}, "no channel 4"),
        ("filter", {"layer": "0", "channel": "[]"}, "channel asks for 0 images"),
        ("filter", {"layer": "0", "channel": "0-999"}, "channel asks for 1000 images"),
        (
            "filter",
            {"layer": "0", "channel": "some"},
            "a list, all or a range such as 0-15, not 'some'",
        ),
        ("filter", {"layer": "0", "channel": "15-3"}, "a range such as 0-15, not '15-3'"),
        ("filter", {"layer": "0", "channel": -1}, "channel must be a whole number of at least 0"),
        ("filter", {"layer": "none", "channel": "all"}, "no layer 'none'"),
        ("filter", {"layer": "0", "position": "[1]"}, "position must be [row, column]"),
        ("filter", {"layer": "0", "channel": 1, "position": "[1, 99]"}, "no neuron at (1, 99)"),
        ("first_layer", {"layer": "2"}, "layer '2' has no filters of 3 channels"),
        ("first_layer", {"layer": "none"}, "no layer 'none'"),
        ("filter", {"objective": "weights"}, "objective weights does not read channel, cooling"),
        ("first_layer", {"target": 3}, "does not read target; leave that out"),
        ("deep_dream", {"lambda": 0.5, "init": "x"}, "deep_dream does not read lambda"),
        ("class_image", {"target": "[0, 7]"}, "class 7 does not exist"),
        ("class_image", {"target": "[]"}, "target asks for 0 images"),
        ("class_image", {"target": "[0, predicted]"}, "a class index or a class name"),
        ("class_image", {"target": "{0: 1, 7: 1}"}, "class 7 does not exist"),
        ("class_image", {"target": "{0: much}"}, "the weight of 0 in target must be a number"),
        ("class_image", {"target": "{0: .nan}"}, "must be a number"),
        ("class_image", {"target": "{}"}, "no class to mix"),
        ("class_image", {"target": "{0: 1, ' 0': 1}"}, "target names class 0 twice"),
        ("class_image", {"animation.size": 5}, "animation.size must be at least 16"),
        ("filter", {"objective": "dream"}, "unknown objective 'dream'; use class_image, filter"),
        ("deep_dream", {"octave_scale": 1}, "octave_scale must be greater than 1"),
    ],
)
def test_mistakes_end_in_one_sentence(generate, capsys, recipe, settings, message):
    generate(recipe, code=2, **settings)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


MEAN, STD = (np.reshape(each, (3, 1, 1)) for each in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.1]))
LOW, HIGH = -MEAN / STD, (1 - MEAN) / STD


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        ({"blur": 1.5, "blur_every": 1}, lambda image, _: pixel_steps.gaussian_blur(image, 1.5)),
        ({"blur": 1.5, "blur_every": 2}, lambda image, _: image),
        ({"small_norm": 0.3},
         lambda image, _: pixel_steps.zero_smallest(image, (image**2).sum(1, keepdim=True), 0.3)),
        ({"small_contribution": 0.6}, lambda image, slope: pixel_steps.zero_smallest(
            image, (image * slope).sum(1, keepdim=True).abs(), 0.6)),
        ({"clamp": True}, lambda image, _: np.clip(image.numpy(), LOW, HIGH)),
    ],
)  # fmt: skip
def test_what_is_done_to_the_pixels_after_a_step(prior, expected):
    """One step without it, then by hand."""
    maker = load_model("tiny:small_net", image_size=32, mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.1])
    start, common = noise((1, 3, 32, 32), std=3.0), {"shift": 0, "total_variation": 0}

    def steps(**own):
        values = {"iterations": 1, "lambda": 0, "priors": {**common, **own}}
        return [
            f.image
            for f in configured_ascent(build(GenerateConfig, values), maker, class_score(1), start)
        ]

    x = start.detach()
    x.stop_gradient = False
    (slope,) = paddle.grad(-maker.network(x)[:, 1].sum(), x)
    _, plain = steps()
    _, found = steps(**prior)
    np.testing.assert_allclose(found.numpy(), np.asarray(expected(plain, slope)), atol=1e-5)


def test_a_spectrum_cannot_be_blurred(generate, capsys):
    generate("filter", code=2, **{"layer": 0, "priors.blur": 1})
    assert "use parametrisation=pixels" in capsys.readouterr().err
