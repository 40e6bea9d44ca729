"""Everything about a network that a method must leave unchanged."""

import paddle


def state_of(network, summary=lambda value: value.numpy().tobytes()):
    """What can be compared with `==` before and after a call.

    `summary` is what is kept of each parameter and buffer, by default all its bytes.
    """
    layers = network.sublayers(include_self=True)
    return {
        "modes": [layer.training for layer in layers],
        "frozen": [p.stop_gradient for p in network.parameters()],
        "gradients": [p.grad for p in network.parameters()],
        "hooks": [(*layer._forward_pre_hooks, *layer._forward_post_hooks) for layer in layers],
        "attributes": [sorted(layer.__dict__) for layer in layers],
        "operations": [
            getattr(operations, name)
            for operations in (paddle._C_ops, paddle._legacy_C_ops)
            for name in ("relu", "relu6")
        ],
        "values": [summary(value) for value in network.state_dict().values()],
    }
