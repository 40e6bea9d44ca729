"""The worked example: maps of one class of a segmentation network."""

import numpy as np
import pytest

from visualize_pd import METHODS, scores
from visualize_pd.app.examples import segmentation


@pytest.fixture(scope="module")
def network():
    return segmentation.train(steps=100)


@pytest.fixture(scope="module")
def scenes():
    return segmentation.batch_of(12, np.random.default_rng(5))


def test_the_network_finds_both_shapes(network):
    assert min(segmentation.overlap(network, 20)) > 0.8


@pytest.mark.parametrize("name", ["saliency", "grad_cam", "occlusion", "integrated_gradients"])
@pytest.mark.parametrize("kind", [1, 2])
def test_the_map_of_a_class_lies_on_its_shape_and_not_on_the_other(network, scenes, name, kind):
    images, classes = scenes
    options = {
        "occlusion": {"size": 12, "stride": 12},
        "integrated_gradients": {"channel": "sum", "steps": 8},
    }
    score = scores.segmentation(kind)
    maps = np.abs(METHODS[name](network, images, score=score, **options.get(name, {})).numpy())
    for heat, truth in zip(maps[:, 0], classes.numpy()):
        assert heat[truth == kind].mean() > 2 * heat[truth == 3 - kind].mean()


def test_the_maps_of_a_given_mask(network, scenes):
    """The mask of the square and the class circle: what speaks there for the wrong class."""
    images, classes = scenes
    mask = (classes == 2).numpy()
    maps = METHODS["saliency"](network, images, score=scores.segmentation(1, mask)).numpy()
    for heat, truth in zip(maps[:, 0], mask):
        assert heat[truth].mean() > heat[~truth].mean()
