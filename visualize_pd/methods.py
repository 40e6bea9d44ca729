"""The table of methods."""

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
from .perturbation import occlusion, rise
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

# The names used in YAML. A new method: its function, its line here, its test, a YAML.
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
    "occlusion": occlusion,
    "rise": rise,
}
