"""Paddle's inference engine on a CPU: all of Paddle that runs oneDNN, which is several times faster
than its own operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import paddle
import threadpoolctl

_POOLS = threadpoolctl.ThreadpoolController().lib_controllers
_OWN_POOLS = [pool for pool in _POOLS if "paddle" in Path(pool.filepath).parts] or _POOLS

Run = Callable[..., np.ndarray]


def threads() -> int:
    """As many as Paddle uses now."""
    return max((pool.num_threads for pool in _OWN_POOLS), default=1)


def runner(config: paddle.inference.Config, names: Sequence[str], count: int) -> Run:
    """`tensors → the first output`, an array, of a program of `config`.

    `names` are its inputs', in that order; `count` threads do it. The engine reads the tensors' own
    memory.
    """
    config.disable_gpu()
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(count)
    predictor = paddle.inference.create_predictor(config)
    given = [predictor.get_input_handle(name) for name in names]
    found = predictor.get_output_handle(predictor.get_output_names()[0])

    def run(*tensors: paddle.Tensor) -> np.ndarray:
        whole = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        for handle, tensor in zip(given, whole):
            handle.share_external_data(tensor)
        predictor.run()
        paddle.base.core.set_num_threads(count)  # the engine leaves Paddle one thread
        output = found.copy_to_cpu()
        predictor.clear_intermediate_tensor()
        return output

    return run


def as_tensor(array: np.ndarray) -> paddle.Tensor:
    """A tensor of the same memory."""
    place = paddle.CPUPlace()
    return paddle.base.core.eager.Tensor(value=array, place=place, zero_copy=True)
