"""The switch for the fast layers and the compiled copies."""

from __future__ import annotations

import os

from ...core.errors import ModelError

ENVIRONMENT = "VISUALIZE_PD_FAST"
ON_GPU = "VISUALIZE_PD_JIT"

_asked_for = True


def use_fast(fast: bool = True) -> None:
    """Use fast layers and compiled copies from now on, or only Paddle's own layers.

    `VISUALIZE_PD_FAST=0` in the environment always switches them off.
    """
    global _asked_for
    _asked_for = fast


def is_fast() -> bool:
    """Whether fast layers and compiled copies are used at present."""
    return _asked_for and os.environ.get(ENVIRONMENT, "1") != "0"


def is_traced_on_gpu() -> bool:
    """Whether passes without gradients on a GPU use `paddle.jit`: with `VISUALIZE_PD_JIT=1`.

    It is off by default, because it has not been measured on a GPU.
    """
    return is_fast() and os.environ.get(ON_GPU, "0") == "1"


def failed(error: Exception) -> ModelError:
    """The error to raise if a fast layer fails. Paddle's own layer may still work."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = next((line for line in lines if "Error:" in line), lines[-1] if lines else "no reason")
    return ModelError(
        f"a fast layer failed ({type(error).__name__}: {reason}); run without fast layers: set "
        f"{ENVIRONMENT}=0 in the environment, or fast=false in the config"
    )
