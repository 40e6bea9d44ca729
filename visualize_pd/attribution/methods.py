"""The table of methods."""

from __future__ import annotations

from .attention.attention_rollout import attention_rollout
from .attention.legrad import legrad
from .attention.transformer_attribution import transformer_attribution
from .cam.ablation_cam import ablation_cam
from .cam.eigen_cam import eigen_cam, eigen_grad_cam
from .cam.grad_cam import grad_cam, grad_cam_pp, guided_grad_cam, hires_cam, layer_cam, xgrad_cam
from .cam.refine_cam import refine_cam
from .cam.score_cam import score_cam
from .gradient.activation_gradient import activation_gradient
from .gradient.full_grad import full_grad
from .gradient.gradient import grad_times_input, gradient, saliency
from .gradient.guided_backprop import deconvnet, guided_backprop
from .gradient.smooth_grad import smooth_grad
from .path.blur_ig import blur_ig
from .path.expected_gradients import expected_gradients, gradient_shap
from .path.guided_ig import guided_ig
from .path.integrated_gradients import integrated_gradients
from .perturbation.hsic import hsic
from .perturbation.occlusion import occlusion
from .perturbation.rise import rise
from .perturbation.sobol import sobol
from .relevance.deep_lift import deep_lift
from .relevance.lrp import lrp
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
    "gradient_shap": gradient_shap,
    "expected_gradients": expected_gradients,
    "guided_ig": guided_ig,
    "blur_ig": blur_ig,
    "smooth_grad": smooth_grad,
    "full_grad": full_grad,
    "lrp": lrp,
    "deep_lift": deep_lift,
    "activation_gradient": activation_gradient,
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "xgrad_cam": xgrad_cam,
    "layer_cam": layer_cam,
    "hires_cam": hires_cam,
    "refine_cam": refine_cam,
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
    "gradient_shap": "GradientSHAP",
    "guided_ig": "guided IG",
    "blur_ig": "blur IG",
    "smooth_grad": "SmoothGrad",
    "full_grad": "FullGrad",
    "lrp": "relevance",
    "deep_lift": "DeepLIFT",
    "activation_gradient": "filter gradients",
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "xgrad_cam": "XGrad-CAM",
    "layer_cam": "Layer-CAM",
    "hires_cam": "HiResCAM",
    "refine_cam": "RefineCAM",
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
# Methods whose map, as it is drawn, does not sum to the score. A gap would say nothing about it.
WITHOUT_SUM = {"full_grad"}
WITHOUT_CLASS = {"eigen_cam", "activation_gradient", "attention_rollout"}
