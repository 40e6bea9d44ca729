"""Score-CAM and Ablation-CAM against plain loops over the channels."""

import numpy as np
import paddle
import pytest
from cam_toys import CAMS, PolynomialNetwork, nonnegative_images, random_network, resized
from toys import close, weights

import visualize_pd
from visualize_pd import VisualizeError


def score_by_hand(logits, target, score):
    exponentials = np.exp(logits - logits.max())
    probability = (exponentials / exponentials.sum())[target]
    return {
        "logit": logits[target],
        "probability": probability,
        "log_probability": np.log(probability),
    }[score]


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_score_cam_equals_a_loop_over_masked_images(score, batch_size):
    """The second channel is 0 everywhere, the fourth 1.5. As masks both hide the whole image."""
    network = random_network(channels=5, bend=0.2, stride=2)
    batch, targets = nonnegative_images(channels=5, height=8, width=12), [2, 0]
    batch[:, 3] = 1.5
    heat = visualize_pd.score_cam(
        network, paddle.to_tensor(batch), targets, score=score, batch_size=batch_size
    ).numpy()
    expected = []
    for image, target in zip(batch, targets):
        maps, scores = network.maps(image), []
        for channel in maps:
            mask = resized(channel, 8, 12)
            spread = mask.max() - mask.min()
            mask = (mask - mask.min()) / spread if spread else np.zeros_like(mask)
            scores.append(score_by_hand(network.logits(network.maps(image * mask)), target, score))
        alpha = np.exp(scores) / np.exp(scores).sum()
        small = np.maximum((alpha[:, None, None] * maps).sum(0), 0)
        expected.append(resized(small, 8, 12))
    close(heat, np.stack(expected)[:, None])


def test_score_cam_is_finite_for_huge_scores():
    network, batch = PolynomialNetwork(np.full((1, 3, 4, 6), 1e4)), nonnegative_images(1)
    heat = visualize_pd.score_cam(network, paddle.to_tensor(batch), 0)
    assert np.isfinite(heat.numpy()).all() and heat.max() > 0


@pytest.mark.parametrize("score", ["logit", "probability", "log_probability"])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_ablation_cam_equals_a_loop_over_removed_channels(score, batch_size):
    network = random_network(channels=5, bend=-0.2)
    batch, targets = nonnegative_images(channels=5), [2, 0]
    heat = visualize_pd.ablation_cam(
        network, paddle.to_tensor(batch), targets, score=score, batch_size=batch_size
    ).numpy()
    expected, scores = [], []
    for image, target in zip(batch, targets):
        maps, total = network.maps(image), 0.0
        scores.append(score_by_hand(network.logits(maps), target, score))
        for k in range(len(maps)):
            without = maps.copy()
            without[k] = 0
            drop = scores[-1] - score_by_hand(network.logits(without), target, score)
            total = total + drop / abs(scores[-1]) * maps[k]
        expected.append(np.maximum(total, 0))
    close(heat, np.stack(expected)[:, None])
    # With a negative score, a division by S_c in place of |S_c| would change the sign.
    assert score == "probability" or min(scores) < 0


class Shortcut(PolynomialNetwork):
    """S = Σ w · A · (2 + I): after the feature maps the image is used once more."""

    def forward(self, batch):
        maps = self.conv(batch) * (2 + batch)
        return paddle.einsum("nkhw,ckhw->nc", maps, paddle.to_tensor(self.w))


def test_ablation_cam_when_the_head_also_reads_the_image():
    network, batch = Shortcut(weights(3, 4, 6) + 0.5), nonnegative_images()
    heat = visualize_pd.ablation_cam(network, paddle.to_tensor(batch), 1).numpy()
    expected = []
    for image in batch.astype("float64"):
        drops = (network.w[1] * image * (2 + image)).sum((1, 2), keepdims=True)
        expected.append(np.maximum((drops / abs(drops.sum()) * image).sum(0), 0))
        assert expected[-1].max() > 0.5
    close(heat, np.stack(expected)[:, None])


def test_ablation_cam_does_not_divide_by_a_zero_score():
    """S = ΣA₁ − ΣA₂ = 3 − 3 = 0. So the weights are the drops 3 and −3 themselves."""
    batch = np.float32([[[[1, 2]], [[3, 0]]]])
    network = PolynomialNetwork(np.float32([[[[1, 1]], [[-1, -1]]]]))
    heat = visualize_pd.ablation_cam(network, paddle.to_tensor(batch), 0).numpy()
    np.testing.assert_allclose(heat, [[[[0, 6]]]], rtol=1e-6)


@pytest.mark.parametrize("name", ["score_cam", "ablation_cam"])
def test_wrong_batch_size(name):
    network, batch = random_network(), paddle.to_tensor(nonnegative_images())
    for wrong in (0, -1, 1.5, "all", True):
        with pytest.raises(VisualizeError, match="batch_size"):
            CAMS[name](network, batch, 0, batch_size=wrong)
