"""How often numbers are read from the device does not grow with the steps or samples of a loop."""

from pathlib import Path

import paddle
import pytest
from app_helpers import TINY, run_generate
from paddle import nn
from round_trips import round_trips
from tiny import small_net

import visualize_pd as vp
from visualize_pd.network import finite
from visualize_pd.synthesis.ascent import READ_EVERY, ascend
from visualize_pd.synthesis.parametrisations import Fourier, Pixels
from visualize_pd.synthesis.priors.settings import Views
from visualize_pd.synthesis.settings import Growth

SEGMENTS = (paddle.arange(256) // 16).reshape([1, 16, 16])
# For each method: options with two passes of two images, and with six or more.
LOOPS = {
    "smooth_grad": ({"samples": 4}, {"samples": 12}),
    "integrated_gradients": ({"steps": 4}, {"steps": 12}),
    "blur_ig": ({"steps": 4}, {"steps": 12}),
    "gradient_shap": ({"samples": 4}, {"samples": 12}),
    "expected_gradients": (
        {"samples": 4, "baselines": "mean"},
        {"samples": 12, "baselines": "mean"},
    ),
    "xrai": ({"steps": 4, "segments": "grid"}, {"steps": 12, "segments": "grid"}),
    "rise": ({"masks": 4}, {"masks": 12}),
    "occlusion": ({"size": 8, "stride": 8}, {"size": 8, "stride": 3}),
    "sobol": ({"samples": 2, "cells": 1}, {"samples": 6, "cells": 1}),
    "hsic": ({"samples": 4, "cells": 2}, {"samples": 12, "cells": 2}),
    "lime": ({"samples": 4, "segments": SEGMENTS}, {"samples": 12, "segments": SEGMENTS}),
    "kernel_shap": ({"samples": 4, "segments": SEGMENTS}, {"samples": 12, "segments": SEGMENTS}),
    "score_cam": ({"batch_size": 4}, {"batch_size": 1}),
    "ablation_cam": ({"batch_size": 4}, {"batch_size": 1}),
}


def trips(run):
    with round_trips() as made:
        run()
    return len(made)


def image(count=1):
    paddle.seed(1)
    return paddle.randn([count, 3, 16, 16])


def test_each_kind_of_read_counts_once():
    number, row = paddle.to_tensor(0.5), paddle.ones([2])
    for read in (float, int, bool, lambda x: x.item(), lambda x: x.numpy(), lambda x: x.tolist()):
        assert trips(lambda read=read: read(number)) == 1
    assert trips(lambda: (row + 1).sum()) == 0


@pytest.mark.parametrize("name", LOOPS)
def test_reads_of_a_method_do_not_grow_with_its_passes(name):
    network, method = small_net(), vp.METHODS[name]
    method(network, image(), 1, **{"batch_size": 2, **LOOPS[name][0]})  # checks of a first pass
    few, many = (
        trips(lambda options=options: method(network, image(), 1, **{"batch_size": 2, **options}))
        for options in LOOPS[name]
    )
    assert few == many > 0


def test_guided_ig_reads_one_gradient_in_a_step():
    """NumPy chooses the next step of its path by the gradient of the step before."""
    network = small_net()
    vp.guided_ig(network, image(), 1, steps=2)
    few, many = (trips(lambda n=n: vp.guided_ig(network, image(), 1, steps=n)) for n in (4, 12))
    assert many - few == 8


def test_methods_of_one_pass_read_as_often_for_many_images():
    network = small_net()
    for name in ("saliency", "grad_cam", "lrp", "deep_lift"):
        vp.METHODS[name](network, image(), 1)
        one, many = (trips(lambda n=n: vp.METHODS[name](network, image(n), 1)) for n in (1, 6))  # noqa: B023
        assert one == many, name


def batch_norm_net():
    paddle.seed(0)
    return nn.Sequential(
        nn.Conv2D(3, 4, 3, stride=2),
        nn.BatchNorm2D(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"statistics": 0.5, "rotation": 5, "zoom": (0.9, 1.1), "noise": 0.1},
        {"blur": 1.0, "small_norm": 0.1, "small_contribution": 0.1, "clamp": True},
        {"views": Views(size=12, parts=2)},
    ],
    ids=["defaults", "statistics", "pixel steps", "views"],
)
def test_an_ascent_reads_its_scores_once_in_ten_steps(options):
    network = batch_norm_net()

    def climb(iterations):
        keys = {"iterations": iterations, "init": vp.noise((1, 3, 16, 16))}
        for _ in vp.class_image(network, 1, **keys, **options):
            pass

    assert trips(lambda: climb(40)) - trips(lambda: climb(20)) == 20 / READ_EVERY


def test_a_growing_image_reads_no_more():
    network = batch_norm_net()

    def climb(iterations):
        canvas = Fourier(vp.noise((1, 3, 16, 16)), growth=Growth(sizes=[8, 12], share=0.8))
        for _ in ascend(network, lambda n, x: n(x)[:, 1], canvas, iterations=iterations):
            pass

    assert trips(lambda: climb(40)) - trips(lambda: climb(20)) == 20 / READ_EVERY


def test_a_run_with_candidates_reads_no_more(tmp_path, monkeypatch):
    """The judge looks at them once, at the end."""
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    monkeypatch.setattr("visualize_pd.app.generate.run.BAR_SECONDS", 1e9)
    judge = {"candidates": 2, "judge": "{name: 'tiny:other_net', image_size: 24}"}
    settings = {**TINY, **judge, "target": 1, "frames.every": 1000}

    def run(iterations):
        run_generate(tmp_path, iterations=iterations, **settings)

    run(10)
    assert trips(lambda: run(30)) - trips(lambda: run(10)) == 20 / READ_EVERY


@pytest.mark.parametrize(("bad", "infinite"), [(0, False), (7, False), (10, True), (24, True)])
def test_the_first_score_that_is_not_finite_is_named(bad, infinite):
    """Its iteration is known although the scores of ten steps are read together."""
    calls = []

    def objective(_network, images):
        calls.append(1)
        value = float("inf" if infinite else "nan") if len(calls) == bad + 1 else 1.0
        return (images * 0).sum(axis=[1, 2, 3]) + value

    frames = ascend(small_net(), objective, Pixels(image()), iterations=25)
    told = f"after {bad} iterations" if bad else "for the first image"
    with pytest.raises(vp.VisualizeError, match=f"not a finite number {told}"):
        list(frames)
    assert len(calls) == (-(-bad // READ_EVERY) * READ_EVERY if bad < 20 else 25) + 1


def test_a_frame_with_a_bad_score_cannot_be_read():
    def objective(_network, images):
        return images.sum(axis=[1, 2, 3]).log()  # of a negative number

    frames = ascend(small_net(), objective, Pixels(image().abs()), iterations=25, learning_rate=-9)
    with pytest.raises(vp.VisualizeError, match="lower learning_rate"):
        for frame in frames:
            assert frame.score > 0


class Breaking(nn.Layer):
    """Its score is finite, but from the third recorded pass on its gradient is not."""

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, images):
        self.passes += not images.stop_gradient
        still = (images * 0).sum(axis=[2, 3]) + (0.0 if self.passes > 2 else 1.0)
        return still.sqrt() + paddle.to_tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize(("seconds", "passes"), [(1e9, 10), (-1.0, 3)])
def test_a_bad_gradient_in_a_loop_is_an_error(monkeypatch, seconds, passes):
    """It is told at the end, or when the next check is due."""
    monkeypatch.setattr(finite, "SECONDS", seconds)
    network = Breaking()
    with pytest.raises(vp.VisualizeError, match="gradient of the score holds numbers that are not"):
        vp.smooth_grad(network, image(), 1, samples=10, batch_size=1)
    assert network.passes == passes


def test_after_an_error_in_a_loop_passes_are_checked_at_once():
    with pytest.raises(vp.VisualizeError):
        vp.smooth_grad(Breaking(), image(), 1, samples=10, batch_size=1)
    assert not finite.in_a_loop()
    with pytest.raises(vp.VisualizeError, match="class 9 does not exist"):
        vp.input_gradient(small_net(), image(), paddle.to_tensor([9]))
