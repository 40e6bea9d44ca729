"""Set Paddle's device, CPU threads and memory before any work.

Importing this module imports Paddle. It changes three settings, unless the user has set them:

- The number of CPU threads. Paddle's default is one thread.
- The way that Paddle's MKL computes on AMD processors. The default way is slow.
- What glibc does with freed memory. By default it returns the memory to the system after each large
  tensor.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import threadpoolctl

from .errors import DeviceError, PaddleMissingError


def _person_chose_threads() -> bool:
    """Whether the user has set OMP_NUM_THREADS. Paddle itself also sets it, to 1."""
    chosen = os.environ.get("OMP_NUM_THREADS")
    return chosen is not None and not ("paddle" in sys.modules and chosen == "1")


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return "AuthenticAMD" in platform.processor()


def _available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The number of processors that this process may use.

    These are the processors that it is bound to, but not more than the quota of its container.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    files = (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"])  # cgroups 2 and 1
    for names in files:
        with suppress(OSError, ValueError):
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if int(quota) > 0:
                return max(1, min(bound or 1, int(quota) // int(period)))
    return bound or 1


def _keep_freed_memory() -> None:
    """Let glibc use freed memory again. Otherwise it asks the system for new, empty pages."""
    tuned = [name for name in os.environ if name == "GLIBC_TUNABLES" or name.startswith("MALLOC_")]
    if platform.libc_ver()[0] == "glibc" and not tuned:
        mallopt, trim_threshold, mmap_threshold, size = ctypes.CDLL(None).mallopt, -1, -3, 1 << 30
        mallopt(mmap_threshold, size)
        mallopt(trim_threshold, size)


def _local_rank_or_size(what: str, default: int) -> int:
    """The RANK of this process, or the SIZE, which is the number of processes.

    Only processes that one launcher has started on this machine count.
    """
    value = os.environ.get(f"PADDLE_LOCAL_{what}", "")
    return max(int(value), default) if re.fullmatch(r"[0-9]{1,5}", value) else default


def _too_old(version: str) -> bool:
    """Whether a version of Paddle is older than 2.6. A build from source has the version 0.0.0."""
    numbers = tuple(map(int, re.findall(r"[0-9]+", version)[:2]))
    return (0, 0) < numbers < (2, 6)


if "paddle" not in sys.modules:
    # If they are loaded after Paddle 2.6, random numbers crash, and pictures cannot be written.
    for _module in ("numpy.random", "PIL.Image"):
        importlib.import_module(_module)
_set_threads = not _person_chose_threads()


if _is_amd():
    # MKL reads this at its first call. It then uses AVX2, as on Intel processors.
    os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


try:
    with warnings.catch_warnings(record=True) as _raised:
        import paddle
except ModuleNotFoundError as error:
    if error.name != "paddle":
        raise
    raise PaddleMissingError(
        "PaddlePaddle is not installed; in the project's folder run "
        'pip install -e ".[cpu]", or pip install -e ".[gpu]" on a machine with an NVIDIA GPU'
    ) from None


for _warning in _raised:
    if "ccache" not in str(_warning.message):  # it only matters to users who compile operators
        warnings.warn_explicit(
            _warning.message, _warning.category, _warning.filename, _warning.lineno
        )


if _too_old(paddle.__version__):
    warnings.warn(
        f"visualize_pd needs PaddlePaddle 2.6.2 or newer, but {paddle.__version__} is installed",
        stacklevel=2,
    )


_keep_freed_memory()


def use_threads() -> None:
    """Set the number of CPU threads, unless the user has set it.

    It is set at import. OpenMP keeps a number for each thread that computes, so a thread other than
    the main one must call this before it computes.
    """
    if _set_threads:
        threadpoolctl.threadpool_limits(max(1, _available_cpus() // _local_rank_or_size("SIZE", 1)))


use_threads()


def share_of_run() -> tuple[int, int]:
    """The number of this process, and the number of processes.

    Only processes that `paddle.distributed.launch` started count.
    """
    return paddle.distributed.get_rank(), paddle.distributed.get_world_size()


def gpu_count() -> int:
    """The number of GPUs that this Paddle can use. It is 0 for a CPU build or without a driver."""
    if not paddle.device.is_compiled_with_cuda():
        return 0
    try:
        return paddle.device.cuda.device_count()
    except (RuntimeError, OSError, ValueError):
        return 0


def use_device(device: str = "auto") -> str:
    """Set the device for all further work, and return its name in Paddle.

    `device`: `auto`, `cpu`, `gpu` or `gpu:N`. `auto` is the first GPU, or the CPU if there is no
    GPU. If several processes run on one machine, each takes its own GPU. Raises `DeviceError` for
    another name, and for a GPU that does not exist.
    """
    kind, _, index = str(device).partition(":")
    if not re.fullmatch(r"auto|cpu|gpu(:[0-9]{1,3})?", str(device)):
        raise DeviceError(f"unknown device '{device}'; use auto, cpu, gpu or gpu:N")
    gpus = gpu_count()
    if kind == "auto":
        kind = "gpu" if gpus else "cpu"
    if kind == "cpu":
        paddle.device.set_device("cpu")
        return "cpu"
    if int(index or 0) >= gpus:
        available = f"only {gpus} GPU(s)" if gpus else "no GPU"
        build = "" if paddle.device.is_compiled_with_cuda() else ", and Paddle is a CPU build"
        raise DeviceError(f"cannot use device '{device}': {available} found{build}; use device=cpu")
    name = f"gpu:{int(index or _local_rank_or_size('RANK', 0) % gpus)}"
    paddle.device.set_device(name)
    return name
