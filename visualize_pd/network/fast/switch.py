"""The switch for everything that exists only for speed."""

from __future__ import annotations

import os

from ...core.errors import ModelError

ENVIRONMENT = "VISUALIZE_PD_FAST"

_asked_for = True


def use_fast(fast: bool = True) -> None:
    """Use the fast layers and compiled copies from now on, or Paddle's own layers alone.

    `VISUALIZE_PD_FAST=0` in the environment switches them off whatever is asked for here.
    """
    global _asked_for
    _asked_for = fast


def is_fast() -> bool:
    """Whether fast layers and compiled copies are used now."""
    return _asked_for and os.environ.get(ENVIRONMENT, "1") != "0"


def failed(error: Exception) -> ModelError:
    """The error for a layer that fails only because it is a fast one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "Error:" in line), lines[-1] if lines else "no reason")
    return ModelError(
        f"a fast layer failed ({type(error).__name__}: {told}); run without fast layers: set "
        f"{ENVIRONMENT}=0 in the environment, or fast=false in the config"
    )
