"""Every measure ranks maps right: exact ones are best, random ones worse, reversed ones worst."""

import numpy as np
import paddle
import pytest
from known_scores import ZERO, W, contributions
from toys import Linear, images

from visualize_pd.evaluate import average_drop, deletion, infidelity, insertion, pointing_game


def three_maps(batch, w=W):
    """Three maps of a linear network with the same values, `[N, 1, H, W]` each.

    The exact contributions, the same in random order, and the same with the order reversed.
    """
    exact = contributions(batch, [0] * len(batch), w).reshape(len(batch), -1)
    random = np.random.default_rng(6)
    mixed = np.stack([random.permutation(each) for each in exact])
    reverse = np.empty_like(exact)
    for out, each in zip(reverse, exact):
        out[np.argsort(each)] = np.sort(each)[::-1]
    shape = (len(batch), 1, *batch.shape[2:])
    return [each.reshape(shape) for each in (exact, mixed, reverse)]


def test_insertion_and_deletion_rank_the_maps():
    batch = images(6)
    true, mixed, reverse = three_maps(batch)
    curves = [insertion(Linear(W), batch, maps, 0, **ZERO) for maps in (true, mixed, reverse)]
    assert (curves[0].scores >= curves[1].scores - 1e-4).all()
    assert (curves[1].scores >= curves[2].scores - 1e-4).all()
    assert (curves[0].areas > curves[1].areas + 1).all()
    assert (curves[1].areas > curves[2].areas + 1).all()
    curves = [deletion(Linear(W), batch, maps, 0, **ZERO) for maps in (true, mixed, reverse)]
    assert (curves[0].scores <= curves[1].scores + 1e-4).all()
    assert (curves[1].scores <= curves[2].scores + 1e-4).all()
    assert (curves[0].areas < curves[1].areas - 1).all()
    assert (curves[1].areas < curves[2].areas - 1).all()


def test_pointing_game_ranks_the_maps():
    batch = images(40)
    true, mixed, reverse = three_maps(batch)
    limits = np.quantile(true, 0.6, axis=(1, 2, 3), keepdims=True)
    truth = list((true > limits)[:, 0])
    first, second, third = (pointing_game(maps, truth) for maps in (true, mixed, reverse))
    assert first.all() and not third.any()
    assert 0.2 < second.mean() < 0.6  # the objects cover 14 of 35 pixels


def test_average_drop_ranks_the_maps():
    """All contributions are positive, and the maps hold the same values.

    So the score of image × map is largest where both are in the same order.
    """
    batch, w = paddle.to_tensor(np.abs(images(6).numpy())), np.abs(W)
    first, second, third = (
        average_drop(Linear(w), batch, maps, 0, score="logit").drops
        for maps in three_maps(batch, w)
    )
    assert (first < second - 0.02).all() and (second < third - 0.02).all()


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_ranks_the_maps(scaled):
    batch, w = paddle.to_tensor(np.abs(images(30).numpy())), np.abs(W)
    first, second, third = (
        infidelity(Linear(w), batch, maps, 0, scaled=scaled) for maps in three_maps(batch, w)
    )
    assert first.max() < 1e-9 * third.min()
    assert second.mean() < 0.9 * third.mean()


def test_scaled_infidelity_does_not_forgive_a_wrong_sign():
    """The scale factor is never negative, so a map with the wrong sign stays wrong."""
    batch = images(6)
    true, mixed, _ = three_maps(batch)
    random, wrong, nothing = (
        infidelity(Linear(W), batch, maps, 0) for maps in (mixed, -true, 0 * true)
    )
    assert (wrong >= random).all() and wrong.mean() > random.mean()
    assert (wrong >= nothing * (1 - 1e-9)).all()
