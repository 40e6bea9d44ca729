"""Does a map depend on what the network has learned, and on the class that is asked for?

Adebayo et al. 2018, Sanity Checks for Saliency Maps: layers get random weights as a test. Sixt et
al. 2020, When Explanations Lie: another class is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import paddle

from ..core.checks import check_count, look_up
from ..core.errors import ConfigError
from ..network.hooks import frozen
from ..network.layers.by_name import find_layers
from ..network.scores import Score, check_images, read_logits, resolve_targets, score_function
from ..synthesis.priors.pixel_steps import gaussian_blur


class Randomised(NamedTuple):
    """The maps after a layer was made random, and how similar each one is to the first map.

    The similarities are `[N]`, and 1 means equal. `rank_correlation` is Spearman's, of the values.
    `rank_correlation_abs` is the same for the absolute values. `ssim` is the structural similarity
    of the absolute values.
    """

    layer: str
    maps: np.ndarray
    rank_correlation: np.ndarray
    rank_correlation_abs: np.ndarray
    ssim: np.ndarray


def randomisation(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    method: Callable[..., paddle.Tensor],
    targets: Any = None,
    *,
    mode: str = "cascading",
    layers: Sequence[str] | None = None,
    seed: int = 0,
    score: Score = "logit",
) -> list[Randomised]:
    """Make layers random, from the last to the first, and compare the maps (Adebayo et al. 2018).

    `mode`: with cascading, a layer stays random while the layers below it follow (section 3.1);
    with independent, one layer at a time is random (section 3.2). `layers`: names, the last first;
    by default `parts_of(network)`. The first result, "trained", is for the unchanged network. The
    maps are `method(network, images, targets)`. Use `functools.partial` to give the method options.
    Without `targets` the class is the one that the trained network predicts. A `score` that is a
    function is that of the method. At the end the network
    is as it was before, also after an error. Raises `ConfigError` for an unknown mode or layer.
    """
    check_count("seed", seed, 0)
    chain = look_up("mode", mode, {"cascading": True, "independent": False})
    layers = [layers] if isinstance(layers, str) else layers
    names = parts_of(network) if layers is None else list(layers)
    parts = find_layers(network, names)
    with score_function(network) as score_of:
        _, chosen = score_of(images, targets, score)
    wanted = method(network, images, chosen).numpy()
    found = [_compared("trained", wanted, wanted)]
    random = np.random.default_rng(seed)
    with _restored(network) as restore:
        for name, part in zip(names, parts):
            if not chain:
                restore()
            randomise(part, random)
            maps = method(network, images, chosen).numpy()
            found.append(_compared(name, maps, wanted))
    return found


class RandomLogit(NamedTuple):
    """The other class of each image, and how similar its map is to that of the image's class.

    All are `[N]`. The similarities are those of `Randomised`.
    """

    others: np.ndarray
    rank_correlation: np.ndarray
    rank_correlation_abs: np.ndarray
    ssim: np.ndarray


def random_logit(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    method: Callable[..., paddle.Tensor],
    targets: Any = None,
    *,
    seed: int = 0,
) -> RandomLogit:
    """How similar the map of a random other class is (random-logit test, Sixt et al. 2020).

    The paper reports the mean of `ssim`. A map that explains its class has a low one; 1 means that
    the class does not matter. The maps are `method(network, images, targets)`. Without `targets`
    the class is the one that the network predicts. Raises `ConfigError` for a network with a single
    class.
    """
    check_count("seed", seed, 0)
    check_images(images)
    with frozen(network), paddle.no_grad():
        logits = read_logits(network(images), images)
    classes = logits.shape[1]
    if classes < 2:
        raise ConfigError("a network with a single class has no other class to compare with")
    chosen = resolve_targets(targets, logits)
    # A draw for each class, so that a batch gives what single images give.
    own = chosen.numpy()
    steps = [np.random.default_rng([seed, int(c)]).integers(1, classes) for c in own]
    others = (own + np.array(steps)) % classes
    of_class, of_other = (
        method(network, images, paddle.to_tensor(each)).numpy() for each in (own, others)
    )
    compared = _compared("", of_other, of_class)
    return RandomLogit(
        others, compared.rank_correlation, compared.rank_correlation_abs, compared.ssim
    )


def parts_of(network: paddle.nn.Layer) -> list[str]:
    """The names of the layers with parameters, the last first.

    A block in a list of blocks counts as one layer.
    """

    def below(layer: paddle.nn.Layer, prefix: str) -> Iterator[str]:
        for name, child in layer.named_children():
            held = isinstance(child, (paddle.nn.LayerList, paddle.nn.Sequential))
            if held:
                yield from below(child, f"{prefix}{name}.")
            elif any(True for _ in child.parameters()):
                yield prefix + name

    names = list(below(network, ""))
    if not names:
        raise ConfigError("the network has no layers with parameters")
    return names[::-1]


def randomise(part: paddle.nn.Layer, random: np.random.Generator) -> None:
    """Replace the parameters by new ones, as before training (He et al. 2015).

    Weights are normal with variance 2 / fan-in. Normalisation becomes the identity, and biases
    become 0. Other vectors are shuffled.
    """
    for layer in part.sublayers(include_self=True):
        for name, tensor in layer.named_parameters(include_sublayers=False):
            shape = tuple(tensor.shape)
            if len(shape) > 1:
                inputs = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
                values = random.normal(0, (2 / inputs) ** 0.5, shape)
            elif name in ("weight", "scale", "_variance"):
                values = np.ones(shape)
            elif name in ("bias", "_mean"):
                values = np.zeros(shape)
            else:
                values = random.permutation(tensor.numpy().reshape(-1)).reshape(shape)
            tensor.set_value(values.astype(str(tensor.numpy().dtype)))


@contextmanager
def _restored(network: paddle.nn.Layer) -> Iterator[Callable[[], None]]:
    """Yield a function that restores the parameters and buffers. It is also called at the end."""
    tensors = [t for t in (*network.parameters(), *network.buffers()) if t is not None]
    kept = [tensor.numpy().copy() for tensor in tensors]

    def restore() -> None:
        for tensor, values in zip(tensors, kept):
            tensor.set_value(values)

    try:
        yield restore
    finally:
        restore()


def _compared(layer: str, maps: np.ndarray, wanted: np.ndarray) -> Randomised:
    pairs = [(one.sum(axis=0), other.sum(axis=0)) for one, other in zip(maps, wanted)]
    sizes = [(np.abs(one), np.abs(other)) for one, other in pairs]
    return Randomised(
        layer,
        maps,
        np.array([spearman(*pair) for pair in pairs]),
        np.array([spearman(*pair) for pair in sizes]),
        np.array([ssim(*pair) for pair in sizes]),
    )


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation of two arrays, 0 for a constant one.

    Equal values get their mean rank.
    """
    ranks = [_ranks(values) for values in (first, second)]
    centred = [each - each.mean() for each in ranks]
    sizes = [np.sqrt((each**2).sum()) for each in centred]
    return float((centred[0] * centred[1]).sum() / (sizes[0] * sizes[1])) if all(sizes) else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places.ravel()]


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """The mean structural similarity of two planes, each scaled to [0, 1] (Wang et al. 2004).

    Gaussian windows with σ = 1.5, C₁ = 0.01² and C₂ = 0.03².
    """
    x, y = (_unit(plane) for plane in (first, second))
    blurred = gaussian_blur(paddle.to_tensor(np.stack([x, y, x * x, y * y, x * y])[:, None]), 1.5)
    mean_x, mean_y, xx, yy, xy = blurred.numpy()[:, 0]
    together = (2 * mean_x * mean_y + 0.01**2) * (2 * (xy - mean_x * mean_y) + 0.03**2)
    apart = (mean_x**2 + mean_y**2 + 0.01**2) * ((xx - mean_x**2) + (yy - mean_y**2) + 0.03**2)
    return float((together / apart).mean())


def _unit(plane: np.ndarray) -> np.ndarray:
    span = plane.max() - plane.min()
    return ((plane - plane.min()) / span if span else np.zeros(plane.shape)).astype("float64")
