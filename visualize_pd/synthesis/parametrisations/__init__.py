"""The variables that the optimiser changes, and the images that are made of them."""

from .base import Parametrisation
from .fourier import Fourier
from .phases import Phases
from .pixels import Pixels
from .pyramid import Pyramid

PARAMETRISATIONS = {
    "pixels": Pixels,
    "fourier": Fourier,
    "pyramid": Pyramid,
    "phases": Phases,
}

__all__ = ["PARAMETRISATIONS", "Fourier", "Parametrisation", "Phases", "Pixels", "Pyramid"]
