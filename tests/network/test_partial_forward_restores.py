"""`PartialForward` restores the layers, and refuses networks that change their order of layers."""

import paddle
import pytest
from paddle import nn
from partial_forward_networks import (
    Chain,
    TargetIsNested,
    WithTarget,
    assert_same,
    every_structure,
    layer_of,
    repeated,
    setup,
)
from toys import images

from visualize_pd import VisualizeError
from visualize_pd.network.partial_forward import PartialForward


def own_forwards(network):
    """The names of the layers whose instance has its own `forward`."""
    return [name for name, layer in network.named_sublayers() if "forward" in layer.__dict__]


@every_structure
def test_forward_of_every_layer_is_restored(structure):
    network, image, maps = setup(structure)
    partial = PartialForward(network, layer_of(network), image)
    assert own_forwards(network) == []
    partial(repeated(maps, 2))
    assert own_forwards(network) == []


def test_forward_set_on_a_layer_is_kept():
    network, image, maps = setup(Chain)
    plain = network(image)

    def doubled(batch):
        return 2 * nn.ReLU.forward(network[3], batch)

    network[3].forward = doubled
    partial = PartialForward(network, network[2], image)
    assert network[3].__dict__["forward"] is doubled
    output = partial(repeated(maps, 2))
    assert network[3].__dict__["forward"] is doubled and own_forwards(network) == ["3"]
    assert_same(output, repeated(network(image), 2))
    assert (output.numpy()[:1] != plain.numpy()).any()


@pytest.mark.parametrize("while_recording", [True, False])
def test_forward_of_every_layer_is_restored_after_an_exception(while_recording):
    network, image, maps = setup(TargetIsNested)

    def explode(*_):
        raise ZeroDivisionError

    def register():
        return network.head[1].register_forward_pre_hook(explode)

    handle = register() if while_recording else None
    with pytest.raises(ZeroDivisionError):
        partial = PartialForward(network, layer_of(network), image)
        handle = register()
        partial(repeated(maps, 2))
    assert own_forwards(network) == []
    handle.remove()
    assert network(image).shape == [1, 5]
    if not while_recording:  # after a failed call the next one works
        assert_same(partial(repeated(maps, 2)), repeated(network(image), 2))


class Alternating(WithTarget):
    """Every second pass calls other layers."""

    turn = 0

    def forward(self, batch):
        self.turn += 1
        maps = self.middle(batch)
        return self.head(maps) if self.turn % 2 else self.head(self.relu(maps))


def test_other_layers_in_the_second_pass_are_an_error():
    network = Alternating()
    for _ in range(2):
        partial = PartialForward(network, network.middle, images(1, 6, 8))
        with pytest.raises(VisualizeError, match="another order"):
            partial(paddle.ones([2, 3, 6, 8]))
        assert own_forwards(network) == []
        network.turn += 1


class LongerSecondPass(WithTarget):
    """From the second pass on, more layers run."""

    turn = 0

    def forward(self, batch):
        self.turn += 1
        logits = self.head(self.middle(batch))
        return logits if self.turn == 1 else logits + self.head(batch)


def test_more_layers_in_the_second_pass_are_an_error():
    network = LongerSecondPass()
    partial = PartialForward(network, network.middle, images(1, 6, 8))
    with pytest.raises(VisualizeError, match="another order"):
        partial(paddle.ones([2, 3, 6, 8]))
