"""The controls are those of the signatures, and take nothing that they do not offer."""

import numpy as np
import paddle
import pytest

import visualize_pd as vp
from visualize_pd.app.web.controls import NOT_SHOWN, chosen_options, controls_of, facts_of
from visualize_pd.app.web.texts import PageError
from visualize_pd.attribution.configured import configure_method
from visualize_pd.core.checks import options_of

LAYERS = ["0", "2"]
BAD = ["/etc/passwd", "os:system", "!!python/object:os.system", {"name": "x"}, [1], -1e9, 1e12]
BAD += [float("nan"), float("inf"), "1", object()]


@pytest.mark.parametrize("name", vp.METHODS)
def test_every_option_has_a_control_with_its_default(name):
    wanted = options_of(vp.METHODS[name])
    found = {control.name: control.default for control in controls_of(name, LAYERS)}
    assert found == {key: value for key, value in wanted.items() if key not in NOT_SHOWN}
    assert chosen_options(name, found, LAYERS) == {}  # the defaults need no key


@pytest.mark.parametrize("name", vp.METHODS)
def test_what_a_control_offers_is_what_a_config_takes(name):
    for control in controls_of(name, LAYERS):
        for value in control.choices:
            chosen = [value] if control.kind == "several" else value
            options = chosen_options(name, {control.name: chosen}, LAYERS)
            configure_method({"name": name, **options})
        if control.kind == "switch":
            switched = not control.default
            assert chosen_options(name, {control.name: switched}, LAYERS) == {
                control.name: switched
            }


@pytest.mark.parametrize("name", vp.METHODS)
@pytest.mark.parametrize("value", BAD, ids=lambda value: type(value).__name__)
def test_what_no_control_offers_is_refused(name, value):
    for control in controls_of(name, LAYERS):
        with pytest.raises(PageError):
            chosen_options(name, {control.name: value}, LAYERS)


def test_unknown_options_are_left_out():
    assert chosen_options("grad_cam", {"batch_size": 9, "no": 1}, LAYERS) == {}


def test_numbers_of_javascript_become_whole():
    assert chosen_options("rise", {"masks": 64.0}, LAYERS) == {"masks": 64}
    assert type(chosen_options("rise", {"masks": 64.0}, LAYERS)["masks"]) is int
    with pytest.raises(PageError, match=r"masks must be a whole number from 0 to 40000"):
        chosen_options("rise", {"masks": 64.5}, LAYERS)


@pytest.mark.parametrize("name", ["tiny:small_net", "tiny:attention_net"])
def test_every_layer_of_the_menu_can_carry_a_map(name):
    classifier = vp.load_model(name, image_size=32)
    classes, layers = facts_of(classifier)
    assert classes == 3 and len(layers) > 3
    images = paddle.to_tensor(np.random.default_rng(0).normal(size=(1, 3, 32, 32)), "float32")
    for layer in layers:
        heat = vp.grad_cam(classifier.network, images, 0, target_layer=layer, relu=False)
        assert heat.shape == [1, 1, 32, 32]


def test_menu_tells_what_a_layer_returns():
    _, layers = facts_of(vp.load_model("tiny:small_net", image_size=32))
    assert layers == {"0": "4×16×16", "1": "4×16×16", "2": "8×8×8", "3": "8×8×8", "4": "8×1×1"}


def test_a_network_without_logits_has_an_empty_menu():
    assert facts_of(vp.load_model("tiny:two_heads", image_size=32)) == (0, {})
