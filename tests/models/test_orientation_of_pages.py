"""A trained network of PaddleClas tells how a page lies, and looks at the text for it."""

import numpy as np
import pytest
from pages import orientation_network, page

from visualize_pd import layer_cam, smooth_grad
from visualize_pd.network.scores import probabilities


@pytest.fixture(scope="module")
def model():
    return orientation_network()


def share_on_text(maps, mask):
    amounts = np.abs(maps.numpy()[0]).sum(axis=0)
    return amounts[mask].sum() / amounts.sum()


@pytest.mark.parametrize("turns", range(4))
def test_the_class_is_found_and_its_maps_lie_on_the_text(model, turns):
    picture, mask = page(turns)
    images, mask = model.prepare([picture]), model.seen_mask(mask)
    found = probabilities(model.network(images)).numpy()[0]
    assert found.argmax() == turns and found[turns] > 0.8
    smooth = smooth_grad(model.network, images, turns, samples=8)
    assert share_on_text(smooth, mask) > 1.5 * mask.mean()
    fine = layer_cam(model.network, images, turns, target_layer="blocks4")
    assert share_on_text(fine, mask) > 2.5 * mask.mean()
