"""Class images of method 2: the start image, the frames, the animation and the record."""

import json

import numpy as np
import paddle
import pytest
from app_helpers import (
    GENERATE,
    LITE,
    ROOT,
    STILL,
    TINY_200,
    overrides,
    read_run,
    run_generate,
    tiny_network,
)
from PIL import Image

from visualize_pd import load_image, load_model, noise, to_tensor
from visualize_pd.app.config.schema import GenerateConfig
from visualize_pd.core import images
from visualize_pd.core.config import build
from visualize_pd.synthesis.builder import configured_ascent
from visualize_pd.synthesis.objectives import class_score
from visualize_pd.synthesis.priors import pixel_steps

pytestmark = pytest.mark.usefixtures("tests_folder")


def test_method_2_generates_a_flamingo(run_script, tmp_path):
    settings = {"iterations": 40, "frames.every": 10, "output": tmp_path, **LITE}
    config = ["--config", "configs/class_image_fourier.yaml"]
    done = run_script(GENERATE, *config, *overrides(settings), timeout=200)
    assert done.returncode == 0, done.stderr
    assert "score=" in done.stderr  # the progress bar
    folder = tmp_path / "method_2/class_130"
    frames = [folder / f"pp/c_130_iter_{i}_pp.png" for i in (0, 10, 20, 30, 40)]
    assert sorted((folder / "pp").iterdir()) == sorted(frames)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["class"] == "flamingo" and record["complete"]
    assert record["config"]["lambda"] == 0.0008 and record["config"]["iterations"] == 40
    assert record["versions"]["paddle"] == paddle.__version__
    assert record["network"] == "EfficientNet-Lite0"
    classifier = load_model("efficientnet_lite0")
    for row, path in zip(record["frames"], frames):
        assert folder / row["file"] == path
        pixels = images.to_tensor([Image.open(path)], classifier.mean, classifier.std)
        logits = classifier.network(pixels).numpy()[0]  # of the image rounded to 8 bits
        assert row["score"] == pytest.approx(logits[130], abs=0.5)
    assert record["final_score"] > record["frames"][0]["score"] + 5
    assert record["final_probability"] > 0.5
    with Image.open(folder / "class_130.gif") as gif:
        assert gif.n_frames == 5 and gif.info["loop"] == 0
        for i, path in enumerate(frames):
            gif.seek(i)
            assert gif.info["duration"] == (2000 if i == 4 else 200)
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - np.asarray(Image.open(path))).mean() < 8
    assert Image.open(folder / "class_130.png").size[0] >= 448


def test_class_image_starts_from_an_image_file(tmp_path):
    panda = ROOT / "content/images/giant_panda.jpg"
    folder = run_generate(tmp_path, init=panda, iterations=1, **TINY_200)
    start = np.asarray(Image.open(folder / "class_130/pp/c_130_iter_0_pp.png"))
    expected = images.crop(load_image(panda), 32, round(32 * 256 / 224), "bilinear")
    assert np.abs(start.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(("init", "deviation"), [("grey", 0), ("noise", 0.2 * 0.226 * 255)])
def test_class_image_starts_from_grey_or_noise(tmp_path, init, deviation):
    folder = run_generate(tmp_path, init=init, init_std=0.2, iterations=1, **TINY_200)
    start = np.asarray(Image.open(folder / "class_130/pp/c_130_iter_0_pp.png"))
    np.testing.assert_allclose(start.mean((0, 1)), np.multiply(images.IMAGENET_MEAN, 255), atol=2)
    assert (start - start.mean((0, 1))).std() == pytest.approx(deviation, rel=0.1, abs=0.01)


def test_same_seed_gives_the_same_files(tmp_path):
    for folder in ("a", "b"):
        run_generate(tmp_path / folder, iterations=8, **TINY_200)
    names = [f"pp/c_130_iter_{i}_pp.png" for i in (0, 8)] + ["class_130.gif", "class_130.png"]
    for name in names:
        first, second = (tmp_path / f / "method_2/class_130" / name for f in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_new_run_removes_the_frames_of_an_earlier_one_but_no_other_file(tmp_path):
    folder = tmp_path / "method_2/class_130/pp"
    for iterations in (9, 4):
        run_generate(tmp_path, iterations=iterations, **TINY_200)
        (folder / "c_130_iter_x_notes.png").write_text("a person's own file")
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["c_130_iter_0_pp.png", "c_130_iter_4_pp.png", "c_130_iter_x_notes.png"]


def test_several_classes_side_by_side(generate):
    """Each class image is the same as alone. All share one image, animation and record."""
    common = {"iterations": 4, "animation.size": 64, "animation.score": "true"}
    folder = generate("class_image", target="[2, 0]", **common) / "class_2_0"
    record, frames = read_run(folder)
    assert record["target"] == [2, 0] and record["class"] == ["class 2", "class 0"]
    assert frames[4].size == (64, 32)
    for place, target in enumerate([2, 0]):
        alone, single = read_run(
            generate("class_image", target=target, **common) / f"class_{target}"
        )
        ours = np.asarray(frames[4].crop((32 * place, 0, 32 * place + 32, 32))).astype(int)
        assert np.abs(ours - np.asarray(single[4])).max() <= 1
        assert record["frames"][-1]["score"][place] == pytest.approx(alone["final_score"], abs=1e-3)
        assert record["frames"][-1]["probability"][place] == pytest.approx(
            alone["final_probability"], abs=1e-3
        )
    with Image.open(folder / "class_2_0.gif") as gif:
        assert gif.size == (2 * 64 + 3 * 8, 64 + 2 * 8 + 26) and gif.n_frames == 3
    assert (folder / "class_2_0.png").is_file()


def test_weighted_sum_of_classes(generate):
    settings = {"target": "{2: 1, 0: -0.5}", "iterations": 20, **STILL}
    settings |= {"lambda": 0, "priors.total_variation": 0}
    record, frames = read_run(generate("class_image", **settings) / "mix_2_0")
    assert record["target"] == {"2": 1, "0": -0.5}
    logits = tiny_network()(to_tensor([frames[20]])).numpy()[0]
    assert record["final_score"] == pytest.approx(logits[2] - 0.5 * logits[0], abs=0.01)
    shares = np.exp(logits) / np.exp(logits).sum()
    assert record["final_probability of class 2"] == pytest.approx(shares[2], abs=0.005)
    assert record["final_probability of class 0"] == pytest.approx(shares[0], abs=0.005)
    assert record["final_score"] > record["frames"][0]["score"] + 0.1


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
def test_prior_changes_the_pixels_after_a_step(prior, expected):
    """A step with the prior gives what the prior's formula makes of a step without it."""
    maker = load_model("tiny:small_net", image_size=32, mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.1])
    start, common = noise((1, 3, 32, 32), std=3.0), {"shift": 0, "total_variation": 0}

    def steps(**own):
        values = {"iterations": 1, "lambda": 0, "priors": {**common, **own}}
        config = build(GenerateConfig, values)
        frames = configured_ascent(config, maker, class_score(1), start)
        return [frame.image for frame in frames]

    x = start.detach()
    x.stop_gradient = False
    (slope,) = paddle.grad(-maker.network(x)[:, 1].sum(), x)
    _, plain = steps()
    _, found = steps(**prior)
    np.testing.assert_allclose(found.numpy(), np.asarray(expected(plain, slope)), atol=1e-5)
