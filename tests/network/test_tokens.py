"""Feature maps in the outputs of transformers: where they lie, and which layer is the default."""

import numpy as np
import paddle
import pytest
from paddle import nn
from toys import close
from transformers import Encoder, Swin, Vit

from visualize_pd import METHODS
from visualize_pd.core.errors import ConfigError, ModelError
from visualize_pd.network.fast.whole import forward
from visualize_pd.network.gradients import record_forward
from visualize_pd.network.hooks import capture_outputs
from visualize_pd.network.layers.feature_maps import capture_blocks, default_feature_maps
from visualize_pd.network.layers.tokens import ChannelsLast, Layouts, Tokens, Windows
from visualize_pd.network.scores import score_function


def images(height=16, width=24, count=2):
    values = np.random.default_rng(0).standard_normal((count, 3, height, width), dtype="float32")
    return paddle.to_tensor(values)


@pytest.mark.parametrize(("size", "grid"), [((12, 16), (3, 4)), ((16, 12), (4, 3))])
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_tokens_become_maps_and_maps_tokens(size, grid, extra):
    """The grid comes from the patch embedding: 12 patches may be 3 × 4 or 4 × 3."""
    network, batch = Vit(), images(*size)
    with capture_outputs(*network.sublayers()) as calls:
        network(batch)
    layouts = Layouts(network, batch, calls)
    tokens = paddle.arange(2 * (extra + 12) * 5, dtype="float32").reshape([2, extra + 12, 5])
    layout = layouts.of(network, tokens)
    assert layout == Tokens(grid, extra)
    maps = layout.maps(tokens)
    for row in range(grid[0]):
        for column in range(grid[1]):
            patch = tokens[:, extra + row * grid[1] + column]
            assert (maps[:, :, row, column] == patch).all()
    changed = layout.put(maps + 1, tokens)
    expected = tokens.numpy()
    expected[:, extra:] += 1
    assert (changed.numpy() == expected).all()


def test_channels_may_come_last_and_attention_is_no_map():
    network, batch = Vit(), images(12, 16)
    with capture_outputs(*network.sublayers()) as calls:
        network(batch)
    layouts = Layouts(network, batch, calls)
    output = paddle.randn([2, 3, 4, 7])
    assert layouts.of(network, output) == ChannelsLast()
    assert (ChannelsLast().maps(output)[1, 5] == output[1, :, :, 5]).all()
    assert (ChannelsLast().put(ChannelsLast().maps(output), output) == output).all()
    assert layouts.of(network, nn.functional.softmax(paddle.randn([2, 2, 13, 13]))) is None
    assert layouts.of(network, paddle.randn([2, 40, 5])) is None


@pytest.mark.parametrize("size", [(16, 20), (12, 24)], ids=["padded", "whole windows"])
@pytest.mark.parametrize("block", [0, 1], ids=["not shifted", "shifted"])
def test_windows_are_put_back_where_they_were(size, block):
    """A block whose attention changes nothing: its windows hold the tokens that went in."""
    network, batch = Swin(), images(*size)
    network.first[block].attn = nn.Identity()
    with capture_outputs(*network.sublayers()) as calls:
        network(batch)
    layouts = Layouts(network, batch, calls)
    outputs = {id(layer): output for layer, output in calls}
    windows = outputs[id(network.first[block].attn)]
    layout = layouts.of(network.first[block].attn, windows)
    assert layout == Windows((size[0] // 2, size[1] // 2), (3, 3), (block, block))
    tokens = outputs[id(network.first[block].norm1)]
    whole = layouts.of(network.first[block].norm1, tokens)
    assert (layout.maps(windows) == whole.maps(tokens)).all()


def test_maps_of_windows_are_not_shifted():
    """A lone bright patch is where the map of a layer inside shifted windows is largest.

    The attention is replaced by the identity, so that nothing moves.
    """
    paddle.seed(0)
    network, batch = Swin(), paddle.zeros([1, 3, 16, 20])
    batch[:, :, 6:8, 14:16] = 5
    network.first[0].attn, network.first[1].attn = nn.Identity(), nn.Identity()
    for layer in ("first.1.attn", "first.1.norm1", "first.1"):
        heat = METHODS["eigen_cam"](network, batch, 0, target_layer=layer).numpy()[0, 0]
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert row in (6, 7) and column in (14, 15), layer


DEFAULTS = {
    "class token": (Vit, "blocks.2.norm1"),
    "class token and registers": (lambda: Vit(extra=5), "blocks.2.norm1"),
    "mean token": (lambda: Vit(extra=0), "blocks.1"),
    "Paddle's encoder": (Encoder, "enc.layers.1"),
    "Paddle's encoder, normalised before": (lambda: Encoder(before=True), "enc.layers.2.norm1"),
    "windows": (Swin, "second.0"),
}


def chosen(network, batch):
    with capture_blocks(network) as blocks:
        passed = record_forward(network, batch, 1, layers=network.sublayers())
    return default_feature_maps(network, passed, blocks), passed


@pytest.mark.parametrize("case", DEFAULTS)
def test_default_is_what_goes_into_the_last_block(case):
    build, name = DEFAULTS[case]
    paddle.seed(0)
    network = build()
    network.eval()
    found, _ = chosen(network, images())
    assert found.layer is dict(network.named_sublayers())[name]
    every = METHODS["grad_cam"](network, images(), 1).numpy()
    close(METHODS["grad_cam"](network, images(), 1, target_layer=name).numpy(), every)
    assert np.ptp(every) > 0


def test_before_a_normalisation_gradient_times_activation_is_zero():
    """That is why the output of the normalisation is the default if the class token is read."""
    paddle.seed(0)
    network = Vit()
    passed = record_forward(
        network, images(), 1, layers=[network.blocks[1], network.blocks[2].norm1]
    )
    (_, before), (_, after) = passed.calls
    slopes = paddle.grad(passed.scores.sum(), [before, after])
    products = [(x * g)[:, 1:].sum(axis=2).abs().max() for x, g in zip((before, after), slopes)]
    assert float(products[0]) < 1e-3 * float(products[1])


class WithoutNormalisation(Vit):
    def __init__(self):
        super().__init__()
        for block in self.blocks:
            block.norm1 = block.norm2 = nn.Identity()
        self.norm = nn.Identity()


class ThenConvolutions(Vit):
    """Convolutions follow after the tokens, as in hybrid networks."""

    def __init__(self):
        super().__init__(extra=0)
        self.last = nn.Conv2D(8, 5, 3, padding=1)

    def forward(self, batch):
        x = self.patch_embed(batch)
        tokens = x.flatten(2).transpose([0, 2, 1])
        for block in self.blocks:
            tokens = block(tokens)
        x = tokens.transpose([0, 2, 1]).reshape(x.shape)
        return self.last(x).mean(axis=[2, 3])


def test_a_patch_embedding_is_never_the_default():
    network = WithoutNormalisation()
    with pytest.raises(ModelError, match=r"cuts the image into patches.*such as .*blocks.2"):
        METHODS["grad_cam"](network, images(), 1)
    heat = METHODS["grad_cam"](network, images(), 1, target_layer="blocks.1")
    assert float(heat.max()) > 0


def test_convolutions_after_the_tokens_are_the_default():
    network = ThenConvolutions()
    assert chosen(network, images())[0].layer is network.last


def test_a_layer_without_maps_is_refused():
    with pytest.raises(
        ConfigError, match=r"layer .head. returns .* not tokens of the image; visualize-pd models"
    ):
        METHODS["grad_cam"](Vit(), images(), 1, target_layer="head")


@pytest.mark.parametrize("layer", ["blocks.1", "blocks.2.norm1", "blocks.1.mlp"])
def test_ablation_cam_of_tokens(layer):
    """Each channel of the patches is set to 0 in turn; the class token stays. Done by hooks."""
    paddle.seed(3)
    network = Vit(extra=2)
    network.eval()
    batch, target = images(count=1), 3
    altered = dict(network.named_sublayers())[layer]
    with paddle.no_grad(), capture_outputs(altered) as calls:
        full = float(network(batch)[0, target])
    tokens = calls[0][1].numpy()[0, 2:]
    heat = np.zeros(24)
    for channel in range(8):

        def without(_layer, _inputs, output, channel=channel):
            changed = output.clone()
            changed[:, 2:, channel] = 0
            return changed

        handle = altered.register_forward_post_hook(without)
        with paddle.no_grad():
            drop = full - float(network(batch)[0, target])
        handle.remove()
        heat += drop / abs(full) * tokens[:, channel]
    small = paddle.to_tensor(np.maximum(heat, 0).reshape(1, 1, 4, 6).astype("float32"))
    expected = nn.functional.interpolate(small, size=[16, 24], mode="bilinear").numpy()
    found = METHODS["ablation_cam"](network, batch, target, target_layer=layer, batch_size=3)
    close(found.numpy(), expected, 1e-4)


def test_ablation_cam_refuses_windows():
    with pytest.raises(ConfigError, match="cut into windows"):
        METHODS["ablation_cam"](Swin(), images(16, 20), 1, target_layer="first.1.attn.proj")


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet", "guided_grad_cam"])
def test_gelu_has_no_relu_rule(method):
    with pytest.raises(ModelError, match="GELUs, for which there is no such rule"):
        METHODS[method](Vit(), images(), 1)
    with_relus = METHODS[method](Vit(act=nn.ReLU), images(), 1)
    assert float(with_relus.abs().max()) > 0


def test_a_compiled_copy_is_used_for_the_number_of_images_that_it_keeps(monkeypatch):
    """Tracing turns `x.shape[0]` into a number. Such a copy is right for as many images only."""
    monkeypatch.setattr(forward, "COMPILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(forward, "WORTH_IT", 1e9)
    network = Vit()
    with score_function(network) as score_of:
        for count in (1, 3, 1, 3, 2):
            batch = images(count=count)
            close(score_of(batch, 1)[0].numpy(), network(batch)[:, 1].numpy(), 1e-5)
    (copies,) = forward._COPIES[network].values()
    assert {count for count, run in copies.runs.items() if run} == {1, 2, 3}
