"""The attention methods against their definitions, computed the slow way on a small ViT.

The slow way has an additive ε in every attention of a second forward pass, written out below. The
derivative by ε is the derivative by the attention.
"""

import numpy as np
import paddle
import pytest
from network_state import state_of
from paddle.nn import functional
from toys import close
from transformers import ATTENTION_METHODS, Encoder, Swin, Vit

from visualize_pd import METHODS
from visualize_pd.core.errors import ConfigError, ModelError

SIZE = (12, 8)  # 3 × 2 patches


@pytest.fixture(params=[0, 1, 2], ids=["mean token", "class token", "class token and register"])
def vit(request):
    paddle.seed(request.param)
    network = Vit(depth=3, extra=request.param, size=SIZE)
    network.eval()
    return network


def images(count=2, seed=0):
    values = np.random.default_rng(seed).standard_normal((count, 3, *SIZE), dtype="float32")
    return paddle.to_tensor(values)


def written_out(network, batch):
    """The tokens after each block, the attention of each, and the ε in it."""
    x = network.patch_embed(batch).flatten(2).transpose([0, 2, 1])
    count, width = len(batch), x.shape[2]
    if network.extra:
        x = paddle.concat([network.tokens.expand([count, network.extra, width]), x], axis=1)
    x = x + network.positions
    tokens, attentions, epsilons = [], [], []
    for block in network.blocks:
        normed, heads = block.norm1(x), block.attn.heads
        parts = block.attn.qkv(normed).split(3, axis=2)
        q, k, v = (
            part.reshape([count, -1, heads, width // heads]).transpose([0, 2, 1, 3])
            for part in parts
        )
        product = paddle.matmul(q, k, transpose_y=True) / (width // heads) ** 0.5
        attention = functional.softmax(product)
        epsilon = paddle.zeros_like(attention)
        epsilon.stop_gradient = False
        mixed = paddle.matmul(attention + epsilon, v).transpose([0, 2, 1, 3])
        x = x + block.attn.proj(mixed.reshape([count, -1, width]))
        x = x + block.mlp(block.norm2(x))
        tokens.append(x)
        attentions.append(attention.numpy())
        epsilons.append(epsilon)
    return tokens, attentions, epsilons


def score(network, tokens, targets):
    x = network.norm(tokens)
    logits = network.head(x[:, 0] if network.extra else x.mean(axis=1))
    return sum(logits[n, target] for n, target in enumerate(targets))


def on_the_images(network, received):
    """What the patches received, `[N, T]`, at the size of the images."""
    small = np.asarray(received)[:, network.extra :].reshape(-1, 1, 3, 2)
    tensor = paddle.to_tensor(small.astype("float32"))
    return functional.interpolate(tensor, size=SIZE, mode="bilinear").numpy()


def read_row(network, relevance):
    return relevance[0] if network.extra else relevance.mean(axis=0)


def test_rollout(vit):
    _, attentions, _ = written_out(vit, images())
    rows = []
    for n in range(2):
        rollout = np.eye(attentions[0].shape[-1])
        for attention in attentions:
            rollout = (attention[n].mean(axis=0) / 2 + np.eye(len(rollout)) / 2) @ rollout
        rows.append(read_row(vit, rollout))
    close(METHODS["attention_rollout"](vit, images()).numpy(), on_the_images(vit, rows))


def test_transformer_attribution(vit):
    tokens, attentions, epsilons = written_out(vit, images())
    slopes = paddle.grad(score(vit, tokens[-1], [3, 1]), epsilons)
    rows = []
    for n in range(2):
        relevance = np.eye(attentions[0].shape[-1])
        for attention, slope in zip(attentions, slopes):
            heads = zip(attention[n], slope.numpy()[n])
            mean = np.mean([np.maximum(a * g, 0) for a, g in heads], axis=0)
            relevance = relevance + mean @ relevance
        rows.append(read_row(vit, relevance))
    found = METHODS["transformer_attribution"](vit, images(), [3, 1])
    close(found.numpy(), on_the_images(vit, rows), 1e-4)


def test_legrad(vit):
    tokens, _, epsilons = written_out(vit, images())
    received = 0
    for after, epsilon in zip(tokens, epsilons):
        own = score(vit, after, [3, 1])
        (slope,) = paddle.grad(own, [epsilon], retain_graph=True)
        received = received + np.maximum(slope.numpy(), 0).mean(axis=(1, 2)) / len(tokens)
    found = METHODS["legrad"](vit, images(), [3, 1])
    close(found.numpy(), on_the_images(vit, received), 1e-4)


@pytest.mark.parametrize("method", ATTENTION_METHODS)
@pytest.mark.parametrize("build", [Vit, Encoder, lambda: Encoder(before=True)])
def test_batch_gives_what_single_images_give_and_the_network_stays(method, build):
    paddle.seed(1)
    network = build()
    network.train()
    before, operation = state_of(network), paddle._C_ops.softmax
    together = METHODS[method](network, images(3), 2).numpy()
    for n in range(3):
        alone = METHODS[method](network, images(3)[n : n + 1], 2).numpy()
        close(together[n : n + 1], alone)
    with pytest.raises(ModelError):
        METHODS[method](network, paddle.zeros([1, 3, 4, 4]), 2)  # a single patch has no map
    assert state_of(network) == before and paddle._C_ops.softmax is operation
    assert not any(layer._forward_post_hooks for layer in network.sublayers())


@pytest.mark.parametrize("method", ATTENTION_METHODS)
def test_attention_of_named_layers_is_the_same(method):
    paddle.seed(2)
    network = Vit()
    found = METHODS[method](network, images(), 2).numpy()
    names = [f"blocks.{block}.attn.attn_drop" for block in range(3)]
    for named in (names, "blocks.*.attn.attn_drop", ["blocks.*.attn_drop"]):
        close(METHODS[method](network, images(), 2, attention_layer=named).numpy(), found)
    one = METHODS[method](network, images(), 2, attention_layer=names[2]).numpy()
    assert np.abs(one - found).max() > 1e-3 * np.abs(found).max()
    with pytest.raises(ConfigError, match="called like 'blobs"):
        METHODS[method](network, images(), 2, attention_layer="blobs.*")
    with pytest.raises(ConfigError, match=r"no layer 'blocks.7.attn'"):
        METHODS[method](network, images(), 2, attention_layer="blocks.7.attn")
    with pytest.raises(ModelError, match="no attention was found"):
        METHODS[method](network, images(), 2, attention_layer="blocks.0.norm1")


@pytest.mark.parametrize("method", ATTENTION_METHODS)
def test_attention_that_cannot_be_seen_or_is_in_windows_is_refused(method, monkeypatch):
    network = Vit()

    def fused(self, x):
        return self.proj(self.qkv(x)[..., : x.shape[2]])

    monkeypatch.setattr(type(network.blocks[0].attn), "forward", fused)
    with pytest.raises(ModelError, match="fused operation"):
        METHODS[method](network, images(), 2)
    monkeypatch.undo()
    with pytest.raises(ModelError, match="between 9 tokens"):
        METHODS[method](Swin(), images(), 2)


def test_legrad_needs_blocks():
    class Alone(Vit):
        def forward(self, batch):
            x = self.patch_embed(batch).flatten(2).transpose([0, 2, 1])
            for _ in range(2):
                x = x + functional.softmax(x.matmul(x, transpose_y=True)).matmul(x)
            return self.head(x.mean(axis=1))

    with pytest.raises(ModelError, match="layer for each block"):
        METHODS["legrad"](Alone(), images(), 2)
