"""Passes that need no gradient: on a CPU by Paddle's inference engine, where that pays.

The engine runs a compiled copy of the network with oneDNN, which Paddle does not use otherwise, and
which is several times faster for most networks (depthwise convolutions above all).
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paddle

from .onednn import as_tensor, runner, threads
from .targets import logits_of

Run = Callable[[paddle.Tensor], paddle.Tensor]

# Compiling costs a second or two. Done once as much was spent without it, it can at worst double
# the time of a run, and short runs never pay for it.
COMPILE_AFTER_SECONDS = 2.0
TOLERANCE = 1e-5
WORTH_IT = 0.9


class _Known:
    """What is known of a network and a size of images."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.engine: Run | None = None
        self.refused = False


_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Forward:
    """`images → what the network returns`, or only the logits, once it is compiled.

    For the length of a block in which the network is frozen and no gradients are recorded. The
    compiled copy is used after it has given the network's own logits, to 1e-5 of the largest, and
    faster; in each block it must do so again, as the weights may have changed since.
    """

    def __init__(self, network: paddle.nn.Layer):
        self.network = network
        self.checked = False

    def __call__(self, images: paddle.Tensor) -> Any:
        if not _eligible(self.network, images):
            return self.network(images)
        shapes = _KNOWN.setdefault(self.network, {})
        known = shapes.setdefault(tuple(images.shape[1:]), _Known())
        if known.engine and not self.checked:
            first = images[:1]
            if _alike(known.engine(first), logits_of(self.network(first))):
                self.checked = True
            else:
                known.seconds, known.engine = 0.0, None
        if known.engine:
            return known.engine(images)
        start = time.perf_counter()
        output = self.network(images)
        seconds = time.perf_counter() - start
        known.seconds += seconds
        if known.seconds > COMPILE_AFTER_SECONDS and not known.refused:
            known.engine = _compiled(self.network, images, logits_of(output), seconds)
            known.refused = known.engine is None
            self.checked = True
        return output


def _eligible(network: paddle.nn.Layer, images: paddle.Tensor) -> bool:
    """On a CPU, in single precision, and nobody watches or changes what layers return."""
    return (
        images.place.is_cpu_place()
        and images.dtype == paddle.float32
        and not any(
            layer._forward_pre_hooks or layer._forward_post_hooks
            for layer in network.sublayers(include_self=True)
        )
    )


def _alike(logits: paddle.Tensor, expected: paddle.Tensor) -> bool:
    if logits.shape != expected.shape:
        return False
    return bool((logits - expected).abs().max() <= TOLERANCE * expected.abs().max())


def _compiled(
    network: paddle.nn.Layer, images: paddle.Tensor, expected: paddle.Tensor, seconds: float
) -> Run | None:
    """The compiled copy, or None where it cannot be had, gives other logits or is no faster."""
    try:
        with _quiet():
            engine = _compile(network, images.shape[1:])
            right = _alike(engine(images), expected)  # also the first call, which is slower
        start = time.perf_counter()
        engine(images)
    except Exception:  # a network may do anything that cannot be compiled; it runs as it is
        return None
    return engine if right and time.perf_counter() - start < WORTH_IT * seconds else None


class _Traced(paddle.nn.Layer):
    """Records what a network does; `not_to_static` keeps Paddle from rewriting its methods."""

    def __init__(self, network: paddle.nn.Layer):
        super().__init__()
        self.network = network
        self.training = False

    @paddle.jit.not_to_static
    def forward(self, images: paddle.Tensor) -> Any:
        return self.network(images)


def _compile(network: paddle.nn.Layer, shape: list[int]) -> Run:
    spec = paddle.static.InputSpec([None, *shape], "float32", name="images")
    with tempfile.TemporaryDirectory() as folder:
        paddle.jit.save(_Traced(network), os.path.join(folder, "network"), input_spec=[spec])
        (program,) = (
            path for path in Path(folder).iterdir() if path.suffix in (".json", ".pdmodel")
        )
        config = paddle.inference.Config(str(program), str(program.with_suffix(".pdiparams")))
        run = runner(config, ["images"], threads())

    def logits(images: paddle.Tensor) -> paddle.Tensor:
        found = run(images)
        return as_tensor(found[:, None] if found.ndim == 1 else found)

    return logits


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Paddle's compiler warns of, and writes to stderr past Python."""
    before = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(before, 2)
        os.close(before)
