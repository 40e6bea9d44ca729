"""Keep a forward pass, so that the map of another class needs no new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import paddle

from ..core.errors import ModelError
from .gradients import ForwardPass, record_forward, retained_graphs
from .layers.feature_maps import Call, capture_blocks
from .scores import Score, score_outputs

_kept: ContextVar[KeptPass | None] = ContextVar("kept pass", default=None)


class KeptPass:
    """A forward pass of images, with the outputs of all layers. It holds them in memory."""

    def __init__(self, network: paddle.nn.Layer, images: paddle.Tensor):
        self.network, self.given = network, images
        with capture_blocks(network) as self.blocks:
            self.forward = record_forward(network, images, layers=network.sublayers())

    @property
    def logits(self) -> paddle.Tensor:
        """The logits `[N, classes]`."""
        if self.forward.logits is None:
            raise ModelError("the network gives no logits")
        return self.forward.logits

    def scored(self, targets: Any, score: Score) -> ForwardPass:
        """The pass with the scores of other classes."""
        with paddle.enable_grad():
            scored = score_outputs(self.network, self.logits, self.forward.images, targets, score)
        return self.forward._replace(targets=scored.targets, scores=scored.scores)


@contextmanager
def reuse_pass(kept: KeptPass) -> Iterator[None]:
    """Inside the block, a CAM of the images of `kept` uses this pass in place of a new one."""
    token = _kept.set(kept)
    try:
        with retained_graphs():
            yield
    finally:
        _kept.reset(token)


def record_or_reuse(
    network: paddle.nn.Layer,
    images: paddle.Tensor,
    targets: Any,
    score: Score,
    layers: Sequence[paddle.nn.Layer],
) -> tuple[ForwardPass, Sequence[Call]]:
    """A forward pass with the outputs of `layers`, and the calls of `capture_blocks`.

    It is the pass of `reuse_pass` if this was made of the very same images, and if the score is
    that of a class.
    """
    kept = _kept.get()
    if (
        kept is not None
        and kept.network is network
        and kept.given is images
        and not callable(score)
    ):
        return kept.scored(targets, score), kept.blocks
    with capture_blocks(network) as blocks:
        return record_forward(network, images, targets, score=score, layers=layers), blocks
