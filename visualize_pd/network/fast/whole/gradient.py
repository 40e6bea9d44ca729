"""Gradients of logits by one program that holds the forward and the backward pass.

oneDNN gets its tensors in its own order at the first layer, and gives them back at the last one.
Normalisations and ReLUs are parts of the convolutions before them.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import paddle

from ...finite import once_in_a_loop
from ...hooks import FirstOutput, frozen, hooks_of
from ..forward_backward import ForwardBackward, can_be_fast
from ..onednn import as_tensor, threads
from ..switch import is_fast
from .agreement import MANY, agree
from .program import Program, build

# A program is made after so many pixels, those of 16 images of 224 × 224. It takes some tenths of
# a second. The number of images decides, and not their time, so that two runs do the same.
FIRST_PIXELS = MANY * 224**2
MOST_PROGRAMS = 4  # for each network. Each one keeps weights in oneDNN's order
# The mean difference of the gradients, as a share of their mean size. Rounding opens or shuts a few
# ReLUs, in Paddle's own gradient too.
GRADIENT_TOLERANCE = 1e-2
# A program is dropped if it takes so many times as long as Paddle's own layers, and this time
# longer, in each of so many rounds. So other work on the machine seldom decides.
CLEARLY, SECONDS, ROUNDS = 1.5, 0.02, 5


class _Known:
    """What is known of a network: the pixels so far, and its programs by image size and threads."""

    def __init__(self) -> None:
        self.pixels = 0
        self.unchecked = 0  # images since the logits were compared
        self.programs: dict[Hashable, Program | None] = {}


_KNOWN: weakref.WeakKeyDictionary[paddle.nn.Layer, _Known] = weakref.WeakKeyDictionary()


_EXPECTED: ContextVar[bool | None] = ContextVar("many images are expected", default=None)


@contextmanager
def expect_images(count: int) -> Iterator[None]:
    """In the block, a program is made at the first pass if `count` is at least `MANY`, or never.

    So the map of an image does not depend on how many images came before it in this process, and a
    run that goes on after a stop gives the same maps.
    """
    token = _EXPECTED.set(count >= MANY)
    try:
        yield
    finally:
        _EXPECTED.reset(token)


def gradient_of_logits(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    plain: Callable[[], paddle.Tensor],
) -> paddle.Tensor:
    """∂ Σ logit of the image's class / ∂ images, `[N, C, H, W]`. `plain` is Paddle's own way.

    A program is used if the network is made of operations that have a rule in `backward.py`, and
    if its first result is that of `plain`. If weights, layers or their attributes have changed, it
    is made again after as many images as the first time.
    """
    found = _by_program(network, images, targets, plain)
    return found[1] if found else plain()


def class_logits(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    plain: Callable[[], paddle.Tensor],
) -> paddle.Tensor | None:
    """The logit of each image's class, `[N]`, with the gradient of a program. None without one."""
    found = _by_program(network, images.detach(), targets, plain)
    if found is None:
        return None
    logits, gradient = found
    classes = paddle.to_tensor(_classes(targets, len(images)) or [], place=paddle.CPUPlace())
    chosen = paddle.take_along_axis(logits, classes.unsqueeze(1), axis=1).squeeze(1)
    return ForwardBackward.apply(
        images,
        lambda images: chosen.clone(),
        lambda images, slope: gradient * slope.reshape([-1, 1, 1, 1]),
    )


def _by_program(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    plain: Callable[[], paddle.Tensor],
) -> tuple[paddle.Tensor, paddle.Tensor] | None:
    """The logits and the gradient. None if no program is used."""
    if targets is None or not _can_be_fast(network, images):
        return None
    known = _KNOWN.setdefault(network, _Known())
    keys = [(count, *images.shape[1:], threads()) for count in (None, len(images))]
    found = [known.programs[key] for key in keys if key in known.programs]
    program = found[0] if found else None
    if program is not None and once_in_a_loop(program.run) and not program.is_of(network):
        known.programs, known.pixels, program, found = {}, 0, None, []
    if program is None and (found or not _is_due(known, images)):
        return None
    if (classes := _classes(targets, len(images))) is None:
        return None
    if program is None:
        program, result = _made(network, images, classes, plain)
        known.programs[keys[0] if program is None or program.any_count else keys[1]] = program
        return result
    if max(classes) >= program.classes:
        return None
    logits, gradient = _run(program, images, classes)
    known.unchecked += len(images)
    if known.unchecked >= MANY and once_in_a_loop(network):
        known.unchecked = 0
        if not _are_logits_of(network, images, logits):
            known.programs, known.pixels = {}, 0
            return None
    return logits, gradient


def _are_logits_of(network: paddle.nn.Layer, images: paddle.Tensor, logits: paddle.Tensor) -> bool:
    """Whether the network gives these logits for the first image."""
    with frozen(network), paddle.no_grad():
        outputs = paddle.utils.flatten(network(images[:1]))
    return agree(logits[:1], outputs[0])


def _is_due(known: _Known, images: paddle.Tensor) -> bool:
    before = known.pixels
    known.pixels += images.shape[0] * images.shape[2] * images.shape[3]
    expected = _EXPECTED.get()
    due = before >= FIRST_PIXELS if expected is None else expected
    return due and len(known.programs) < MOST_PROGRAMS


def _classes(targets: Any, count: int) -> list[int] | None:
    """The class of each image. None if they make no sense."""
    try:
        each = np.asarray(targets.numpy() if isinstance(targets, paddle.Tensor) else targets)
    except ValueError:  # a list of lists of several lengths
        return None
    if each.dtype.kind not in "iu" or each.shape not in ((), (count,)) or (each < 0).any():
        return None
    return [int(target) for target in np.broadcast_to(each, (count,))]


def _can_be_fast(network: paddle.nn.Layer, images: paddle.Tensor) -> bool:
    """Whether nothing watches the layers: no hook, and no `forward` of a layer's own.

    A prior of a class image puts such a `forward` into layers.
    """
    idle = all(isinstance(hook, FirstOutput) and hook.found for hook in hooks_of(network))
    watched = any("forward" in vars(layer) for layer in network.sublayers(include_self=True))
    return is_fast() and can_be_fast(images) and idle and not watched


def _made(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    classes: Sequence[int],
    plain: Callable[[], paddle.Tensor],
) -> tuple[Program | None, tuple[paddle.Tensor, paddle.Tensor] | None]:
    """A program, its logits and its gradient. Nothing if there is none, or with other numbers."""
    started = time.perf_counter()
    expected = plain()
    seconds = time.perf_counter() - started
    try:
        program = build(network, images.shape, backwards=True)
        logits, gradient = _run(program, images, classes)
        slowest = CLEARLY * seconds + SECONDS
        slow = all(_seconds(program, images, classes) > slowest for _ in range(ROUNDS))
        alike = _are_logits_of(network, images, logits)
    except Exception:  # some networks cannot be traced, or have an operation without a rule
        return None, None
    size = float(expected.abs().mean())  # a gradient of 0 would tell nothing
    close = float((gradient - expected).abs().mean()) <= GRADIENT_TOLERANCE * size > 0
    return (program, (logits, gradient)) if alike and close and not slow else (None, None)


def _seconds(program: Program, images: paddle.Tensor, classes: Sequence[int]) -> float:
    started = time.perf_counter()
    _run(program, images, classes)
    return time.perf_counter() - started


def _run(
    program: Program, images: paddle.Tensor, classes: Sequence[int]
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The logits and the gradient."""
    slopes = np.zeros((len(images), program.classes), "float32")
    slopes[range(len(images)), classes] = 1
    logits, gradient = program.run(images.detach(), as_tensor(slopes))
    return as_tensor(logits), as_tensor(gradient)
