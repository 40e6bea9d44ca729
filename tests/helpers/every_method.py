"""All methods, with options without which one refuses to work, or takes many passes."""

from functools import partial, update_wrapper

from visualize_pd import METHODS as TABLE

OPTIONS = {
    "expected_gradients": {"baselines": "mean", "samples": 8},
    "gradient_shap": {"samples": 8},
    "guided_ig": {"steps": 8},
    "blur_ig": {"steps": 8, "max_sigma": 2},
    "rise": {"masks": 64},
    "lime": {"samples": 24},
    "kernel_shap": {"samples": 24},
    "xrai": {"steps": 8},
    "sobol": {"samples": 2},
    "hsic": {"samples": 24},
}
METHODS = {
    name: update_wrapper(partial(method, **OPTIONS[name]), method) if name in OPTIONS else method
    for name, method in TABLE.items()
}
