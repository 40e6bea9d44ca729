"""Images made by gradient ascent: one Adam loop that yields frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle.nn import functional

from . import priors
from .errors import ConfigError, check_count
from .hooks import frozen
from .objectives import Objective, class_score, energy, likeness
from .parametrisations import Fourier, Pixels
from .quick import quick_layers

# In quotes: Paddle 2.6 crashes where numpy.random is first loaded after it.
Transform = Callable[[paddle.Tensor, "np.random.Generator"], paddle.Tensor]
Penalty = Callable[[paddle.Tensor], paddle.Tensor]
Upkeep = Callable[[paddle.Tensor, paddle.Tensor, int], paddle.Tensor]


# What Adam needs to go on; before its first step it has nothing.
MOMENTS = {"moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"}


class Frame(NamedTuple):
    """The images `[N, C, H, W]` after `iteration` steps, normalised; scores as transformed.

    `state`: what an ascent that was broken off needs to go on from here.
    """

    iteration: int
    image: paddle.Tensor
    scores: list[float]
    state: dict[str, paddle.Tensor]

    @property
    def score(self) -> float:
        """The sum of the scores: what is raised."""
        return math.fsum(self.scores)


def noise(shape: tuple[int, ...], std: float = 0.01, seed: int = 0) -> paddle.Tensor:
    """Gaussian noise around the mean colour, in normalised units; the same on every device."""
    values = np.random.default_rng(seed).normal(0, std, shape)
    return paddle.to_tensor(values.astype("float32"))


def ascend(
    network: paddle.nn.Layer,
    objective: Objective,
    canvas: Pixels | Fourier,
    *,
    iterations: int = 160,
    learning_rate: float = 0.1,
    cooling: float = 1.0,
    transforms: Sequence[Transform] = (),
    penalties: Sequence[tuple[float, Penalty]] = (),
    upkeep: Sequence[Upkeep] = (),
    seed: int = 0,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """Yield the frames of arg max_I Σ objective(transformed I) − Σ weight · penalty(I), from 0 on.

    One Adam optimiser runs throughout; by a cosine its learning rate falls to `cooling` times what
    it was. Each iteration the network sees the image as the `transforms`, `(images, random) →
    images`, make it. After each step `upkeep`, `(images, gradient, iteration) → images`, may change
    the image itself, which takes `Pixels`. The same seed on the same device gives the same frames,
    also where an ascent begins at a frame of an earlier one, `resume`, in place of the canvas.
    """
    if upkeep and not isinstance(canvas, Pixels):
        raise ConfigError(
            "blur, small_norm, small_contribution and clamp of the priors change pixels between "
            "steps; use parametrisation=pixels"
        )
    adam = paddle.optimizer.Adam(learning_rate, parameters=[canvas.variable])
    if resume:
        _restore(canvas.variable, adam, resume.state)
    for iteration in range(resume.iteration if resume else 0, iterations + 1):
        random = np.random.default_rng([seed, 1, iteration])  # knows nothing of earlier steps
        with frozen(network), quick_layers(), paddle.enable_grad():
            image = canvas.image()
            seen = image
            for transform in transforms:
                seen = transform(seen, random)
            scores = objective(network, seen)
            loss = -scores.sum()
            for weight, penalty in penalties:
                if weight:
                    loss = loss + weight * penalty(image)
            if iteration < iterations:
                loss.backward()
        state = _state(canvas.variable, adam)
        yield Frame(iteration, image.detach().clone(), scores.numpy().tolist(), state)
        if iteration < iterations:
            warmth = (1 + math.cos(math.pi * iteration / iterations)) / 2
            adam.set_lr(learning_rate * (cooling + (1 - cooling) * warmth))
            adam.step()
            gradient = canvas.variable.grad
            if gradient is None:  # nothing depends on the image
                gradient = paddle.zeros_like(canvas.variable)
            for change in upkeep:
                changed = change(canvas.variable.detach(), gradient, iteration + 1)
                canvas.variable.set_value(changed)
            adam.clear_grad()


def natural_image(
    network: paddle.nn.Layer,
    objective: Objective,
    init: paddle.Tensor,
    *,
    iterations: int = 160,
    learning_rate: float = 0.1,
    l2: float = 1e-3,
    total_variation: float = 0.015,
    beta: float = 1,
    alpha_norm: float = 0.0,
    alpha: float = 6,
    shift: int = 16,
    rotation: float = 0,
    zoom: Sequence[float] = (1, 1),
    cooling: float = 1.0,
    upkeep: Sequence[Upkeep] = (),
    seed: int = 0,
    parametrisation: Callable[[paddle.Tensor], Pixels | Fourier] = Pixels,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """`ascend` with every prior: raise an objective from the images `init`, and keep them natural.

    `l2`, `total_variation` (of exponent `beta`) and `alpha_norm` (of `alpha`) are weights of
    penalties. The network sees the image
    moved by up to `shift` pixels, turned by up to `rotation` degrees, and enlarged by a factor in
    `zoom`.
    """
    if len(zoom) != 2 or zoom[0] > zoom[1]:
        raise ConfigError(f"zoom must be two factors, the smaller first, not {list(zoom)}")
    yield from ascend(
        network,
        objective,
        parametrisation(init),
        iterations=iterations,
        learning_rate=learning_rate,
        cooling=cooling,
        transforms=[
            lambda images, random: priors.random_shift(images, shift, random),
            lambda images, random: priors.random_view(images, rotation, (zoom[0], zoom[1]), random),
        ],
        penalties=[
            (l2, priors.l2),
            (total_variation, lambda images: priors.total_variation(images, beta)),
            (alpha_norm, lambda images: priors.alpha_norm(images, alpha)),
        ],
        upkeep=upkeep,
        seed=seed,
        resume=resume,
    )


def class_image(
    network: paddle.nn.Layer,
    target: int | Sequence[int],
    *,
    init: paddle.Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Iterator[Frame]:
    """Yield the frames of arg max_I S_c(I) − λ‖I‖²₂ (Simonyan et al. 2013, equation 1), from 0 on.

    λ is `l2`. Several targets make an image each, the same as alone. `init`: where to start, faint
    `noise` of 224 × 224 by default. The other options, and their defaults, are `natural_image`'s;
    `total_variation=0, shift=0` leaves the paper's equation alone. Raises `TargetError` for a class
    that the network does not have.
    """
    count = 1 if isinstance(target, int) else len(target)
    start = noise((1, 3, 224, 224), seed=seed) if init is None else init
    many = paddle.concat([start] * count)
    yield from natural_image(network, class_score(target), many, seed=seed, **options)


def deep_dream(
    network: paddle.nn.Layer,
    layer: str,
    image: paddle.Tensor,
    *,
    octaves: int = 4,
    octave_scale: float = 1.4,
    iterations: int = 20,
    learning_rate: float = 0.03,
    total_variation: float = 0.0,
    shift: int = 16,
    seed: int = 0,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """Raise the energy of a layer, from a photograph of any size (Mordvintsev et al. 2015).

    `iterations` at each of `octaves` sizes, the smallest first, each `octave_scale` times the one
    before; what a size adds is enlarged and laid over the photograph in the next, so that details
    the small sizes lack come back. Yields frames at the photograph's size, numbered throughout.
    """
    check_count("octaves", octaves)
    if octave_scale <= 1:
        raise ConfigError(f"octave_scale must be over 1, not {octave_scale}")
    full = image.shape[2:]
    added = paddle.zeros_like(image)
    # An octave's last frame counts as its own, the first frame of the next is that one again.
    first = max(0, resume.iteration - 1) // iterations if resume else 0
    for octave in range(first, octaves):
        size = [max(1, round(side / octave_scale ** (octaves - 1 - octave))) for side in full]
        photograph = _resized(image, size)
        canvas = Pixels(photograph + _resized(added, size))
        frames = ascend(
            network,
            energy(layer),
            canvas,
            iterations=iterations,
            learning_rate=learning_rate,
            transforms=[lambda images, random: priors.random_shift(images, shift, random)],
            penalties=[(total_variation, priors.total_variation)],
            seed=seed,
            resume=resume and resume._replace(iteration=resume.iteration - octave * iterations),
        )
        resume = None
        for frame in frames:
            added = frame.image - photograph
            if frame.iteration or not octave:
                number = octave * iterations + frame.iteration
                whole = image + _resized(added, full)
                yield Frame(number, whole, frame.scores, frame.state)


def inversion(
    network: paddle.nn.Layer,
    layer: str,
    image: paddle.Tensor,
    *,
    iterations: int = 200,
    learning_rate: float = 0.1,
    alpha: float = 6,
    alpha_norm: float = 1e-7,
    beta: float = 2,
    total_variation: float = 1e-5,
    shift: int = 2,
    seed: int = 0,
    init: paddle.Tensor | None = None,
    resume: Frame | None = None,
) -> Iterator[Frame]:
    """An image that a layer cannot tell from `image` (Mahendran & Vedaldi 2014, equation 1).

    arg min_I ‖Φ(I) − Φ(I₀)‖² / ‖Φ(I₀)‖² + `alpha_norm` · ‖I‖_α^α + `total_variation` · R_Vβ(I),
    from `noise`, with a random `shift` of up to so many pixels. A frame's score is −the distance.
    """
    start = noise(tuple(image.shape), seed=seed) if init is None else init
    yield from ascend(
        network,
        likeness(network, layer, image),
        Pixels(start),
        iterations=iterations,
        learning_rate=learning_rate,
        transforms=[lambda images, random: priors.random_shift(images, shift, random)],
        penalties=[
            (alpha_norm, lambda images: priors.alpha_norm(images, alpha)),
            (total_variation, lambda images: priors.total_variation(images, beta)),
        ],
        seed=seed,
        resume=resume,
    )


def in_step(
    ascents: Sequence[Callable[[Frame | None], Iterator[Frame]]], resume: Frame | None = None
) -> Iterator[Frame]:
    """Several ascents as one of all their images, each with memory for its own network pass only.

    `ascents`: functions of the frame to resume from.
    """
    parts = [_part(resume, number) for number in range(len(ascents))]
    for frames in zip(*(ascent(part) for ascent, part in zip(ascents, parts))):
        yield Frame(
            frames[0].iteration,
            paddle.concat([frame.image for frame in frames]),
            [score for frame in frames for score in frame.scores],
            {
                f"{n}.{key}": value
                for n, frame in enumerate(frames)
                for key, value in frame.state.items()
            },
        )


def _part(frame: Frame | None, number: int) -> Frame | None:
    """The frame of one of the ascents in a frame of `in_step`."""
    if frame is None:
        return None
    start = f"{number}."
    state = {
        key[len(start) :]: value for key, value in frame.state.items() if key.startswith(start)
    }
    return frame._replace(state=state)


def _state(variable: paddle.Tensor, adam: paddle.optimizer.Adam) -> dict[str, paddle.Tensor]:
    """Copies of what is changed, and of Adam's moments and powers, by names of their own."""
    moments = adam.state_dict().items()
    found = {key[len(variable.name) + 1 :]: value.clone() for key, value in moments}
    return {"variable": variable.detach().clone(), **found}


def _restore(
    variable: paddle.Tensor, adam: paddle.optimizer.Adam, state: Mapping[str, paddle.Tensor]
) -> None:
    """The inverse of `_state`."""
    moments = dict(state)
    start = moments.pop("variable", None)
    fit = (
        value.dtype == variable.dtype and value.shape == ([1] if "_pow_" in key else variable.shape)
        for key, value in state.items()
    )
    if start is None or not all(fit) or (moments and not moments.keys() >= MOMENTS):
        raise ConfigError("the frame to resume from is one of another ascent")
    variable.set_value(start)
    adam.set_state_dict({f"{variable.name}_{key}": value for key, value in moments.items()})


def _resized(images: paddle.Tensor, size: Sequence[int]) -> paddle.Tensor:
    if list(images.shape[2:]) == list(size):
        return images
    return functional.interpolate(images, size=size, mode="bicubic")
