"""The table of methods."""

from __future__ import annotations

from .attention.attention_rollout import attention_rollout
from .attention.legrad import legrad
from .attention.transformer_attribution import transformer_attribution
from .cam.ablation_cam import ablation_cam
from .cam.eigen_cam import eigen_cam, eigen_grad_cam
from .cam.grad_cam import grad_cam, grad_cam_pp, guided_grad_cam, layer_cam, xgrad_cam
from .cam.score_cam import score_cam
from .gradient.activation_gradient import activation_gradient
from .gradient.gradient import grad_times_input, gradient, saliency
from .gradient.guided_backprop import deconvnet, guided_backprop
from .gradient.integrated_gradients import integrated_gradients
from .gradient.smooth_grad import smooth_grad
from .perturbation.hsic import hsic
from .perturbation.occlusion import occlusion
from .perturbation.rise import rise
from .perturbation.sobol import sobol
from .superpixels.kernel_shap import kernel_shap
from .superpixels.lime import lime
from .superpixels.xrai import xrai

# The keys are the names used in YAML. A new method needs a function, a line here, a test and a
# YAML file.
METHODS = {
    "gradient": gradient,
    "saliency": saliency,
    "grad_times_input": grad_times_input,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "activation_gradient": activation_gradient,
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "eigen_cam": eigen_cam,
    "eigen_grad_cam": eigen_grad_cam,
    "score_cam": score_cam,
    "ablation_cam": ablation_cam,
    "guided_grad_cam": guided_grad_cam,
    "attention_rollout": attention_rollout,
    "transformer_attribution": transformer_attribution,
    "legrad": legrad,
    "occlusion": occlusion,
    "rise": rise,
    "sobol": sobol,
    "hsic": hsic,
    "lime": lime,
    "kernel_shap": kernel_shap,
    "xrai": xrai,
}

# What the panels of a method show, if the name of the method does not say it.
TITLES = {
    "gradient": "gradients",
    "saliency": "gradients",
    "grad_times_input": "gradient x input",
    "deconvnet": "deconvnet signal",
    "smooth_grad": "SmoothGrad",
    "activation_gradient": "filter gradients",
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "xgrad_cam": "XGrad-CAM",
    "layer_cam": "Layer-CAM",
    "eigen_cam": "Eigen-CAM",
    "eigen_grad_cam": "Eigen-Grad-CAM",
    "score_cam": "Score-CAM",
    "ablation_cam": "Ablation-CAM",
    "guided_grad_cam": "guided Grad-CAM",
    "legrad": "LeGrad",
    "rise": "RISE",
    "sobol": "Sobol indices",
    "hsic": "HSIC",
    "lime": "LIME",
    "kernel_shap": "Kernel SHAP",
    "xrai": "XRAI",
}
WITHOUT_CLASS = {"eigen_cam", "activation_gradient", "attention_rollout"}
