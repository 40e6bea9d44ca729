"""The rules for attention on two tokens, worked out by hand.

The network has a patch of 1 × 1 pixel for each of two tokens, x = (x₁, x₂), and blocks Z = A·x with
an attention A that does not depend on x. The score is w times the mean token after the last block.
"""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from toys import close

from visualize_pd import METHODS

X = np.array([2.0, -3.0])
W = 0.5
# Two blocks with two heads each. Every row sums to 1.
HEADS = np.array(
    [
        [[[0.5, 0.5], [0.25, 0.75]], [[0.1, 0.9], [1 / 3, 2 / 3]]],
        [[[0.8, 0.2], [0.5, 0.5]], [[0.4, 0.6], [0.9, 0.1]]],
    ]
)


class Mixing(nn.Layer):
    """Z = the mean over the heads of A·x."""

    def __init__(self, attention):
        super().__init__()
        self.logits = paddle.to_tensor(np.log(attention)[None], dtype="float32")

    def forward(self, x):
        heads = self.logits.shape[1]
        attention = functional.softmax(self.logits.expand([x.shape[0], heads, 2, 2]))
        return attention.matmul(x.unsqueeze(1)).mean(axis=1)


class TwoTokens(nn.Layer):
    """The mean of two tokens is read. The second class has the score −s."""

    def __init__(self, heads=HEADS):
        super().__init__()
        self.embed = nn.Conv2D(1, 1, 1, bias_attr=False)
        self.embed.weight.set_value(paddle.ones([1, 1, 1, 1]))
        self.blocks = nn.LayerList([Mixing(each) for each in heads])

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose([0, 2, 1])
        for block in self.blocks:
            x = block(x)
        read = x.mean(axis=1)
        return paddle.concat([W * read, -W * read], axis=1)


def image(values=X):
    return paddle.to_tensor(np.reshape(values, (1, 1, 1, 2)).astype("float32"))


def test_rollout():
    """(A₂ + I)/2 · (A₁ + I)/2, with A the mean over heads; the mean of the two rows."""
    first = np.array([[0.65, 0.35], [7 / 48, 41 / 48]])  # (mean of the heads + I) / 2
    second = np.array([[0.8, 0.2], [0.35, 0.65]])
    expected = (second @ first).mean(axis=0)
    close(METHODS["attention_rollout"](TwoTokens(), image()).numpy()[0, 0, 0], expected)


@pytest.mark.parametrize(("fusion", "first_row"), [("max", [0.5, 0.9]), ("min", [0.1, 0.5])])
def test_rollout_of_fused_heads_has_rows_that_sum_to_one(fusion, first_row):
    """One block: the rows of the fused attention are divided by their sums."""
    network = TwoTokens(HEADS[:1])
    rows = {
        "max": np.array([first_row, [1 / 3, 0.75]]),
        "min": np.array([first_row, [0.25, 2 / 3]]),
    }[fusion]
    mixed = (rows / rows.sum(axis=1, keepdims=True) + np.eye(2)) / 2
    found = METHODS["attention_rollout"](network, image(), head_fusion=fusion)
    close(found.numpy()[0, 0, 0], mixed.mean(axis=0))


def slopes():
    """∂s/∂A of each block and head for s = w · (the mean token of M₂·M₁·x), M = the mean head."""
    means = HEADS.mean(axis=1)
    row = np.full(2, 0.5) * W
    before_second = means[0] @ X
    second = np.outer(row, before_second) / 2
    first = np.outer(row @ means[1], X) / 2
    return [np.stack([first, first]), np.stack([second, second])]


@pytest.mark.parametrize(("target", "sign"), [(0, 1), (1, -1)])
def test_transformer_attribution(target, sign):
    relevance = np.eye(2)
    for heads, slope in zip(HEADS, slopes()):
        weighted = np.maximum(heads * slope * sign, 0).mean(axis=0)
        relevance = relevance + weighted @ relevance
    found = METHODS["transformer_attribution"](TwoTokens(), image(), target)
    close(found.numpy()[0, 0, 0], relevance.mean(axis=0))


@pytest.mark.parametrize(("target", "sign"), [(0, 1), (1, -1)])
def test_legrad(target, sign):
    """For the first block s is read from its own tokens, so the second block has no effect."""
    row = np.full(2, 0.5) * W
    own = np.outer(row, X) / 2  # ∂(w · mean of M₁·x)/∂ one head of A₁
    expected = sum(np.maximum(slope * sign, 0).mean(axis=0) for slope in (own, slopes()[1][0])) / 2
    found = METHODS["legrad"](TwoTokens(), image(), target)
    close(found.numpy()[0, 0, 0], expected)
