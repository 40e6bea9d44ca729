"""See what a convolutional network has learned, in PaddlePaddle."""

from . import (
    render,
    runtime,  # first: it settles Paddle before anything uses it
)
from .cam import (
    ablation_cam,
    eigen_cam,
    eigen_grad_cam,
    grad_cam,
    grad_cam_pp,
    guided_grad_cam,
    layer_cam,
    score_cam,
    xgrad_cam,
)
from .errors import VisualizeError
from .explain import explain_image
from .gradients import input_gradient
from .images import crop, find_images, load_image, to_pixels, to_tensor
from .methods import METHODS
from .models import AlexNet, Classifier, EfficientNetLite, load_model
from .parametrisations import Fourier, Pixels
from .perturbation import occlusion, rise
from .render import overlay
from .runtime import use_device
from .saliency import (
    activation_gradient,
    deconvnet,
    grad_times_input,
    gradient,
    guided_backprop,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from .synthesis import Frame, ascend, class_image, deep_dream, inversion, noise
from .targets import find_class

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "AlexNet",
    "Classifier",
    "EfficientNetLite",
    "Fourier",
    "Frame",
    "Pixels",
    "VisualizeError",
    "ablation_cam",
    "activation_gradient",
    "ascend",
    "class_image",
    "crop",
    "deconvnet",
    "deep_dream",
    "eigen_cam",
    "eigen_grad_cam",
    "explain_image",
    "find_class",
    "find_images",
    "grad_cam",
    "grad_cam_pp",
    "grad_times_input",
    "gradient",
    "guided_backprop",
    "guided_grad_cam",
    "input_gradient",
    "integrated_gradients",
    "inversion",
    "layer_cam",
    "load_image",
    "load_model",
    "noise",
    "occlusion",
    "overlay",
    "render",
    "rise",
    "runtime",
    "saliency",
    "score_cam",
    "smooth_grad",
    "to_pixels",
    "to_tensor",
    "use_device",
    "xgrad_cam",
]
