"""`PartialForward` gives the right outputs, and runs only the layers after the target again."""

from collections import Counter, namedtuple

import paddle
import pytest
from paddle import nn
from partial_forward_networks import (
    TargetRunsTwice,
    WithTarget,
    altered_copies,
    assert_same,
    conv,
    every_structure,
    head,
    layer_of,
    repeated,
    setup,
)
from toys import images

from visualize_pd.network.hooks import frozen
from visualize_pd.network.partial_forward import PartialForward


@every_structure
def test_unchanged_maps_give_the_output_of_the_network(structure):
    network, image, maps = setup(structure)
    with paddle.no_grad():
        partial = PartialForward(network, layer_of(network), image)
        for count in (3, 1, 4, 4):
            assert_same(partial(repeated(maps, count)), network(repeated(image, count)))


@every_structure
def test_altered_maps_give_the_output_computed_by_hand(structure):
    network, image, maps = setup(structure)
    with paddle.no_grad():
        partial = PartialForward(network, layer_of(network), image)
        for count in (3, 1, 2):
            altered = altered_copies(maps, count, seed=count)
            assert_same(partial(altered), network.after_target(altered, image))


def count_runs(network, monkeypatch):
    """How often each layer runs, by its name. The classes are patched, not the layers."""
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


@every_structure
def test_only_the_layers_after_the_target_run_again(structure, monkeypatch):
    network, image, maps = setup(structure)
    runs = count_runs(network, monkeypatch)
    with paddle.no_grad():
        partial = PartialForward(network, layer_of(network), image)
        assert runs[network.target] > 0
        runs.clear()
        partial(altered_copies(maps, 2))
    assert runs == Counter(network.layers_after.split())


@pytest.mark.parametrize("call", [0, 1, -1])
def test_any_call_of_a_layer_can_be_the_target(call):
    """`TargetRunsTwice` calls its target twice."""
    network, image, _ = setup(TargetRunsTwice)
    with paddle.no_grad():
        once = network.middle(network.relu(network.first(image)))
        twice = network.middle(once)
        partial = PartialForward(network, network.middle, image, call)
        altered = altered_copies(twice if call else once, 3)
        if call:
            expected = network.after_target(altered, image)
        else:
            second = network.first(network.middle(altered))
            expected = network.head(network.relu(second + altered))
        assert_same(partial(altered), expected)


def test_dropout_after_the_target_is_off_in_a_frozen_network():
    network = nn.Sequential(conv(), nn.Dropout(0.5), head())
    network.train()
    image = images(1, 6, 8)
    with frozen(network), paddle.no_grad():
        assert_same(
            PartialForward(network, network[0], image)(repeated(network[0](image), 2)),
            network(repeated(image, 2)),
        )
    assert network[1].training


Pair = namedtuple("Pair", "one two")


class ReturnsNamedTuple(nn.Layer):
    def forward(self, batch):
        return Pair(batch, batch * 2)


class ReturnsDict(nn.Layer):
    def forward(self, batch):
        return {"one": batch, "two": batch * 2}


class ReturnsConstant(nn.Layer):
    """Its second output is the same for every batch, and has no batch axis."""

    def forward(self, batch):
        return batch, paddle.linspace(0, 1, 48).reshape([6, 8])


class ReturnsScalar(nn.Layer):
    def forward(self, batch):
        return batch, paddle.to_tensor(3.0)


class WithStem(WithTarget):
    def __init__(self, stem):
        super().__init__()
        self.stem = stem

    def forward(self, batch):
        out = self.stem(batch)
        if isinstance(self.stem, ReturnsNamedTuple):
            one, two = out.one, out.two
        else:
            one, two = out.values() if isinstance(self.stem, ReturnsDict) else out
        return self.head(self.middle(one) * two)


@pytest.mark.parametrize("stem", [ReturnsNamedTuple, ReturnsDict, ReturnsConstant, ReturnsScalar])
def test_unusual_outputs_before_the_target(stem):
    network, image, maps = setup(lambda: WithStem(stem()))
    with paddle.no_grad():
        partial = PartialForward(network, network.middle, image)
        for count in (1, 3):
            assert_same(partial(repeated(maps, count)), network(repeated(image, count)))


class AddsBeforeTarget(WithTarget):
    """The output of an earlier layer is changed in place before the target."""

    def forward(self, batch):
        early = self.first(batch)
        early.add_(paddle.ones_like(early))
        return self.head(self.middle(early) + early)


class AddsAfterTarget(WithTarget):
    """The output of an earlier layer is changed in place after the target."""

    def forward(self, batch):
        early = self.first(batch)
        maps = self.middle(early)
        early.add_(maps)
        return self.head(early)


class ReturnsTwoTensors(nn.Layer):
    def forward(self, batch):
        return batch * 2, [batch * 3]


class AddsToOneOfTwoTensors(WithTarget):
    """An earlier layer returns two tensors. One of them is changed in place."""

    def __init__(self):
        super().__init__()
        self.first = ReturnsTwoTensors()

    def forward(self, batch):
        early, [other] = self.first(batch)
        other.add_(paddle.ones_like(early))
        return self.head(self.middle(early) * other)


@pytest.mark.parametrize("structure", [AddsBeforeTarget, AddsAfterTarget])
def test_in_place_operations_act_once(structure):
    paddle.seed(7)
    network, image = structure(), images(1, 6, 8)
    network.eval()
    with paddle.no_grad():
        early = network.first(image)
        maps = network.middle(early + 1 if structure is AddsBeforeTarget else early)
        partial, altered = PartialForward(network, network.middle, image), repeated(maps, 2)
        for _ in range(2):
            assert_same(partial(altered), network(repeated(image, 2)))


def test_in_place_operation_on_one_of_two_tensors_acts_once():
    network, image, maps = setup(AddsToOneOfTwoTensors)
    with paddle.no_grad():
        partial = PartialForward(network, network.middle, image)
        for _ in range(2):
            assert_same(partial(repeated(maps, 2)), network(repeated(image, 2)))
