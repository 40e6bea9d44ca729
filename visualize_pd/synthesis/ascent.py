"""Gradient ascent on an image: one Adam loop that yields frames."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import reduce
from typing import Any, NamedTuple, Protocol, Union

import numpy as np
import paddle
from paddle.nn import functional

from ..core.errors import ConfigError, ModelError
from ..network.fast import expect_images, fast_layers
from ..network.hooks import frozen
from .objectives import Objective
from .parametrisations import Parametrisation, Pixels
from .settings import Steps, grouped

# In quotes: Paddle 2.6 crashes if numpy.random is loaded after it.
Transform = Callable[[paddle.Tensor, "np.random.Generator"], paddle.Tensor]
Views = Callable[[paddle.Tensor, "np.random.Generator", float], Sequence[paddle.Tensor]]
Penalty = Callable[[paddle.Tensor], paddle.Tensor]
Weighted = Union[tuple[float, Penalty], tuple[float, Penalty, float]]
PixelStep = Callable[[paddle.Tensor, paddle.Tensor, int], paddle.Tensor]

# What Adam keeps from one step to the next. Before its first step it keeps nothing.
MOMENTS = {"moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"}

SIDE = 224  # of the images that `expect_images` counts

# The scores are read once in so many steps, because each read waits for the device.
READ_EVERY = 10


class Watcher(Protocol):
    """A prior that watches the layers of the network while it sees an image."""

    def watch(self) -> AbstractContextManager:
        """Record the layers while the network runs inside the block."""

    def penalty(self) -> paddle.Tensor:
        """What is subtracted from the score for the last run that was watched."""


class Frame(NamedTuple):
    """The images `[N, C, H, W]` after `iteration` steps, normalised, and their scores.

    `seen` are the scores `[N]` of the transformed images, as the network saw them. `scores` reads
    them from the device, so a loop on a GPU should not do it for each frame. `state` holds what an
    ascent needs to continue from here. `importance`, `[N, 1, H, W]`, is Σ |∂ loss / ∂ pixel| over
    all steps (Fel et al. 2023), if the ascent was asked for it.
    """

    iteration: int
    image: paddle.Tensor
    seen: paddle.Tensor
    state: dict[str, paddle.Tensor]
    importance: paddle.Tensor | None = None

    @property
    def scores(self) -> list[float]:
        """The scores of the images. Raises `ModelError` for one that is NaN or infinite."""
        return _read_scores([self.seen], self.iteration)[-1]

    @property
    def score(self) -> float:
        """The sum of the scores. This is what the ascent maximises, apart from the penalties."""
        return math.fsum(self.scores)


def noise(
    shape: tuple[int, ...], std: float = 0.01, seed: int | Sequence[int] = 0
) -> paddle.Tensor:
    """Gaussian noise around the mean colour, in normalised units. It is the same on all devices."""
    values = np.random.default_rng(seed).normal(0, std, shape)
    return paddle.to_tensor(values.astype("float32"))


def ascend(
    network: paddle.nn.Layer,
    objective: Objective,
    parametrisation: Parametrisation,
    *,
    transforms: Sequence[Transform] = (),
    views: Views | None = None,
    penalties: Sequence[Weighted] = (),
    pixel_steps: Sequence[PixelStep] = (),
    watchers: Sequence[Watcher] = (),
    importance: bool = False,
    resume: Frame | None = None,
    **options: Any,
) -> Iterator[Frame]:
    """Yield the frames of arg max_I Σ objective(transformed I) − Σ weight · penalty(I), from 0 on.

    One Adam does all steps. The other options are the keys of `Steps`: `iterations`,
    `learning_rate`, `cooling`, `seed`. In each step the network sees the image as the `transforms`,
    `(images, random) → images`, change it, or all `views` of it, `(images, random, share of the
    steps done) → [images, …]`, whose mean score counts. `watchers` are priors that watch the
    network. Of a penalty with a third entry that share is left at the last step. `pixel_steps`,
    `(images, gradient, iteration) → images`, change the image after each step of `Pixels`.
    The same seed on the same device gives the same frames, also when the ascent continues from a
    frame, `resume`. Raises `ConfigError` for pixel steps without pixels.
    """
    _check_pixel_steps(pixel_steps, parametrisation)
    (steps,), variable = grouped(options, steps=Steps()), parametrisation.variable
    adam = paddle.optimizer.Adam(float(steps.learning_rate), parameters=[variable])
    first, known = (resume.iteration, resume.state) if resume else (0, None)
    total = _restore(variable, adam, known) if known else None
    unread = _Unread({first, steps.iterations})
    for iteration in range(first, steps.iterations + 1):
        # These numbers do not depend on earlier steps, so an ascent can be resumed.
        random = np.random.default_rng([steps.seed, 1, iteration])
        with frozen(network), fast_layers(), paddle.enable_grad(), _many(steps, parametrisation):
            image, before = parametrisation.images(done := iteration / steps.iterations)
            image.retain_grads()
            seen = reduce(lambda images, change: change(images, random), transforms, image)
            shown = views(seen, random, done) if views else [seen]
            scores, loss = _scores_and_loss(network, objective, shown, watchers)
            loss = loss + _sum(penalties, before, done)
            if iteration < steps.iterations:
                loss.backward()
        scores, whole = unread.add(scores, iteration), _whole(image, parametrisation, done)
        yield Frame(iteration, whole, scores, known or _state(variable, adam, total), total)
        known = None
        if iteration < steps.iterations:
            total = _more_important(total, image, whole) if importance else None
            adam.set_lr(_learning_rate(steps, iteration))
            _step(adam, variable, pixel_steps, iteration + 1)


def _many(steps: Steps, parametrisation: Parametrisation) -> AbstractContextManager:
    """A program is made at the first step or never, so that a resumed ascent does the same."""
    return expect_images(steps.iterations * math.prod(parametrisation.size) // SIDE**2)


def _sum(penalties: Sequence[Weighted], image: paddle.Tensor, done: float) -> Any:
    total: Any = 0.0
    for weight, penalty, *last in penalties:
        left = 1 - (1 - last[0]) * done if last else 1.0
        if weight * left:
            total = total + weight * left * penalty(image)
    return total


def _whole(image: paddle.Tensor, parametrisation: Parametrisation, done: float) -> paddle.Tensor:
    """A copy of the image. While it grows, the network sees a smaller one."""
    with paddle.no_grad():
        grown = list(image.shape[2:]) == list(parametrisation.size)
        return image.detach().clone() if grown else parametrisation.whole(done)


def _more_important(
    total: paddle.Tensor | None, image: paddle.Tensor, whole: paddle.Tensor
) -> paddle.Tensor:
    """The importance of the steps before, plus that of this step."""
    gradient = paddle.zeros_like(image) if image.grad is None else image.grad
    found = gradient.abs().sum(axis=1, keepdim=True)
    if found.shape[2:] != whole.shape[2:]:
        found = functional.interpolate(found, size=whole.shape[2:], mode="bilinear")
    return found if total is None else total + found


def _scores_and_loss(
    network: paddle.nn.Layer,
    objective: Objective,
    views: Sequence[paddle.Tensor],
    watchers: Sequence[Watcher],
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The scores `[N]`, and what is minimised: minus their sum, plus the watchers' penalties.

    Both are means over the views.
    """
    scores, penalties = [], []
    for images in views:
        with ExitStack() as stack:
            for watcher in watchers:
                stack.enter_context(watcher.watch())
            scores.append(objective(network, images))
        penalties += [watcher.penalty() for watcher in watchers]
    mean = reduce(operator.add, scores) / len(views) if len(views) > 1 else scores[0]
    loss = -mean.sum()
    return mean, loss + reduce(operator.add, penalties) / len(views) if penalties else loss


def _check_pixel_steps(steps: Sequence[PixelStep], parametrisation: Parametrisation) -> None:
    if steps and not isinstance(parametrisation, Pixels):
        raise ConfigError(
            "blur, small_norm, small_contribution and clamp of the priors change pixels between "
            "steps; use parametrisation=pixels"
        )


class _Unread:
    """The scores that have not been read yet. They are read at times."""

    def __init__(self, read_at: set[int]):
        self.read_at, self.scores = read_at, list[paddle.Tensor]()

    def add(self, scores: paddle.Tensor, iteration: int) -> paddle.Tensor:
        """Take the scores of a step, and return them without their graph."""
        self.scores.append(scores.detach())
        if iteration in self.read_at or iteration % READ_EVERY == 0:
            _read_scores(self.scores, iteration)
            self.scores.clear()
        return scores.detach()


def _read_scores(scores: Sequence[paddle.Tensor], last: int) -> list[list[float]]:
    """The scores of some iterations up to `last`. Raises `ModelError` for one that is not finite.

    At the first image the weights are to blame, and later the steps.
    """
    values = paddle.stack(list(scores)).numpy()
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if not len(bad):
        return values.tolist()
    iteration = last - len(values) + 1 + bad[0]
    if iteration == 0:
        raise ModelError(
            "the network gives a score that is not a finite number for the first image; "
            "check its weights"
        )
    raise ModelError(
        f"the score is not a finite number after {iteration} iterations; "
        "lower learning_rate, lambda or init_std"
    )


def _learning_rate(steps: Steps, iteration: int) -> float:
    """The learning rate falls along a cosine, from its full value to the share `cooling` of it."""
    falling = (1 + math.cos(math.pi * iteration / steps.iterations)) / 2
    return steps.learning_rate * (steps.cooling + (1 - steps.cooling) * falling)


def _step(
    adam: paddle.optimizer.Adam,
    variable: paddle.Tensor,
    pixel_steps: Sequence[PixelStep],
    iteration: int,
) -> None:
    adam.step()
    gradient = variable.grad
    if gradient is None:  # the score does not depend on the image
        gradient = paddle.zeros_like(variable)
    for change in pixel_steps:
        with paddle.no_grad():
            paddle.assign(change(variable.detach(), gradient, iteration), variable)
    adam.clear_grad()


def ascend_together(
    ascents: Sequence[Callable[[Frame | None], Iterator[Frame]]], resume: Frame | None = None
) -> Iterator[Frame]:
    """Run several ascents in turn, one step of each, and yield frames with all their images.

    So only one ascent at a time needs memory for a forward pass. `ascents` are functions that get
    the frame to resume from, and return the frames.
    """
    parts = [_part(resume, number) for number in range(len(ascents))]
    for frames in zip(*(ascent(part) for ascent, part in zip(ascents, parts))):
        yield Frame(
            frames[0].iteration,
            paddle.concat([frame.image for frame in frames]),
            paddle.concat([frame.seen for frame in frames]),
            {
                f"{n}.{key}": value
                for n, frame in enumerate(frames)
                for key, value in frame.state.items()
            },
            paddle.concat([frame.importance for frame in frames])
            if frames[0].importance is not None
            else None,
        )


def _part(frame: Frame | None, number: int) -> Frame | None:
    """The frame of one ascent, taken out of a frame of `ascend_together`."""
    if frame is None:
        return None
    start = f"{number}."
    state = {
        key[len(start) :]: value for key, value in frame.state.items() if key.startswith(start)
    }
    return frame._replace(state=state)


def _state(
    variable: paddle.Tensor, adam: paddle.optimizer.Adam, importance: paddle.Tensor | None
) -> dict[str, paddle.Tensor]:
    """Copies of the variable and of Adam's moments and powers, without the variable's name."""
    moments = adam.state_dict().items()
    found = {key[len(variable.name) + 1 :]: value.clone() for key, value in moments}
    if importance is not None:
        found["importance"] = importance
    return {"variable": variable.detach().clone(), **found}


def _restore(
    variable: paddle.Tensor, adam: paddle.optimizer.Adam, state: Mapping[str, paddle.Tensor]
) -> paddle.Tensor | None:
    """The inverse of `_state`. Returns the importance.

    Raises `ConfigError` for the state of another ascent.
    """
    moments = dict(state)
    start, importance = moments.pop("variable", None), moments.pop("importance", None)
    fit = (
        value.dtype == variable.dtype and value.shape == ([1] if "_pow_" in key else variable.shape)
        for key, value in {**moments, "variable": start}.items()
        if value is not None
    )
    if start is None or not all(fit) or (moments and not moments.keys() >= MOMENTS):
        raise ConfigError("the frame to resume from is one of another ascent")
    variable.set_value(start)
    adam.set_state_dict({f"{variable.name}_{key}": value for key, value in moments.items()})
    return importance
