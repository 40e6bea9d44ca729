"""Maps, images, options and targets that a measure refuses, with a message that says why."""

import numpy as np
import paddle
import pytest
from known_scores import ALL_MEASURES, CURVES, MAP_MEASURES, W, measured
from toys import Linear, images

from visualize_pd import VisualizeError
from visualize_pd.core.checks import options_of
from visualize_pd.evaluate import infidelity


def having(option):
    return [method for method in MAP_MEASURES if option in options_of(method)]


@pytest.mark.parametrize("method", MAP_MEASURES)
@pytest.mark.parametrize(
    "shape", [(2, 1, 7, 5), (2, 1, 5, 6), (1, 1, 5, 7), (3, 1, 5, 7), (2, 5, 7), (5, 7), (2, 1)]
)
def test_maps_of_another_shape_are_refused(method, shape):
    with pytest.raises(VisualizeError, match=r"maps of \[.*do not fit images of .*2, 3, 5, 7"):
        method(Linear(W), images(), np.ones(shape), 1)


@pytest.mark.parametrize("method", MAP_MEASURES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_with_nan_or_infinity_are_refused(method, value):
    maps = np.ones((2, 3, 5, 7))
    maps[1, 2, 4, 3] = value
    with pytest.raises(VisualizeError, match="NaN or infinite"):
        method(Linear(W), images(), maps, 1)


@pytest.mark.parametrize("method", MAP_MEASURES)
@pytest.mark.parametrize("wrong", ["array", "three"])
def test_images_that_are_no_batch_or_no_tensor_are_refused(method, wrong):
    batch = images().numpy() if wrong == "array" else images()[0]
    maps = np.ones((2, 1, 5, 7)) if wrong == "array" else np.ones((1, 1, 5, 7))
    with pytest.raises(VisualizeError):
        method(Linear(W), batch, maps, 1)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        *[(method, {"steps": steps}) for method in CURVES for steps in (0, -1, 2.5, True, "all")],
        *[(method, {"batch_size": 0}) for method in MAP_MEASURES],
        *[(method, {"batch_size": 1.5}) for method in MAP_MEASURES],
        *[(method, {"score": "loss"}) for method in having("score")],
        *[(method, {"baseline": "grey"}) for method in having("baseline")],
        *[(method, {"baseline": None}) for method in having("baseline")],
        *[(method, {"baseline": paddle.ones([2, 3, 7, 5])}) for method in having("baseline")],
        *[(method, {"baseline": paddle.ones([3, 3, 5, 7])}) for method in having("baseline")],
        *[(infidelity, {"samples": samples}) for samples in (0, 1.5, True)],
        *[(infidelity, {"seed": seed}) for seed in (-1, 0.5)],
    ],
    ids=lambda value: getattr(value, "__name__", None) or "-".join(map(str, value.items()))[:30],
)
def test_message_names_the_wrong_option(method, option):
    (name,) = option
    with pytest.raises(VisualizeError, match=name):
        measured(method, Linear(W), images(), np.ones((2, 1, 5, 7)), 1, **option)


@pytest.mark.parametrize("method", ALL_MEASURES)
@pytest.mark.parametrize("target", [3, -1, [0, 1, 2], "cat"])
def test_targets_that_do_not_fit_are_refused(method, target):
    with pytest.raises(VisualizeError, match=r"class|targets"):
        measured(method, Linear(W), images(), np.ones((2, 1, 5, 7)), target)
