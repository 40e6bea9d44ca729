"""See what a convolutional network has learned, in PaddlePaddle."""

from . import (
    render,
    runtime,  # first: it settles Paddle before anything uses it
)
from .errors import VisualizeError
from .gradients import input_gradient
from .images import crop, find_images, load_image, to_pixels, to_tensor
from .models import AlexNet, Classifier, EfficientNetLite, load_model
from .render import overlay
from .runtime import use_device
from .saliency import grad_times_input, gradient, saliency
from .synthesis import Frame, class_image, noise
from .targets import find_class

__version__ = "0.1.0"

# The names used in YAML. A new method: its function, its line here, its test, a YAML.
METHODS = {
    "gradient": gradient,
    "saliency": saliency,
    "grad_times_input": grad_times_input,
}

__all__ = [
    "METHODS",
    "AlexNet",
    "Classifier",
    "EfficientNetLite",
    "Frame",
    "VisualizeError",
    "class_image",
    "crop",
    "find_class",
    "find_images",
    "grad_times_input",
    "gradient",
    "input_gradient",
    "load_image",
    "load_model",
    "noise",
    "overlay",
    "render",
    "runtime",
    "saliency",
    "to_pixels",
    "to_tensor",
    "use_device",
]
