"""Faster computation on a CPU. Without it every result is the same, up to rounding.

Two things are faster: the layers of a frozen network (`fast_layers`), and forward passes without
gradients (`CompiledForward`). Both can be switched off: with `VISUALIZE_PD_FAST=0` in the
environment, with `fast: false` in a config, or with `use_fast(False)`.
"""

from .compiled import CompiledForward
from .layers import fast_layers
from .probe import choose_ways, ways_chosen
from .switch import is_fast, use_fast

__all__ = [
    "CompiledForward",
    "choose_ways",
    "fast_layers",
    "is_fast",
    "use_fast",
    "ways_chosen",
]
