"""Gradients by one program of a whole network: equal to Paddle's own, and never out of date."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from program_checks import close, own_gradient, programs_of

import visualize_pd as vp
from visualize_pd.core.errors import ModelError, TargetError
from visualize_pd.network.fast import expect_images, use_fast
from visualize_pd.network.fast.whole import backward, fingerprint, gradient, program


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Make a program at the first pass."""
    monkeypatch.setattr(gradient, "FIRST_PIXELS", 0)


class Residual(nn.Layer):
    def __init__(self, inner, act=None):
        super().__init__()
        self.inner, self.act = inner, act

    def forward(self, x):
        total = x + self.inner(x)
        return self.act(total) if self.act else total


class Squeezed(nn.Layer):
    """The image times `[N, C, 1, 1]`, in either order."""

    def __init__(self, channels, first, gate):
        super().__init__()
        self.inner = nn.Sequential(
            nn.AdaptiveAvgPool2D(1), nn.Conv2D(channels, 4, 1), nn.ReLU(), nn.Conv2D(4, channels, 1)
        )
        self.first, self.gate = first, gate

    def forward(self, x):
        share = self.gate(self.inner(x))
        return share * x if self.first else paddle.multiply(x=x, y=share)


class Dense(nn.Layer):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.inner = nn.BatchNorm2D(channels), nn.Conv2D(channels, 5, 3, padding=1)

    def forward(self, x):
        return paddle.concat([x, self.inner(functional.relu(self.norm(x)))], axis=1)


class Scaled(nn.Layer):
    def __init__(self):
        super().__init__()
        self.scale = self.create_parameter([1])
        self.scale.set_value(paddle.to_tensor([0.7]))

    def forward(self, x):
        return self.scale * x


def conv(*sizes, **options):
    return nn.Conv2D(*sizes, **options)


BODIES = {
    "convolutions with a bias": lambda: [conv(3, 8, 3), nn.ReLU(), conv(8, 8, 1), nn.ReLU()],
    "normalised": lambda: [conv(3, 8, 3, bias_attr=False), nn.BatchNorm2D(8), nn.ReLU6()],
    "normalised with a bias": lambda: [conv(3, 8, 3), nn.BatchNorm2D(8), nn.ReLU()],
    "normalised without a ReLU": lambda: [conv(3, 8, 3), nn.BatchNorm2D(8)],
    "depthwise": lambda: [conv(3, 16, 1), nn.ReLU6(), conv(16, 16, 5, padding=2, groups=16)],
    "depthwise, stride 2": lambda: [
        conv(3, 16, 1),
        nn.ReLU6(),
        conv(16, 16, 3, stride=2, padding=1, groups=16),
        nn.ReLU6(),
    ],
    "groups": lambda: [conv(3, 8, 3), nn.ReLU(), conv(8, 12, 3, groups=2), nn.ReLU()],
    "dilated": lambda: [conv(3, 8, 3, dilation=2, padding=2), nn.ReLU()],
    "stride 2": lambda: [conv(3, 8, 5, stride=2, padding=2), nn.ReLU(), conv(8, 8, 2, stride=2)],
    "uneven padding": lambda: [conv(3, 8, 3, padding=[0, 1, 2, 0]), nn.ReLU6(), conv(8, 4, 3)],
    "SAME padding": lambda: [
        conv(3, 8, 3, stride=2, padding="SAME"),
        nn.ReLU(),
        conv(8, 8, 3, padding="SAME"),
    ],
    "padding over the kernel": lambda: [
        conv(3, 8, 1, padding=1),
        nn.ReLU(),
        conv(8, 8, 3, padding=3),
    ],
    "residual": lambda: [
        conv(3, 8, 1),
        Residual(nn.Sequential(conv(8, 8, 3, padding=1), nn.ReLU())),
        Residual(conv(8, 8, 1), nn.ReLU()),
    ],
    "residual of pools": lambda: [
        conv(3, 8, 1),
        Residual(nn.MaxPool2D(3, 1, padding=1), nn.ReLU6()),
    ],
    "squeeze and excite": lambda: [conv(3, 8, 3), nn.ReLU(), Squeezed(8, False, nn.Hardsigmoid())],
    "squeezed first": lambda: [conv(3, 8, 3), Squeezed(8, True, nn.Sigmoid())],
    "hard swish": lambda: [
        conv(3, 8, 3),
        nn.BatchNorm2D(8),
        nn.Hardswish(),
        conv(8, 8, 3),
        nn.Hardswish(),
    ],
    "swish": lambda: [conv(3, 8, 3), nn.Swish(), conv(8, 8, 3), nn.Silu()],
    "dense": lambda: [conv(3, 8, 3), Dense(8), Dense(13), nn.ReLU()],
    "max pooling": lambda: [
        conv(3, 8, 3),
        nn.ReLU(),
        nn.MaxPool2D(3, 2),
        nn.MaxPool2D(2, ceil_mode=True),
    ],
    "mean pooling": lambda: [
        conv(3, 8, 3),
        nn.ReLU(),
        nn.AvgPool2D(2),
        nn.AvgPool2D(3, 1, padding=1),
    ],
    "adaptive pooling": lambda: [
        conv(3, 8, 3),
        nn.AdaptiveAvgPool2D(5),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(5),
    ],
    "scaled": lambda: [conv(3, 8, 3), Scaled(), nn.ReLU(), conv(8, 8, 1), Scaled()],
    "a ReLU after a sum of a sum": lambda: [
        conv(3, 6, 1),
        Residual(Residual(conv(6, 6, 1), nn.ReLU())),
    ],
}


def network_of(body, seed=0, side=12):
    """A classifier with this body, with random weights and random statistics."""
    paddle.seed(seed)
    layers = nn.Sequential(*BODIES[body]())
    with paddle.no_grad():
        features = layers(paddle.zeros([1, 3, side, side + 3]))
    size = int(np.prod(features.shape[1:]))
    network = nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(), nn.Linear(size, 6), nn.ReLU(),
        nn.Dropout(0.3, mode="downscale_in_infer"), nn.Linear(6, 4),
    )  # fmt: skip
    random = np.random.default_rng(seed)
    for tensor in network.state_dict().values():
        if len(tensor.shape) == 1:
            low, high = (
                (0.5, 1.5) if "_variance" in tensor.name or "w_2" in tensor.name else (-1, 1)
            )
            tensor.set_value(random.uniform(low, high, tensor.shape).astype("float32"))
    network.eval()
    return network


def images_of(count, side=12, seed=1):
    shape = (count, 3, side, side + 3)
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape, "float32"))


@pytest.mark.parametrize("body", BODIES)
def test_programs_give_the_gradient_of_paddle(body):
    network = network_of(body)
    for count, targets in ((3, [0, 3, 1]), (1, 2), (5, paddle.to_tensor([3, 2, 1, 0, 0]))):
        images = images_of(count, seed=count)
        close(vp.gradient(network, images, targets), own_gradient(network, images, targets))
    assert len(programs_of(network)) == 1


@pytest.fixture
def runs(monkeypatch):
    """The number of times that a program has run."""
    counted = []
    run = gradient._run
    monkeypatch.setattr(
        gradient, "_run", lambda *given: counted.append(len(given[1])) or run(*given)
    )
    return counted


def test_few_images_go_through_the_layers_and_many_through_a_program(monkeypatch, runs):
    monkeypatch.setattr(gradient, "FIRST_PIXELS", 3 * 12 * 15)
    network = network_of("residual")
    vp.gradient(network, images_of(2), 0)
    vp.gradient(network, images_of(1), 0)
    assert not runs
    vp.gradient(network, images_of(1), 0)
    assert runs == [1, 1]  # it is tried twice, for its time
    vp.gradient(network, images_of(2), 0)
    assert runs == [1, 1, 2]


@pytest.mark.parametrize(("count", "made"), [(15, 0), (16, 1)])
def test_a_run_says_beforehand_how_many_images_come(count, made, runs):
    network = network_of("normalised")
    with expect_images(count):
        for _ in range(3):
            vp.gradient(network, images_of(1), 0)
    assert len(programs_of(network)) == made and bool(runs) == bool(made)


def test_the_first_result_of_a_program_is_used(monkeypatch):
    """So the map of an image does not depend on whether it was the first."""
    network, images = network_of("depthwise"), images_of(2)
    with expect_images(16):
        first, second = (vp.gradient(network, images, 1).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def change_weight(network):
    weight = network[0].weight
    weight.set_value(weight * 1.5)


def change_one_weight_a_little(network):
    values = network[0].weight.numpy()
    values[1, 2, 0, 1] = np.nextafter(values[1, 2, 0, 1], np.float32(9))
    network[0].weight.set_value(values)


def change_places(network):
    for tensor in (network[0].weight, network[0].bias, *network[1].state_dict().values()):
        tensor.set_value(tensor.numpy()[::-1].copy())


def change_statistics(network):
    network[1]._variance.set_value(network[1]._variance + 1)


def change_linear(network):
    network[-1].weight.set_value(-network[-1].weight)


def change_layer(network):
    network[2] = nn.Sigmoid()


def change_attribute(network):
    network[0]._padding = [1, 1]
    network[0]._updated_padding = [1, 1]


def change_parameter(network):
    network[0].weight = nn.Conv2D(3, 8, 3).weight


@pytest.mark.parametrize(
    "change",
    [
        change_weight,
        change_places,
        change_statistics,
        change_linear,
        change_layer,
        change_parameter,
    ],
)
def test_a_changed_network_gets_its_own_gradient(change):
    network, images = network_of("normalised with a bias"), images_of(2)
    before = vp.gradient(network, images, 1)
    change(network)
    found = vp.gradient(network, images, 1)
    assert not np.allclose(before.numpy(), found.numpy())
    close(found, own_gradient(network, images, 1))
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))


def test_a_loop_compares_weights_once_and_the_next_loop_again(monkeypatch):
    network, images, asked = network_of("residual"), images_of(1), []
    vp.gradient(network, images, 1)
    is_of = program.Program.is_of
    monkeypatch.setattr(program.Program, "is_of", lambda *given: asked.append(1) or is_of(*given))
    for count in (1, 2):
        change_linear(network)  # it is fed to the program, so it does not count as a change
        vp.integrated_gradients(network, images, 1, steps=9, batch_size=2)
        assert len(asked) == count
    change_weight(network)
    vp.integrated_gradients(network, images, 1, steps=9, batch_size=2)
    assert len(asked) == 4  # the old program, and the one in its place
    found = vp.integrated_gradients(network, images, 1, steps=9, batch_size=2)
    use_fast(False)
    try:
        expected = vp.integrated_gradients(network, images, 1, steps=9, batch_size=2).numpy()
    finally:
        use_fast()
    close(found, expected)


SIGN = [1.0]


class Signed(nn.Layer):
    """Its output depends on something that is no attribute of a layer."""

    def forward(self, x):
        return x * SIGN[0]


def test_a_change_outside_the_network_is_seen_after_some_images():
    network = nn.Sequential(*network_of("normalised"), Signed())
    network.eval()
    images = images_of(4)
    vp.gradient(network, images, 1)
    assert programs_of(network)
    SIGN[0] = -1.0
    try:
        for _ in range(gradient.MANY // len(images)):
            found = vp.gradient(network, images, 1)
        close(found, own_gradient(network, images, 1))
        assert not programs_of(network)
    finally:
        SIGN[0] = 1.0


def test_a_network_that_returns_a_dict_has_a_program():
    class Named(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = network_of("groups")

        def forward(self, x):
            return {"logits": self.inner(x)}

    network, images = Named(), images_of(2)
    network.eval()
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert programs_of(network)


def test_a_network_in_training_makes_no_program_at_each_step(monkeypatch):
    monkeypatch.setattr(gradient, "FIRST_PIXELS", 2 * 12 * 15)
    network, images, made = network_of("normalised"), images_of(1), []
    build = gradient.build
    monkeypatch.setattr(
        gradient, "build", lambda *given, **how: made.append(1) or build(*given, **how)
    )
    for _ in range(3):
        vp.gradient(network, images, 1)
    assert len(made) == 1
    for _ in range(5):
        change_weight(network)
        close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert len(made) == 2  # at the third image after a change, and not at each one


def test_a_network_without_a_gradient_makes_no_program():
    """It could not be compared."""
    network = network_of("normalised")
    network[-1].weight.set_value(paddle.zeros_like(network[-1].weight))
    assert not vp.gradient(network, images_of(2), 1).any() and not programs_of(network)
    network[-1].bias.set_value(paddle.zeros_like(network[-1].bias))
    assert not vp.gradient(network, images_of(2), 1).any() and not programs_of(network)


@pytest.mark.parametrize("change", [change_one_weight_a_little, change_attribute])
def test_small_changes_are_seen(change):
    network = network_of("normalised with a bias")
    vp.gradient(network, images_of(1), 1)
    (program,) = programs_of(network)
    assert program.fingerprint == fingerprint.fingerprint(network, program.read)
    change(network)
    assert program.fingerprint != fingerprint.fingerprint(network, program.read)


def test_filters_that_change_places_are_seen():
    """Also if they are as long as a row of the table that is added."""
    weight = paddle.randn([6, fingerprint.ROW // 4])
    before = fingerprint._sums(weight)
    weight.set_value(weight.numpy()[[1, 0, 2, 3, 4, 5]])
    swapped = fingerprint._sums(weight)
    other = paddle.randn([64, 64, 4])
    sums = fingerprint._sums(other)
    other.set_value(other.numpy()[::-1].copy())
    assert before == swapped  # the one case that is not seen: rows of exactly this length
    assert sums != fingerprint._sums(other)


@pytest.mark.parametrize(("later", "used"), [(0.1, False), (0.019, True)])
def test_a_program_that_is_clearly_slower_each_time_is_dropped(later, used, monkeypatch):
    network, images = network_of("groups"), images_of(2)
    monkeypatch.setattr(gradient, "_seconds", lambda *given: later)
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert len(programs_of(network)) == used


def test_a_layer_with_a_hook_runs_as_it_is(runs):
    network, images = network_of("groups"), images_of(2)
    handle = network[1].register_forward_post_hook(lambda layer, given, out: out * 2)
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert not runs
    handle.remove()
    vp.gradient(network, images, 1)
    assert runs


def test_classes_that_do_not_exist_are_refused():
    network = network_of("groups")
    vp.gradient(network, images_of(2), 1)
    assert programs_of(network)
    for targets in (4, -1, [0, 9], [0, 1, 2], [[0], [1, 2]], "one"):
        with pytest.raises(TargetError):
            vp.gradient(network, images_of(2), targets)


def test_a_wrong_rule_is_found_out(monkeypatch):
    """A program is compared with Paddle's gradient before it is used."""
    monkeypatch.setitem(
        backward.RULES, "hard_swish", lambda back, op, slope: back.give(op.x, slope)
    )
    network, images = network_of("hard swish"), images_of(2)
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert not programs_of(network)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2D(3, 4, 3), nn.ELU(), nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 3)],
        [nn.Conv2D(3, 4, 3), nn.Tanh(), nn.AdaptiveMaxPool2D(1), nn.Flatten(), nn.Linear(4, 3)],
    ],
)
def test_networks_without_a_rule_run_as_they_are(layers):
    network, images = nn.Sequential(*layers), images_of(2)
    network.eval()
    close(vp.gradient(network, images, 1), own_gradient(network, images, 1))
    assert not programs_of(network)


def attributes_of(network):
    """All attributes but `_built`, by which Paddle remembers that a layer has run in some way."""
    return {
        (layer.full_name(), name): value
        for layer in network.sublayers(include_self=True)
        for name, value in vars(layer).items()
        if name != "_built"
    }


def test_the_network_comes_back_as_it_was():
    network = network_of("normalised")
    network.train()
    before = attributes_of(network)
    stops = [parameter.stop_gradient for parameter in network.parameters()]
    values = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    vp.gradient(network, images_of(2), 1)
    assert programs_of(network)
    after = attributes_of(network)
    assert after.keys() == before.keys() and all(after[key] is before[key] for key in before)
    assert [parameter.stop_gradient for parameter in network.parameters()] == stops
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), values[name])


def test_gradients_that_are_not_finite_are_refused():
    network = network_of("convolutions with a bias")
    vp.gradient(network, images_of(1), 1)
    assert programs_of(network)
    weight = network[-1].weight
    weight.set_value(weight * float("nan"))
    with pytest.raises(ModelError, match="finite"):
        vp.gradient(network, images_of(1), 1)


def test_integrated_gradients_use_a_program(runs):
    network, images = network_of("residual"), images_of(1)
    own = vp.integrated_gradients(network, images, 1, steps=8)
    assert runs
    use_fast(False)
    try:
        expected = vp.integrated_gradients(network, images, 1, steps=8).numpy()
    finally:
        use_fast()
    close(own, expected)
