"""A score that is a function `(outputs, images) → [N]`, in every method."""

import functools

import numpy as np
import paddle
import pytest
from convnet import convolutional
from every_method import METHODS
from network_state import state_of
from paddle import nn
from toys import Linear, close, images, weights
from transformers import Vit

from visualize_pd import VisualizeError, gradient, integrated_gradients, rise
from visualize_pd.core.errors import ConfigError, ScoreError, TargetError
from visualize_pd.evaluate import deletion, insertion, max_sensitivity, randomisation
from visualize_pd.network import fast
from visualize_pd.network.fast.whole import forward as compiled
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.scores import HeldScore, score_function

every_method = pytest.mark.parametrize("name", METHODS)


def network_for(name):
    """A network in which a method finds what it needs."""
    if name in ("attention_rollout", "transformer_attribution", "legrad"):
        paddle.seed(1)
        return Vit(size=(12, 8))
    return convolutional()


class Heads(nn.Layer):
    """The logits of a network under a key of a dict, beside an output of other size."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, batch):
        return {"size": (batch * batch).sum(axis=[1, 2, 3]), "classes": self.network(batch)}


def second_class(outputs, images):
    return outputs["classes"][:, 1]


class Second(HeldScore):
    """As `second_class`, but it holds a row of numbers for each image, and checks that it fits."""

    title = "second"

    def hold(self, outputs, images):
        return images.mean(axis=[2, 3])

    def of(self, outputs, images, held):
        assert held.shape == [len(images), 3]
        return outputs["classes"][:, 1] + 0 * held.sum(axis=1)


@every_method
@pytest.mark.parametrize("score", [second_class, Second()], ids=["function", "held"])
def test_maps_are_those_of_the_same_logit(name, score):
    method, batch = METHODS[name], images(2, 12, 8)
    expected = method(network_for(name), batch, 1, score="logit").numpy()
    maps = method(Heads(network_for(name)), batch, score=score).numpy()
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    assert np.abs(expected).max() > 0


@every_method
def test_a_batch_gives_what_single_images_give(name):
    def score(outputs, batch):
        return (outputs["classes"] ** 2).sum(axis=1) + outputs["size"]

    network, batch = Heads(network_for(name)), images(3, 12, 8)
    together = METHODS[name](network, batch, score=score).numpy()
    for number in range(3):
        alone = METHODS[name](network, batch[number : number + 1], score=score).numpy()[0]
        assert np.abs(together[number] - alone).max() <= 1e-5 * np.abs(alone).max()


@every_method
def test_network_is_restored_after_an_exception_in_the_function(name):
    network, batch, calls = Heads(network_for(name)), images(2, 12, 8), []

    def broken(outputs, images):
        calls.append(outputs)
        raise ZeroDivisionError("one\nand two")

    before = state_of(network)
    with pytest.raises(ScoreError, match=r"^score broken failed: ZeroDivisionError: and two$"):
        METHODS[name](network, batch, score=broken)
    assert state_of(network) == before and len(calls) == 1


def test_the_gradient_of_a_weighted_sum_of_linear_outputs_is_exact():
    """S = Σ_k v_k · (W_k · I): the gradient is Wᵀv."""
    w, v = weights(), np.array([2.0, -1.0, 0.5], dtype="float32")
    factors = paddle.to_tensor(v)
    maps = gradient(Linear(w), images(), score=lambda outputs, _: outputs @ factors).numpy()
    expected = np.tensordot(v.astype("float64"), w, axes=1)
    close(maps, np.stack([expected] * 2), 1e-6)


def test_outputs_and_images_reach_the_function_untouched():
    network, seen = Linear(weights()), []
    network.forward = lambda batch: (batch * 2, [batch.sum(), None])

    def score(outputs, batch):
        seen.append((outputs, batch))
        return outputs[0].sum(axis=[1, 2, 3])

    batch = images()
    close(gradient(network, batch, score=score).numpy(), np.full(batch.shape, 2.0))
    ((outputs, given),) = seen
    assert type(outputs) is tuple and type(outputs[1]) is list and outputs[1][1] is None
    np.testing.assert_array_equal(given.numpy(), batch.numpy())


def test_completeness_for_a_regression():
    """Integrated gradients sum to S(I) − S(0), here of a quadratic function."""

    def squared(outputs, batch):
        return (outputs * outputs).sum(axis=1)

    network, batch = Linear(weights()), images()
    maps, gap = integrated_gradients(network, batch, score=squared, steps=4, return_gap=True)
    expected = (network(batch) ** 2).sum(axis=1).numpy()
    close(maps.numpy().sum(axis=(1, 2, 3)), expected, 1e-5)
    assert np.abs(gap.numpy()).max() < 1e-4 * expected.max()


def test_a_relu_of_the_function_keeps_its_own_derivative():
    """Guided backprop rules the ReLUs of the network alone: here there is none."""

    def negative_part(outputs, batch):
        return -nn.functional.relu(-outputs).sum(axis=1)

    network, batch = Linear(weights()), images()
    expected = gradient(network, batch, score=negative_part).numpy()
    assert np.abs(expected).max() > 0
    maps = METHODS["guided_backprop"](network, batch, score=negative_part).numpy()
    np.testing.assert_array_equal(maps, expected)


def double(outputs, images):
    return outputs[:, 0].astype("float64")


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda o, i: None, "must return a tensor of floats [N], not a NoneType"),
        (lambda o, i: [1.0, 2.0], "must return a tensor of floats [N], not a list"),
        (lambda o, i: o, "must return a tensor of floats [N], here [2], not float32 [2, 3]"),
        (lambda o, i: o.sum(axis=1, keepdim=True), "here [2], not float32 [2, 1]"),
        (lambda o, i: o[:1, 0], "here [2], not float32 [1]"),
        (lambda o, i: o.argmax(axis=1), "here [2], not int64 [2]"),
        (lambda o, i: o[:, 0] / 0, "gave numbers that are not finite"),
        (lambda o, i: (o[:, 0] - 1e9).log(), "gave numbers that are not finite"),
        (lambda o, i: o[:, 0].detach(), "without a gradient for the images"),
        (lambda o, i: paddle.ones([2]), "without a gradient for the images"),
        (lambda o: o[:, 0], "failed: TypeError: "),
        (lambda o, i: o["logits"], "failed: "),
    ],
)
def test_a_function_that_gives_no_scores_is_named_in_a_sentence(returned, says):
    def mine(*arguments):
        return returned(*arguments)

    with pytest.raises(ScoreError) as caught:
        gradient(Linear(weights()), images(), score=mine)
    message = str(caught.value)
    assert message.startswith("score mine ") and says in message and "\n" not in message


def test_the_scores_may_have_another_precision():
    maps = gradient(Linear(weights()), images(), score=double).numpy()
    np.testing.assert_array_equal(maps, np.stack([weights()[0]] * 2))


@pytest.mark.parametrize(
    "name", [name for name in METHODS if name not in ("activation_gradient", "attention_rollout")]
)  # these ignore the class
@pytest.mark.parametrize("targets", [0, [0, 1], np.array([1, 0])], ids=repr)
def test_classes_beside_a_function_are_refused(name, targets):
    with pytest.raises(TargetError, match="score second_class does not read targets; leave them"):
        METHODS[name](Heads(network_for(name)), images(2, 12, 8), targets, score=second_class)


def test_a_partial_function_has_its_own_name():
    with pytest.raises(ScoreError, match=r"^score second_class failed"):
        gradient(Linear(weights()), images(), score=functools.partial(second_class))


def test_an_error_of_the_package_passes_through():
    def refusing(outputs, images):
        raise ConfigError("not today")

    with pytest.raises(VisualizeError, match=r"^not today$"):
        gradient(Linear(weights()), images(), score=refusing)


def test_a_place_in_the_image_cannot_follow_the_views_of_a_cam():
    score = Second()
    score.has_place = True
    network, batch = Heads(convolutional()), images(2, 14, 11)
    for options in ({"aug_smooth": True}, {"zooms": [0.9]}):
        with pytest.raises(ConfigError, match="score second has a place in the image"):
            METHODS["grad_cam"](network, batch, score=score, **options)
    METHODS["grad_cam"](network, batch, score=Second(), aug_smooth=True)


@pytest.mark.parametrize("measure", [insertion, deletion])
def test_curves_of_a_function(measure):
    """They begin and end with the score of the first and the last image: here the sum of pixels."""

    def total(outputs, images):
        return outputs.sum(axis=1)

    network, batch = Linear(np.ones((1, 3, 5, 7))), images()
    curve = measure(network, batch, batch, steps=5, baseline="zero", score=total)
    ends = curve.scores[:, [0, -1]] if measure is insertion else curve.scores[:, [-1, 0]]
    close(ends[:, 1], batch.numpy().sum(axis=(1, 2, 3)), 1e-5)
    assert np.abs(ends[:, 0]).max() == 0


def test_measures_that_make_maps_again_take_a_function():
    network, batch = Linear(weights()), images()
    method = functools.partial(gradient, score=lambda outputs, _: outputs[:, 0])
    score = method.keywords["score"]
    found = max_sensitivity(network, batch, method, score=score, samples=2)
    np.testing.assert_array_equal(found, [0, 0])  # the gradient is the same everywhere
    stages = randomisation(convolutional(), images(1, 14, 11), method, score=score)
    assert stages[0].ssim[0] == pytest.approx(1) and stages[-1].ssim[0] < 0.9


def test_hidden_images_are_scored_by_a_compiled_copy_of_a_single_output(monkeypatch):
    """What a copy returns is what the function gets. Other outputs are never compiled."""
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "WORTH_IT", 1e9)
    batch = images(2, 14, 11)
    network = convolutional()
    segments = nn.Sequential(*list(network.children())[:4])  # [N, K, h, w]

    def mean(outputs, images):
        outputs = outputs["classes"] if isinstance(outputs, dict) else outputs
        return outputs.flatten(1).mean(axis=1)

    for made, kinds in ((segments, 1), (Heads(network), 0)):
        with score_function(made) as score_of:
            first, second = (score_of(batch, None, mean)[0].numpy() for _ in range(2))
        close(second, first)
        copies = compiled._COPIES.get(made, {}).values()
        assert sum(run is not None for copy in copies for run in copy.runs.values()) == kinds
    with score_function(segments) as score_of:  # compared again
        close(score_of(batch, None, mean)[0].numpy(), record_forward(segments, batch, score=mean)
              .scores.numpy())  # fmt: skip


def test_rise_of_a_function_is_linear_in_it():
    with fast.fast_layers():
        network, batch = Linear(weights()), images(1)
        once = rise(network, batch, score=lambda outputs, _: outputs[:, 0], masks=20).numpy()
        twice = rise(network, batch, score=lambda outputs, _: 2 * outputs[:, 0], masks=20).numpy()
    close(twice, 2 * once)


def test_a_copy_that_returns_only_the_logits_is_not_used_for_a_function(monkeypatch):
    """It is not lost either."""
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "WORTH_IT", 1e9)

    class Tuple(Heads):
        def forward(self, batch):
            outputs = super().forward(batch)
            return outputs["classes"], outputs["size"]

    network, batch = Tuple(convolutional()), images(2, 14, 11)
    with score_function(network) as score_of:
        score_of(batch, 1)
    (copies,) = compiled._COPIES[network].values()
    assert all(copies.runs.values()) and copies.runs
    with score_function(network) as score_of:
        found, _ = score_of(batch, None, lambda outputs, _: outputs[1])
    close(found.numpy(), (batch.numpy() ** 2).sum(axis=(1, 2, 3)))
    assert all(copies.runs.values()) and copies.runs
