"""See what a convolutional network has learned, in PaddlePaddle."""

from .core import runtime  # first of all: it sets up Paddle

# isort: split
from .app import drawing as render
from .app.drawing import overlay
from .app.explain.explain_image import explain_image
from .app.web.launch import show_app
from .attribution.cam.ablation_cam import ablation_cam
from .attribution.cam.eigen_cam import eigen_cam, eigen_grad_cam
from .attribution.cam.grad_cam import (
    grad_cam,
    grad_cam_pp,
    guided_grad_cam,
    hires_cam,
    layer_cam,
    xgrad_cam,
)
from .attribution.cam.refine_cam import refine_cam
from .attribution.cam.score_cam import score_cam
from .attribution.concepts.craft import Concepts, concepts
from .attribution.gradient.activation_gradient import activation_gradient
from .attribution.gradient.full_grad import full_grad
from .attribution.gradient.gradient import grad_times_input, gradient, saliency
from .attribution.gradient.guided_backprop import deconvnet, guided_backprop
from .attribution.gradient.smooth_grad import smooth_grad
from .attribution.methods import METHODS
from .attribution.path.blur_ig import blur_ig
from .attribution.path.expected_gradients import expected_gradients, gradient_shap
from .attribution.path.guided_ig import guided_ig
from .attribution.path.integrated_gradients import integrated_gradients
from .attribution.perturbation.hsic import hsic
from .attribution.perturbation.occlusion import occlusion
from .attribution.perturbation.rise import rise
from .attribution.perturbation.sobol import sobol
from .attribution.relevance.deep_lift import deep_lift
from .attribution.relevance.lrp import lrp
from .attribution.superpixels.kernel_shap import kernel_shap
from .attribution.superpixels.lime import lime
from .attribution.superpixels.xrai import xrai
from .core.errors import VisualizeError
from .core.images import (
    crop,
    find_images,
    load_image,
    load_photograph,
    to_pixels,
    to_tensor,
)
from .core.runtime import use_device
from .core.version import __version__ as __version__
from .models.class_names import find_class
from .models.classifier import Classifier
from .models.loading import load_model
from .models.networks.alexnet import AlexNet
from .models.networks.efficientnet_lite import EfficientNetLite
from .network.fast import use_fast
from .network.gradients import input_gradient
from .network.outputs import select_output, set_activation
from .network.scores import ready_made as scores
from .synthesis.accentuation import accentuation
from .synthesis.ascent import Frame, ascend, noise
from .synthesis.class_image import class_image
from .synthesis.deep_dream import deep_dream
from .synthesis.inversion import inversion
from .synthesis.parametrisations import Fourier, Phases, Pixels, Pyramid
from .synthesis.priors.settings import Views
from .synthesis.settings import Growth, Priors, Steps

__all__ = [
    "METHODS",
    "AlexNet",
    "Classifier",
    "Concepts",
    "EfficientNetLite",
    "Fourier",
    "Frame",
    "Growth",
    "Phases",
    "Pixels",
    "Priors",
    "Pyramid",
    "Steps",
    "Views",
    "VisualizeError",
    "ablation_cam",
    "accentuation",
    "activation_gradient",
    "ascend",
    "blur_ig",
    "class_image",
    "concepts",
    "crop",
    "deconvnet",
    "deep_dream",
    "deep_lift",
    "eigen_cam",
    "eigen_grad_cam",
    "expected_gradients",
    "explain_image",
    "find_class",
    "find_images",
    "full_grad",
    "grad_cam",
    "grad_cam_pp",
    "grad_times_input",
    "gradient",
    "gradient_shap",
    "guided_backprop",
    "guided_grad_cam",
    "guided_ig",
    "hires_cam",
    "hsic",
    "input_gradient",
    "integrated_gradients",
    "inversion",
    "kernel_shap",
    "layer_cam",
    "lime",
    "load_image",
    "load_model",
    "load_photograph",
    "lrp",
    "noise",
    "occlusion",
    "overlay",
    "refine_cam",
    "render",
    "rise",
    "runtime",
    "saliency",
    "score_cam",
    "scores",
    "select_output",
    "set_activation",
    "show_app",
    "smooth_grad",
    "sobol",
    "to_pixels",
    "to_tensor",
    "use_device",
    "use_fast",
    "xgrad_cam",
    "xrai",
]
