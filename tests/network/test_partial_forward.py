"""A network behind one of its layers, against the same steps written down by hand."""

from collections import Counter, namedtuple

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional
from toys import images

from visualize_pd import VisualizeError
from visualize_pd.network.hooks import capture_outputs, frozen
from visualize_pd.network.partial_forward import PartialForward

HEAD = "head head.0 head.1 head.2"


def conv(inputs=3, outputs=3):
    return nn.Conv2D(inputs, outputs, 3, padding=1)


def head(channels=3):
    return nn.Sequential(nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(4 * channels, 5))


class Chain(nn.Sequential):
    target = "2"
    again = "3 4 4.0 4.1 4.2"

    def __init__(self):
        super().__init__(conv(), nn.ReLU(), conv(), nn.ReLU(), head())

    def rest(self, maps, _):
        return self[4](self[3](maps))


class Tail(nn.Layer):
    """What the networks below have in common; `again`: the layers that run behind the target."""

    target = "middle"
    again = HEAD

    def __init__(self, channels=3):
        super().__init__()
        self.first, self.relu, self.middle = conv(), nn.ReLU(), conv()
        self.head = head(channels)


class First(Tail):
    """Nothing runs before the target."""

    target = "first"
    again = f"relu middle {HEAD}"

    def forward(self, batch):
        return self.head(self.middle(self.relu(self.first(batch))))

    def rest(self, maps, _):
        return self.head(self.middle(self.relu(maps)))


class Last(Tail):
    """Nothing runs behind the target but a function."""

    target, again = "head", ""

    def forward(self, batch):
        return functional.tanh(self.head(self.first(batch)))

    def rest(self, maps, _):
        return functional.tanh(maps)


class Shortcut(Tail):
    """A sum across the target, of the image too; the ReLU runs before and after."""

    again = f"relu {HEAD}"

    def forward(self, batch):
        early = self.relu(self.first(batch))
        return self.head(self.relu(self.middle(early) + early) + batch)

    def rest(self, maps, image):
        early = self.relu(self.first(image))
        return self.head(self.relu(maps + early) + image)


class Joined(Tail):
    """A concatenation across the target, of the image and of what was before a function."""

    def __init__(self):
        super().__init__(9)

    def forward(self, batch):
        early = self.first(batch)
        late = self.middle(functional.relu(early) * 2)
        return self.head(functional.sigmoid(paddle.concat([batch, early, late], axis=1)))

    def rest(self, maps, image):
        image = copies(image, len(maps))
        early = self.first(image)
        return self.head(functional.sigmoid(paddle.concat([image, early, maps], axis=1)))


class Twice(Tail):
    """The target runs twice: what it returned last is altered, what it returned first is kept."""

    again = f"first relu {HEAD}"

    def forward(self, batch):
        once = self.middle(self.relu(self.first(batch)))
        return self.head(self.relu(self.first(self.middle(once)) + once))

    def rest(self, maps, image):
        once = self.middle(self.relu(self.first(image)))
        return self.head(self.relu(self.first(maps) + once))


class Nested(nn.Layer):
    """The target is inside two containers, which begin before it and end after it."""

    target = "body.1.0"
    again = f"body body.1 body.1.1 body.1.2 body.2 {HEAD}"

    def __init__(self):
        super().__init__()
        inner = nn.Sequential(conv(), nn.ReLU(), conv())
        self.stem = nn.Sequential(conv(), nn.ReLU())
        self.body = nn.Sequential(nn.Sequential(conv(), nn.ReLU()), inner, nn.ReLU())
        self.head = head()

    def forward(self, batch):
        return self.head(self.body(self.stem(batch)))

    def rest(self, maps, _):
        inner = self.body[1]
        return self.head(self.body[2](inner[2](inner[1](maps))))


class Container(Nested):
    """The target has layers of its own, which don't run either."""

    target = "body.1"
    again = f"body body.2 {HEAD}"

    def rest(self, maps, _):
        return self.head(self.body[2](maps))


class Inside(nn.Layer):
    """A layer runs inside one that ends before the target, alone before it, and again behind it."""

    target = "middle"
    again = f"stem.0 {HEAD}"

    def __init__(self):
        super().__init__()
        shared = conv()
        self.stem, self.shared = nn.Sequential(shared, nn.ReLU(), conv()), shared
        self.middle, self.head = conv(), head()

    def forward(self, batch):
        maps = self.middle(self.shared(self.stem(batch)))
        return self.head(self.shared(maps) - maps)

    def rest(self, maps, _):
        return self.head(self.shared(maps) - maps)


class AgainAround(Nested):
    """The container of the target runs before as well; it is skipped then as a whole."""

    def forward(self, batch):
        early = self.body(self.stem(batch))
        return self.head(self.body(early) + early)

    def rest(self, maps, image):
        early = self.body(self.stem(image))
        inner = self.body[1]
        return self.head(self.body[2](inner[2](inner[1](maps))) + early)


class Branches(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, batch):
        return self.conv(batch), [batch * 2, (functional.relu(batch),)], None


class Several(Tail):
    """A layer before the target returns several tensors, one in the other."""

    def __init__(self):
        super().__init__(6)
        self.branches = Branches()

    def forward(self, batch):
        one, [two, (three,)], nothing = self.branches(batch)
        assert nothing is None
        maps = self.middle(one + two)
        return self.head(paddle.concat([maps * three + one, two], axis=1))

    def rest(self, maps, image):
        one, [two, (three,)], _ = self.branches(copies(image, len(maps)))
        return self.head(paddle.concat([maps * three + one, two], axis=1))


class Functions(Tail):
    """Functions between layers, some of them on the image."""

    def forward(self, batch):
        small = functional.avg_pool2d(batch, 2)
        maps = self.middle(functional.relu(self.first(small)).tanh())
        large = functional.interpolate(maps.abs().sqrt(), size=batch.shape[2:], mode="nearest")
        return self.head(large * batch) + batch.mean([1, 2, 3]).unsqueeze(1)

    def rest(self, maps, image):
        large = functional.interpolate(maps.abs().sqrt(), size=image.shape[2:], mode="nearest")
        return self.head(large * image) + image.mean([1, 2, 3]).unsqueeze(1)


class Auxiliary(Tail):
    """Several outputs; the head runs twice behind the target."""

    again = f"{HEAD} {HEAD}"

    def forward(self, batch):
        early = self.first(batch)
        aside = self.head(early)
        maps = self.middle(early)
        return self.head(maps), aside, self.head(-maps)

    def rest(self, maps, image):
        aside = self.head(self.first(image)).expand([len(maps), -1])
        return self.head(maps), aside, self.head(-maps)


STRUCTURES = [
    Chain,
    First,
    Last,
    Shortcut,
    Joined,
    Twice,
    Nested,
    Container,
    Inside,
    AgainAround,
    Several,
    Functions,
    Auxiliary,
]
every_structure = pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.__name__)


def layer_of(network):
    return dict(network.named_sublayers())[network.target]


def setup(structure):
    """A network, an image, and what its target returns last."""
    paddle.seed(7)
    network, image = structure(), images(1, 6, 8)
    network.eval()
    with capture_outputs(layer_of(network)) as calls, paddle.no_grad():
        network(image)
    return network, image, calls[-1][1]


def same(actual, expected):
    if isinstance(expected, tuple):
        assert isinstance(actual, tuple) and len(actual) == len(expected)
        for one, other in zip(actual, expected):
            same(one, other)
        return
    actual, expected = actual.numpy(), expected.numpy()
    assert actual.shape == expected.shape and np.abs(expected).max() > 1e-3
    assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()


def copies(tensor, count):
    return paddle.concat([tensor] * count)


def altered_copies(maps, count, seed=3):
    """Copies of maps, each with other channels left out or changed."""
    shape = [count, maps.shape[1], *[1] * (maps.ndim - 2)]
    factors = np.random.default_rng(seed).standard_normal(shape).astype("float32")
    return copies(maps, count) * paddle.to_tensor(factors)


def counted(network, monkeypatch):
    """A count of the runs of each layer, by its name; the layers themselves stay as they are."""
    names = {id(layer): name for name, layer in reversed(list(network.named_sublayers()))}
    runs = Counter()

    def counting(forward):
        def run(self, *inputs, **options):
            if id(self) in names:  # not the network itself
                runs[names[id(self)]] += 1
            return forward(self, *inputs, **options)

        return run

    for kind in {type(layer) for layer in network.sublayers()}:
        monkeypatch.setattr(kind, "forward", counting(kind.forward))
    return runs


def own_forwards(network):
    return [name for name, layer in network.named_sublayers() if "forward" in layer.__dict__]


@every_structure
def test_unaltered_maps_give_the_networks_output(structure):
    network, image, maps = setup(structure)
    with paddle.no_grad():
        rest = PartialForward(network, layer_of(network), image)
        for count in (3, 1, 4, 4):
            same(rest(copies(maps, count)), network(copies(image, count)))


@every_structure
def test_altered_maps_give_what_the_steps_by_hand_give(structure):
    network, image, maps = setup(structure)
    with paddle.no_grad():
        rest = PartialForward(network, layer_of(network), image)
        for count in (3, 1, 2):
            altered = altered_copies(maps, count, seed=count)
            same(rest(altered), network.rest(altered, image))


@every_structure
def test_only_what_is_behind_the_target_runs_again(structure, monkeypatch):
    network, image, maps = setup(structure)
    runs = counted(network, monkeypatch)
    with paddle.no_grad():
        rest = PartialForward(network, layer_of(network), image)
        assert runs[network.target] > 0
        runs.clear()
        rest(altered_copies(maps, 2))
    assert runs == Counter(network.again.split())


@every_structure
def test_layers_keep_no_forward_of_ours(structure):
    network, image, maps = setup(structure)
    rest = PartialForward(network, layer_of(network), image)
    assert own_forwards(network) == []
    rest(copies(maps, 2))
    assert own_forwards(network) == []


def test_forward_that_a_layer_had_of_its_own_comes_back():
    network, image, maps = setup(Chain)
    plain = network(image)

    def doubled(batch):
        return 2 * nn.ReLU.forward(network[3], batch)

    network[3].forward = doubled
    rest = PartialForward(network, network[2], image)
    assert network[3].__dict__["forward"] is doubled
    output = rest(copies(maps, 2))
    assert network[3].__dict__["forward"] is doubled and own_forwards(network) == ["3"]
    same(output, copies(network(image), 2))
    assert (output.numpy()[:1] != plain.numpy()).any()


@pytest.mark.parametrize("while_recording", [True, False])
def test_layers_keep_no_forward_of_ours_after_an_exception(while_recording):
    network, image, maps = setup(Nested)

    def explode(*_):
        raise ZeroDivisionError

    def register():
        return network.head[1].register_forward_pre_hook(explode)

    handle = register() if while_recording else None
    with pytest.raises(ZeroDivisionError):
        rest = PartialForward(network, layer_of(network), image)
        handle = register()
        rest(copies(maps, 2))
    assert own_forwards(network) == []
    handle.remove()
    assert network(image).shape == [1, 5]
    if not while_recording:  # one failed time does no harm to the next
        same(rest(copies(maps, 2)), copies(network(image), 2))


class Alternating(Tail):
    """Takes another way each time."""

    turn = 0

    def forward(self, batch):
        self.turn += 1
        maps = self.middle(batch)
        return self.head(maps) if self.turn % 2 else self.head(self.relu(maps))


def test_another_way_the_second_time_is_an_error():
    network = Alternating()
    for _ in range(2):
        rest = PartialForward(network, network.middle, images(1, 6, 8))
        with pytest.raises(VisualizeError, match="another way"):
            rest(paddle.ones([2, 3, 6, 8]))
        assert own_forwards(network) == []
        network.turn += 1


class Longer(Tail):
    """Goes on the second time."""

    turn = 0

    def forward(self, batch):
        self.turn += 1
        logits = self.head(self.middle(batch))
        return logits if self.turn == 1 else logits + self.head(batch)


def test_more_steps_the_second_time_are_an_error():
    network = Longer()
    rest = PartialForward(network, network.middle, images(1, 6, 8))
    with pytest.raises(VisualizeError, match="another way"):
        rest(paddle.ones([2, 3, 6, 8]))


def test_dropout_behind_the_target_is_off_where_the_network_is_frozen():
    network = nn.Sequential(conv(), nn.Dropout(0.5), head())
    network.train()
    image = images(1, 6, 8)
    with frozen(network), paddle.no_grad():
        same(
            PartialForward(network, network[0], image)(copies(network[0](image), 2)),
            network(copies(image, 2)),
        )
    assert network[1].training


Pair = namedtuple("Pair", "one two")


class Named(nn.Layer):
    def forward(self, batch):
        return Pair(batch, batch * 2)


class Table(nn.Layer):
    def forward(self, batch):
        return {"one": batch, "two": batch * 2}


class Constant(nn.Layer):
    """The same for any batch: it has no place for one."""

    def forward(self, batch):
        return batch, paddle.linspace(0, 1, 48).reshape([6, 8])


class Scalar(nn.Layer):
    def forward(self, batch):
        return batch, paddle.to_tensor(3.0)


class Unusual(Tail):
    def __init__(self, stem):
        super().__init__()
        self.stem = stem

    def forward(self, batch):
        out = self.stem(batch)
        if isinstance(self.stem, Named):
            one, two = out.one, out.two
        else:
            one, two = out.values() if isinstance(self.stem, Table) else out
        return self.head(self.middle(one) * two)


@pytest.mark.parametrize("stem", [Named, Table, Constant, Scalar])
def test_unusual_outputs_before_the_target(stem):
    network, image, maps = setup(lambda: Unusual(stem()))
    with paddle.no_grad():
        rest = PartialForward(network, network.middle, image)
        for count in (1, 3):
            same(rest(copies(maps, count)), network(copies(image, count)))


class AddsToSkipped(Tail):
    """The output of a layer before the target is changed in place."""

    def forward(self, batch):
        early = self.first(batch)
        early.add_(paddle.ones_like(early))
        return self.head(self.middle(early) + early)


class AddsLater(Tail):
    """As above, and only behind the target."""

    def forward(self, batch):
        early = self.first(batch)
        maps = self.middle(early)
        early.add_(maps)
        return self.head(early)


class Kept(nn.Layer):
    def forward(self, batch):
        return batch * 2, [batch * 3]


class AddsToOneOfSeveral(Tail):
    """As above; the layer returned several tensors."""

    def __init__(self):
        super().__init__()
        self.first = Kept()

    def forward(self, batch):
        early, [aside] = self.first(batch)
        aside.add_(paddle.ones_like(early))
        return self.head(self.middle(early) * aside)


@pytest.mark.parametrize("structure", [AddsToSkipped, AddsLater])
def test_operations_in_place_act_once(structure):
    paddle.seed(7)
    network, image = structure(), images(1, 6, 8)
    network.eval()
    with paddle.no_grad():
        early = network.first(image)
        maps = network.middle(early + 1 if structure is AddsToSkipped else early)
        rest, altered = PartialForward(network, network.middle, image), copies(maps, 2)
        for _ in range(2):
            same(rest(altered), network(copies(image, 2)))


def test_operations_in_place_act_once_on_one_of_several_tensors():
    network, image, maps = setup(AddsToOneOfSeveral)
    with paddle.no_grad():
        rest = PartialForward(network, network.middle, image)
        for _ in range(2):
            same(rest(copies(maps, 2)), network(copies(image, 2)))


@pytest.mark.parametrize("call", [0, 1, -1])
def test_any_call_of_a_layer_can_be_the_target(call):
    """`Twice` calls its target twice."""
    network, image, _ = setup(Twice)
    with paddle.no_grad():
        once = network.middle(network.relu(network.first(image)))
        twice = network.middle(once)
        rest = PartialForward(network, network.middle, image, call)
        altered = altered_copies(twice if call else once, 3)
        if call:
            expected = network.rest(altered, image)
        else:
            late = network.first(network.middle(altered))
            expected = network.head(network.relu(late + altered))
        same(rest(altered), expected)
