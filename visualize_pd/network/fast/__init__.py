"""Faster computation on a CPU. Without it every result is the same, up to rounding.

Three things are faster: the layers of a frozen network (`fast_layers`), forward passes without
gradients (`CompiledForward`), and many gradients of one network (`gradient_of_logits`). All can be
switched off: with `VISUALIZE_PD_FAST=0` in the environment, with `fast: false` in a config, or with
`use_fast(False)`.
"""

from .layers import fast_layers
from .probe import choose_ways, ways_chosen
from .switch import is_fast, use_fast
from .whole import CompiledForward, class_logits, expect_images, gradient_of_logits

__all__ = [
    "CompiledForward",
    "choose_ways",
    "class_logits",
    "expect_images",
    "fast_layers",
    "gradient_of_logits",
    "is_fast",
    "use_fast",
    "ways_chosen",
]
