"""Scores of segments, boxes and similarities, with gradients worked out by hand."""

import numpy as np
import paddle
import pytest
from every_method import METHODS
from paddle import nn
from toys import Linear, close, images, weights

from visualize_pd import gradient, occlusion, scores
from visualize_pd.core.errors import ConfigError, ScoreError, TargetError, VisualizeError

OF_TRANSFORMERS = ("attention_rollout", "transformer_attribution", "legrad")
W = np.array([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0], [-1.0, 0.2, 2.0]], dtype="float32")


class Pixelwise(nn.Layer):
    """A 1 × 1 convolution: the logits of a pixel are W · its colours."""

    def __init__(self, w=W):
        super().__init__()
        self.conv = nn.Conv2D(3, len(w), 1, bias_attr=False)
        self.conv.weight.set_value(np.asarray(w, "float32")[:, :, None, None])

    def forward(self, batch):
        return self.conv(batch)


def logits_by_hand(batch, w=W):
    return np.einsum("kc,nchw->nkhw", w.astype("float64"), batch.numpy().astype("float64"))


@pytest.mark.parametrize("target", [0, 1, 2])
def test_gradient_over_the_predicted_segment(target):
    """S = mean over the segment M of W_t · I: the gradient is W_t / |M| in M, and 0 outside."""
    batch = images(2, 6, 5)
    segment = logits_by_hand(batch).argmax(axis=1) == target
    sizes = segment.sum(axis=(1, 2))
    assert (sizes > 0).all() and (sizes < 30).all()
    maps = gradient(Pixelwise(), batch, score=scores.segmentation(target)).numpy()
    share = segment / sizes[:, None, None]
    close(maps, W[target][None, :, None, None] * share[:, None])


def test_score_of_a_segment_is_its_mean_logit():
    batch = images(2, 6, 5)
    logits = logits_by_hand(batch)
    segment = logits.argmax(axis=1) == 1
    expected = [each[1][mask].mean() for each, mask in zip(logits, segment)]
    close(scores.segmentation(1)(Pixelwise()(batch), batch).numpy(), expected)
    close(scores.segmentation(1)([Pixelwise()(batch), None], batch).numpy(), expected)


def test_the_segment_stays_while_parts_are_hidden():
    """Each pixel alone is hidden: the score drops by its logit, divided by the whole segment.

    A segment that was found anew would be without the hidden pixel, and the drop another one.
    """
    batch = images(2, 4, 5)
    logits = logits_by_hand(batch)
    segment = logits.argmax(axis=1) == 2
    maps = occlusion(Pixelwise(), batch, score=scores.segmentation(2), size=1, stride=1).numpy()
    share = segment / segment.sum(axis=(1, 2), keepdims=True)
    close(maps[:, 0], logits[:, 2] * share)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in OF_TRANSFORMERS])
def test_a_batch_of_segments_gives_what_single_images_give(name):
    network = nn.Sequential(Pixelwise(), nn.ReLU(), Pixelwise(W.T))
    batch, score = images(3, 8, 6), scores.segmentation(1)
    together = METHODS[name](network, batch, score=score).numpy()
    for number in range(3):
        alone = METHODS[name](network, batch[number : number + 1], score=score).numpy()[0]
        assert np.abs(together[number] - alone).max() <= 1e-5 * max(np.abs(alone).max(), 1e-6)


def test_a_given_mask_counts_by_the_area_of_each_cell():
    """A mask of twice the size: each logit has the share of its four pixels."""
    batch = images(1, 2, 2)
    mask = np.zeros((4, 4))
    mask[0, 0] = mask[0, 3] = mask[1, 3] = mask[2:, 2:] = 1
    weight = np.array([[1 / 4, 1 / 2], [0, 1]]) / (7 / 4)
    maps = gradient(Pixelwise(), batch, score=scores.segmentation(0, mask)).numpy()
    close(maps, W[0][None, :, None, None] * weight)


def test_a_mask_for_each_image():
    batch, masks = images(2, 3, 3), np.zeros((2, 3, 3), dtype=bool)
    masks[0, 0], masks[1, 2] = True, True
    maps = gradient(Pixelwise(), batch, score=scores.segmentation(0, masks)).numpy()
    close(maps, W[0][None, :, None, None] * masks[:, None] / 3)


def test_a_single_class_is_predicted_where_its_logit_is_positive():
    batch = images(1, 4, 4)
    positive = logits_by_hand(batch, W[:1])[:, 0] > 0
    maps = gradient(Pixelwise(W[:1]), batch, score=scores.segmentation(0)).numpy()
    close(maps, W[0][None, :, None, None] * (positive / positive.sum())[:, None])


def nowhere():
    w = W.copy()
    w[1] = 0
    network = Pixelwise(w)
    network.conv.bias = network.create_parameter([3])
    network.conv.bias.set_value(np.array([0.0, -99, 0], dtype="float32"))
    return network


@pytest.mark.parametrize(
    ("network", "score", "error", "says"),
    [
        (nowhere, lambda: scores.segmentation(1), ScoreError,
         "image 1 of 2: class 1 is predicted nowhere; explain another class, or give a mask"),
        (Pixelwise, lambda: scores.segmentation(3), TargetError, "class 3 does not exist"),
        (Pixelwise, lambda: scores.segmentation(-1), ConfigError, "target must be"),
        (Pixelwise, lambda: scores.segmentation(0, np.zeros((4, 4))), ScoreError,
         "the mask is empty"),
        (Pixelwise, lambda: scores.segmentation(0, np.ones((3, 4, 4))), ScoreError,
         "3 masks for 2 images"),
        (Pixelwise, lambda: scores.segmentation(0, np.ones(4)), ScoreError, "mask must be [H, W]"),
        (Pixelwise, lambda: scores.segmentation(0, "mask"), ScoreError, "an array of numbers"),
        (lambda: Linear(weights()), lambda: scores.segmentation(0), ScoreError,
         "needs outputs [N, classes, h, w], not [2, 3]"),
        (lambda: Linear(weights()), lambda: scores.similarity([1.0, 2]), ScoreError,
         "vectors [1, 2] for embeddings [2, 3]"),
        (lambda: Linear(weights()), lambda: scores.similarity([0.0, 0, 0]), ScoreError,
         "only zeros"),
        (lambda: Linear(weights()), lambda: scores.similarity(np.ones((3, 3))), ScoreError,
         "one for each image"),
        (lambda: Linear(0 * weights()), lambda: scores.similarity([1.0, 2, 3]), ScoreError,
         "not finite"),
        (lambda: Linear(weights()), lambda: scores.box([0, 0, 2, 2], 0), ScoreError, "score box"),
        (Pixelwise, lambda: scores.box([3, 0, 2, 2], 0), ScoreError, "corners must be"),
        (Pixelwise, lambda: scores.box([0, 0, 2, 2], 0, form="centers"), ConfigError, "form"),
        (Pixelwise, lambda: scores.box([0, 0, 2, 2], 0, relative=1), ScoreError, "relative"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_a_sentence(network, score, error, says):
    with pytest.raises(error) as caught:
        gradient(network(), images(2), score=score())
    assert says in str(caught.value) and "\n" not in str(caught.value)


class Detector(nn.Layer):
    """Four fixed boxes; the class logits of each are linear in the image."""

    BOXES = np.array([[0, 0, 4, 3], [2, 1, 6, 5], [5, 3, 7, 5], [0, 0, 7, 5]], dtype="float32")

    def __init__(self, boxes=BOXES, kind=tuple):
        super().__init__()
        self.boxes, self.kind = paddle.to_tensor(boxes), kind
        self.linear = Linear(weights(classes=8))

    def forward(self, batch):
        found = self.boxes.unsqueeze(0).expand([len(batch), 4, 4])
        logits = self.linear(batch).reshape([-1, 4, 2])
        return {"boxes": found, "logits": logits} if self.kind is dict else (found, logits)


@pytest.mark.parametrize("query", range(4))
def test_the_score_of_a_box_is_the_logit_of_that_which_overlaps_most(query):
    corners = Detector.BOXES[query] + [0.3, 0.2, -0.3, -0.2]
    batch = images(2, 5, 7)
    maps = gradient(Detector(), batch, score=scores.box(corners, 1)).numpy()
    close(maps, np.stack([weights(classes=8)[2 * query + 1]] * 2))


def test_boxes_as_shares_of_the_image_around_their_centres_under_keys():
    x0, y0, x1, y1 = Detector.BOXES.T / np.array([[7], [5], [7], [5]])
    centres = np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], axis=1)
    network = Detector(centres.astype("float32"), dict)
    score = scores.box(
        [2, 1, 6, 5], 0, boxes="boxes", scores="logits", form="centres", relative=True
    )
    maps = gradient(network, images(2, 5, 7), score=score).numpy()
    close(maps, np.stack([weights(classes=8)[2]] * 2))


def test_the_box_keeps_its_place_while_the_image_changes():
    class Moving(Detector):
        def forward(self, batch):
            found, logits = super().forward(batch)
            dark = (batch.abs().sum(axis=[1, 2, 3]) < 1e-6).astype("float32").reshape([-1, 1, 1])
            return found + 100 * dark, logits  # in a dark image no box overlaps

    score = scores.box([2, 1, 6, 5], 0)
    batch = images(1, 5, 7)
    maps = occlusion(Moving(), batch, score=score, size=9).numpy()  # it hides the whole image
    close(maps, np.full((1, 1, 5, 7), Detector()(batch)[1].numpy()[0, 1, 0]), 1e-5)


def test_a_box_that_nothing_overlaps_and_outputs_without_boxes():
    for score, says in (
        (scores.box([50, 50, 60, 60], 0), "image 1 of 2: no box of the network overlaps [50.0"),
        (scores.box([0, 0, 2, 2], 0, boxes="boxes"), "finds no boxes under 'boxes'"),
        (scores.box([0, 0, 2, 2], 0, boxes=1), "needs boxes [N, Q, 4] and scores"),
        (scores.box([0, 0, 2, 2], 5), "class 5 does not exist"),
    ):
        with pytest.raises(VisualizeError) as caught:
            gradient(Detector(), images(2, 5, 7), score=score)
        assert says in str(caught.value)


class Embedding(nn.Layer):
    """e = W · I in double precision."""

    def __init__(self, w):
        super().__init__()
        self.w = paddle.to_tensor(w.astype("float64"))

    def forward(self, batch):
        return paddle.einsum("nchw,kchw->nk", batch, self.w)


def test_gradient_of_a_similarity():
    """cos = e·b / |e||b|: ∂cos/∂e = b/(|e||b|) − cos · e/|e|², and ∂e/∂I = W."""
    w, b = weights(4), np.array([1.0, -2.0, 0.5, 3.0])
    batch = images(2).astype("float64")
    e = np.einsum("nchw,kchw->nk", batch.numpy(), w.astype("float64"))
    length = np.linalg.norm(e, axis=1, keepdims=True)
    cosine = (e @ b)[:, None] / (length * np.linalg.norm(b))
    slope = b / (length * np.linalg.norm(b)) - cosine * e / length**2
    maps = gradient(Embedding(w), batch, score=scores.similarity(b)).numpy()
    close(maps, np.einsum("nk,kchw->nchw", slope, w.astype("float64")), 1e-12)
    found = scores.similarity(b)(paddle.to_tensor(e), batch).numpy()
    close(found, cosine[:, 0], 1e-12)


def test_an_image_is_as_similar_to_itself_as_can_be():
    """The cosine is 1, which is its maximum, so the gradient is 0."""
    network, batch = Embedding(weights(4)), images(2).astype("float64")
    score = scores.similarity(batch, network)
    close(score(network(batch), batch).numpy(), [1, 1], 1e-12)
    assert np.abs(gradient(network, batch, score=score).numpy()).max() < 1e-12


def test_each_image_keeps_its_own_partner():
    """Also where copies of one image after the other are scored."""
    network, batch = Embedding(weights(4)), images(2).astype("float64")
    other = images(2, seed=9).astype("float64")
    together = occlusion(network, batch, score=scores.similarity(other, network)).numpy()
    for number in range(2):
        one = slice(number, number + 1)
        score = scores.similarity(other[one], network)
        close(together[one], occlusion(network, batch[one], score=score).numpy(), 1e-6)
