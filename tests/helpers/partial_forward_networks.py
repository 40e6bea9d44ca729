"""Networks for the tests of `PartialForward`, each with a target layer.

`target` is its name. `layers_after` names the layers that must run again after the target. The
method `after_target(maps, image)` computes by hand what the network does with the target's output
`maps`, `[B, …]`, for one image `[1, C, H, W]`.
"""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from toys import images

from visualize_pd.network.hooks import capture_outputs

HEAD = "head head.0 head.1 head.2"


def conv(inputs=3, outputs=3):
    return nn.Conv2D(inputs, outputs, 3, padding=1)


def head(channels=3):
    return nn.Sequential(nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(4 * channels, 5))


class Chain(nn.Sequential):
    target = "2"
    layers_after = "3 4 4.0 4.1 4.2"

    def __init__(self):
        super().__init__(conv(), nn.ReLU(), conv(), nn.ReLU(), head())

    def after_target(self, maps, _):
        return self[4](self[3](maps))


class WithTarget(nn.Layer):
    """What most of the networks below have in common. By default only the head runs again."""

    target = "middle"
    layers_after = HEAD

    def __init__(self, channels=3):
        super().__init__()
        self.first, self.relu, self.middle = conv(), nn.ReLU(), conv()
        self.head = head(channels)


class TargetIsFirst(WithTarget):
    """Nothing runs before the target."""

    target = "first"
    layers_after = f"relu middle {HEAD}"

    def forward(self, batch):
        return self.head(self.middle(self.relu(self.first(batch))))

    def after_target(self, maps, _):
        return self.head(self.middle(self.relu(maps)))


class TargetIsLast(WithTarget):
    """After the target only a function runs."""

    target, layers_after = "head", ""

    def forward(self, batch):
        return functional.tanh(self.head(self.first(batch)))

    def after_target(self, maps, _):
        return functional.tanh(maps)


class Shortcut(WithTarget):
    """Two shortcuts go around the target, one of them from the image.

    The same ReLU runs before and after the target.
    """

    layers_after = f"relu {HEAD}"

    def forward(self, batch):
        early = self.relu(self.first(batch))
        return self.head(self.relu(self.middle(early) + early) + batch)

    def after_target(self, maps, image):
        early = self.relu(self.first(image))
        return self.head(self.relu(maps + early) + image)


class Concatenated(WithTarget):
    """The image and an earlier output are concatenated with the output of the target."""

    def __init__(self):
        super().__init__(9)

    def forward(self, batch):
        early = self.first(batch)
        late = self.middle(functional.relu(early) * 2)
        return self.head(functional.sigmoid(paddle.concat([batch, early, late], axis=1)))

    def after_target(self, maps, image):
        image = repeated(image, len(maps))
        early = self.first(image)
        return self.head(functional.sigmoid(paddle.concat([image, early, maps], axis=1)))


class TargetRunsTwice(WithTarget):
    """The target runs twice. The output of its last call is altered, that of its first is kept."""

    layers_after = f"first relu {HEAD}"

    def forward(self, batch):
        once = self.middle(self.relu(self.first(batch)))
        return self.head(self.relu(self.first(self.middle(once)) + once))

    def after_target(self, maps, image):
        once = self.middle(self.relu(self.first(image)))
        return self.head(self.relu(self.first(maps) + once))


class TargetIsNested(nn.Layer):
    """The target is inside two containers. They begin before it and end after it."""

    target = "body.1.0"
    layers_after = f"body body.1 body.1.1 body.1.2 body.2 {HEAD}"

    def __init__(self):
        super().__init__()
        inner = nn.Sequential(conv(), nn.ReLU(), conv())
        self.stem = nn.Sequential(conv(), nn.ReLU())
        self.body = nn.Sequential(nn.Sequential(conv(), nn.ReLU()), inner, nn.ReLU())
        self.head = head()

    def forward(self, batch):
        return self.head(self.body(self.stem(batch)))

    def after_target(self, maps, _):
        inner = self.body[1]
        return self.head(self.body[2](inner[2](inner[1](maps))))


class TargetIsContainer(TargetIsNested):
    """The target contains other layers, which do not run again either."""

    target = "body.1"
    layers_after = f"body body.2 {HEAD}"

    def after_target(self, maps, _):
        return self.head(self.body[2](maps))


class RunsInsideAndOutside(nn.Layer):
    """One layer runs three times.

    It runs inside a container that ends before the target, then alone before the target, and then
    after the target.
    """

    target = "middle"
    layers_after = f"stem.0 {HEAD}"

    def __init__(self):
        super().__init__()
        shared = conv()
        self.stem, self.shared = nn.Sequential(shared, nn.ReLU(), conv()), shared
        self.middle, self.head = conv(), head()

    def forward(self, batch):
        maps = self.middle(self.shared(self.stem(batch)))
        return self.head(self.shared(maps) - maps)

    def after_target(self, maps, _):
        return self.head(self.shared(maps) - maps)


class ContainerRunsTwice(TargetIsNested):
    """The container of the target also runs once before. That whole first call is skipped."""

    def forward(self, batch):
        early = self.body(self.stem(batch))
        return self.head(self.body(early) + early)

    def after_target(self, maps, image):
        early = self.body(self.stem(image))
        inner = self.body[1]
        return self.head(self.body[2](inner[2](inner[1](maps))) + early)


class Branches(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, batch):
        return self.conv(batch), [batch * 2, (functional.relu(batch),)], None


class SeveralTensors(WithTarget):
    """A layer before the target returns several tensors in a nested tuple."""

    def __init__(self):
        super().__init__(6)
        self.branches = Branches()

    def forward(self, batch):
        one, [two, (three,)], nothing = self.branches(batch)
        assert nothing is None
        maps = self.middle(one + two)
        return self.head(paddle.concat([maps * three + one, two], axis=1))

    def after_target(self, maps, image):
        one, [two, (three,)], _ = self.branches(repeated(image, len(maps)))
        return self.head(paddle.concat([maps * three + one, two], axis=1))


class FunctionsBetween(WithTarget):
    """Functions run between the layers. Some of them use the image."""

    def forward(self, batch):
        small = functional.avg_pool2d(batch, 2)
        maps = self.middle(functional.relu(self.first(small)).tanh())
        large = functional.interpolate(maps.abs().sqrt(), size=batch.shape[2:], mode="nearest")
        return self.head(large * batch) + batch.mean([1, 2, 3]).unsqueeze(1)

    def after_target(self, maps, image):
        large = functional.interpolate(maps.abs().sqrt(), size=image.shape[2:], mode="nearest")
        return self.head(large * image) + image.mean([1, 2, 3]).unsqueeze(1)


class SeveralOutputs(WithTarget):
    """The network returns several outputs. The head runs once before the target, twice after it."""

    layers_after = f"{HEAD} {HEAD}"

    def forward(self, batch):
        early = self.first(batch)
        auxiliary = self.head(early)
        maps = self.middle(early)
        return self.head(maps), auxiliary, self.head(-maps)

    def after_target(self, maps, image):
        auxiliary = self.head(self.first(image)).expand([len(maps), -1])
        return self.head(maps), auxiliary, self.head(-maps)


STRUCTURES = [
    Chain,
    TargetIsFirst,
    TargetIsLast,
    Shortcut,
    Concatenated,
    TargetRunsTwice,
    TargetIsNested,
    TargetIsContainer,
    RunsInsideAndOutside,
    ContainerRunsTwice,
    SeveralTensors,
    FunctionsBetween,
    SeveralOutputs,
]
every_structure = pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.__name__)


def layer_of(network):
    return dict(network.named_sublayers())[network.target]


def setup(structure):
    """A network, an image, and the last output of the target for this image."""
    paddle.seed(7)
    network, image = structure(), images(1, 6, 8)
    network.eval()
    with capture_outputs(layer_of(network)) as calls, paddle.no_grad():
        network(image)
    return network, image, calls[-1][1]


def assert_same(actual, expected):
    """Assert that outputs differ by at most 1e-6 of the largest value, which is not 0."""
    if isinstance(expected, tuple):
        assert isinstance(actual, tuple) and len(actual) == len(expected)
        for one, other in zip(actual, expected):
            assert_same(one, other)
        return
    actual, expected = actual.numpy(), expected.numpy()
    assert actual.shape == expected.shape and np.abs(expected).max() > 1e-3
    assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()


def repeated(tensor, count):
    """A batch of `count` times the same image or the same maps."""
    return paddle.concat([tensor] * count)


def altered_copies(maps, count, seed=3):
    """Copies of maps. The channels of each copy are multiplied by other random factors."""
    shape = [count, maps.shape[1], *[1] * (maps.ndim - 2)]
    factors = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    return repeated(maps, count) * paddle.to_tensor(factors)
