"""A transformer is trained to name a texture. Its maps must find the square that has the texture.

A third of the background is as bright as the square or brighter, so the patches alone do not tell
where the square is. The labels are smooth, so that the scores stay sensitive to the tokens.
"""

import numpy as np
import paddle
import pytest
from paddle.nn import functional
from transformers import Vit

from visualize_pd import METHODS

CLASSES, GRID, PATCH, SIDE = 4, 8, 4, 3  # the square has 3 × 3 of the 8 × 8 patches
PIXELS = GRID * PATCH
TEXTURES = np.random.default_rng(99).normal(0, 1, (CLASSES, 3, PATCH, PATCH)).astype("float32")


def pictures(count, seed):
    """Pictures, their classes, and the row and column of the first patch of the square."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 0.4, (count, 3, PIXELS, PIXELS))
    loud = random.choice([1.0, 4.0], p=[0.7, 0.3], size=(count, 1, GRID, 1, GRID, 1))
    noise = (noise.reshape(count, 3, GRID, PATCH, GRID, PATCH) * loud).reshape(noise.shape)
    classes = random.integers(0, CLASSES, count)
    places = random.integers(0, GRID - SIDE + 1, (count, 2))
    for picture, name, (row, column) in zip(noise, classes, places * PATCH):
        square = np.tile(TEXTURES[name], (1, SIDE, SIDE))
        picture[:, row : row + SIDE * PATCH, column : column + SIDE * PATCH] += square
    return noise.astype("float32"), classes, places


@pytest.fixture(scope="module")
def trained():
    paddle.seed(0)
    network = Vit(CLASSES, width=32, heads=4, depth=3, patch=PATCH, size=(PIXELS, PIXELS))
    optimiser = paddle.optimizer.AdamW(3e-3, weight_decay=0.05, parameters=network.parameters())
    network.train()
    for step in range(120):
        batch, classes, _ = pictures(32, 1000 + step)
        smooth = np.eye(CLASSES, dtype="float32")[classes] * 0.7 + 0.3 / CLASSES
        logits = network(paddle.to_tensor(batch))
        loss = functional.cross_entropy(logits, paddle.to_tensor(smooth), soft_label=True)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()
    network.eval()
    return network


def share_found(network, method, **options):
    batch, classes, places = pictures(100, seed=5)
    maps = METHODS[method](network, paddle.to_tensor(batch), classes.tolist(), **options).numpy()
    peaks = maps.reshape(100, -1).argmax(axis=1)
    patches = np.stack([peaks // PIXELS // PATCH, peaks % PIXELS // PATCH], axis=1)
    return ((patches >= places) & (patches < places + SIDE)).all(axis=1).mean()


FINDING = (
    *("attention_rollout", "transformer_attribution", "legrad"),
    *("grad_cam", "layer_cam", "eigen_grad_cam"),
)


@pytest.mark.parametrize("method", FINDING)
def test_token_methods_find_the_square(trained, method):
    assert share_found(trained, method) >= 0.95


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam"])
def test_cams_of_the_patch_embedding_do_not(trained, method):
    assert share_found(trained, method, target_layer="patch_embed") < 0.9
