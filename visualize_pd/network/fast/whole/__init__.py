"""A whole network as one program for Paddle's inference engine: its outputs, or its gradients."""

from .forward import CompiledForward
from .gradient import class_logits, expect_images, gradient_of_logits

__all__ = ["CompiledForward", "class_logits", "expect_images", "gradient_of_logits"]
