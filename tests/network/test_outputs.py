"""Which head of a network counts, and how its logits become probabilities."""

import numpy as np
import paddle
import pytest
from convnet import convolutional
from network_state import state_of
from paddle import nn
from toys import Linear, close, images, weights

from visualize_pd import METHODS, gradient, load_model, select_output, set_activation
from visualize_pd.core.errors import ConfigError, ModelError
from visualize_pd.models.fingerprint import network_fingerprint
from visualize_pd.network.fast.whole import forward as compiled
from visualize_pd.network.outputs import activation_of
from visualize_pd.network.scores import class_scores, probabilities, score_function


class Several(nn.Layer):
    """A trunk and two heads, whose outputs come as `kind` puts them together."""

    def __init__(self, kind=tuple):
        super().__init__()
        self.kind, self.trunk, self.head = kind, convolutional(), nn.Linear(4, 2)

    def forward(self, batch):
        logits = self.trunk(batch)
        two = [logits, self.head(logits)]
        return dict(zip(("first", "second"), two)) if self.kind is dict else self.kind(two)


@pytest.mark.parametrize(("kind", "output"), [(tuple, 1), (list, 1), (dict, "second")])
def test_the_output_that_is_selected_is_explained(kind, output):
    network, batch = Several(kind), images(2, 14, 11)
    names = [name for name, _ in network.named_sublayers()]
    keys = list(network.state_dict())
    expected = gradient(network, batch, score=lambda outputs, _: outputs[output][:, 1]).numpy()
    assert select_output(network, output) is network
    np.testing.assert_array_equal(gradient(network, batch, 1).numpy(), expected)
    assert [name for name, _ in network.named_sublayers()] == names
    assert list(network.state_dict()) == keys
    before = state_of(network)
    for name in ("ablation_cam", "occlusion", "guided_backprop"):
        METHODS[name](network, batch, 1)
    assert state_of(network) == before
    assert type(select_output(network, None)(batch)) is kind


def test_selecting_twice_keeps_the_last_one():
    network, batch = Several(), images(2, 14, 11)
    select_output(select_output(network, 1), 0)
    assert network(batch).shape == [2, 4]


@pytest.mark.parametrize(
    ("kind", "output", "says"),
    [
        (tuple, 2, "there is no output 2: the network returns 2 outputs, 0 to 1"),
        (list, -1, "there is no output -1: the network returns 2 outputs, 0 to 1"),
        (tuple, "first", "there is no output 'first': the network returns 2 outputs, 0 to 1"),
        (dict, "third", "there is no output 'third': the network returns a dict with 'first', "
         "'second'"),
        (dict, 0, "there is no output 0: the network returns a dict with 'first', 'second'"),
        (lambda two: two[0], 0, "the network returns a single output; leave model.output out"),
    ],
)  # fmt: skip
def test_an_output_that_is_not_there(kind, output, says):
    with pytest.raises(ModelError) as caught:
        gradient(select_output(Several(kind), output), images(2, 14, 11))
    assert says in str(caught.value)


def test_a_compiled_copy_returns_the_selected_output(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(compiled, "WORTH_IT", 1e9)
    network, batch = select_output(Several(), 1), images(2, 14, 11)
    with score_function(network) as score_of:
        expected, found = (score_of(batch, 1)[0].numpy() for _ in range(2))
    (copies,) = compiled._COPIES[network].values()
    assert all(copies.runs.values()) and copies.runs
    close(found, expected)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_gradients_of_the_sigmoid_of_a_class():
    """∂p_c/∂I = p(1 − p) W_c, and ∂ log p_c/∂I = (1 − p) W_c: the other classes do not count."""
    w, batch = weights() / 10, images()
    network = set_activation(Linear(w), "sigmoid")
    p = sigmoid(network(batch).numpy().astype("float64")[:, 2])[:, None, None, None]
    close(gradient(network, batch, 2, score="probability").numpy(), p * (1 - p) * w[2], 1e-5)
    close(gradient(network, batch, 2, score="log_probability").numpy(), (1 - p) * w[2], 1e-5)
    close(gradient(network, batch, 2).numpy(), np.stack([w[2]] * 2))


def test_softmax_is_the_activation_at_first():
    network = Linear(weights())
    assert activation_of(network) == "softmax"
    shares = probabilities(network(images())).numpy()
    close(shares.sum(axis=1), [1, 1])


def test_sigmoid_probabilities_do_not_sum_to_one():
    logits = paddle.to_tensor([[0.0, 2.0, -3.0]])
    close(probabilities(logits, "sigmoid").numpy(), sigmoid(np.array([[0.0, 2.0, -3.0]])))
    chosen = paddle.to_tensor([1])
    close(class_scores(logits, chosen, "log_probability", "sigmoid").numpy(),
          [np.log(sigmoid(2.0))])  # fmt: skip


def test_rise_follows_the_activation():
    """Its default score is the probability, here of a network of which only one class answers."""
    w = weights()
    w[1:] = 0
    batch = images(1)
    maps = [
        METHODS["rise"](set_activation(Linear(w), kind), batch, 1, masks=8).numpy()
        for kind in ("softmax", "sigmoid")
    ]
    assert np.ptp(maps[1] / METHODS["rise"](Linear(0 * w), batch, 1, masks=8).numpy()) < 1e-4
    assert np.ptp(maps[0] / maps[1]) > 1e-2


def test_an_unknown_activation():
    with pytest.raises(ConfigError, match="unknown activation 'softplus'; use softmax, sigmoid"):
        set_activation(Linear(weights()), "softplus")


def test_load_model_sets_both_and_the_fingerprint_tells(monkeypatch):
    monkeypatch.syspath_prepend("tests")
    plain = load_model("tiny:small_net", image_size=32)
    other = load_model("tiny:small_net", image_size=32, activation="sigmoid")
    assert activation_of(other.network) == "sigmoid"
    first, second = network_fingerprint(plain), network_fingerprint(other)
    assert first["weights"] == second["weights"] and first["network"] != second["network"]
    wrong = load_model("tiny:small_net", image_size=32, output=1)
    with pytest.raises(ModelError, match=r"a single output; leave model\.output out"):
        gradient(wrong.network, images(1, 32, 32))
    with pytest.raises(ConfigError, match=r"model\.activation"):
        load_model("tiny:small_net", activation="relu")
