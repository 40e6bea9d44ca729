"""The same numbers sooner, on a CPU. Without it every result is the same, to rounding.

Two things are faster: the layers of a frozen network (`fast_layers`), and passes without gradients
(`CompiledForward`). `VISUALIZE_PD_FAST=0`, `fast: false` in a config, or `use_fast(False)` switches
both off.
"""

from .compiled import CompiledForward
from .layers import fast_layers
from .switch import is_fast, use_fast

__all__ = ["CompiledForward", "fast_layers", "is_fast", "use_fast"]
