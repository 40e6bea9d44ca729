"""Importing the package sets Paddle's threads and memory. `use_device` sets its device."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from visualize_pd import VisualizeError, runtime

REPORT = """
import json, os{before}
import visualize_pd, threadpoolctl
pools = [pool for pool in threadpoolctl.threadpool_info() if "paddle" in pool["filepath"]]
threads = max(pool["num_threads"] for pool in pools)
print(json.dumps([threads, os.environ.get("MKL_DEBUG_CPU_TYPE")]))
"""


def report(before="", **environment):
    """Paddle's threads and the MKL path in a new process that imports the package."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)}
    inherited.pop("MKL_DEBUG_CPU_TYPE", None)
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(before=before)],
        capture_output=True, text=True, check=True, env={**inherited, **environment},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


CPUS = runtime._available_cpus()


@pytest.mark.parametrize(("files", "expected"), [
    ({}, 8), ({"cpu.max": "max 100000"}, 8), ({"cpu.max": "250000 100000"}, 2),
    ({"cpu.max": "50000 100000"}, 1), ({"cpu.max": "3200000 100000"}, 8), ({"cpu.max": ""}, 8),
    ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
])  # fmt: skip
def test_quota_of_a_container_limits_the_processors(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert runtime._available_cpus(tmp_path) == expected


def test_all_processors_are_used():
    assert report()[0] == CPUS


def test_all_processors_are_used_if_paddle_was_imported_first():
    assert report(before=", paddle")[0] == CPUS


def test_omp_num_threads_of_the_user_is_kept():
    assert report(OMP_NUM_THREADS="1")[0] == 1


def test_mkl_path_is_set_only_on_amd():
    assert report()[1] == ("5" if runtime._is_amd() else None)
    assert report(MKL_DEBUG_CPU_TYPE="4")[1] == "4"


# It prints how many of five large blocks come from new pages (mmap), not from freed memory.
MAPPED = """
import ctypes
import visualize_pd.core.runtime
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.mallinfo2.restype = type("Info", (ctypes.Structure,), {"_fields_": [
    (name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", *"hijklm")
]})
before = libc.mallinfo2().hblks
for _ in range(5):
    libc.malloc(ctypes.c_size_t(50 << 20))
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(
    platform.libc_ver() < ("glibc", "2.33") or platform.libc_ver()[0] != "glibc",
    reason="mallinfo2 came with glibc 2.33",
)
@pytest.mark.parametrize(("tuned", "mapped"), [({}, 0), ({"MALLOC_TOP_PAD_": "0"}, 5)])
def test_freed_memory_is_used_again_for_large_tensors(tuned, mapped):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", MAPPED],
        capture_output=True, text=True, check=True, env={**environment, **tuned},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert int(done.stdout.splitlines()[-1]) == mapped


def test_auto_is_the_cpu_without_a_gpu(monkeypatch):
    monkeypatch.setattr(runtime, "gpu_count", lambda: 0)
    assert runtime.use_device("auto") == runtime.use_device("cpu") == "cpu"


@pytest.mark.parametrize(("gpus", "device", "chosen"), [
    (2, "auto", "gpu:0"), (1, "gpu", "gpu:0"), (2, "gpu:1", "gpu:1"), (2, "cpu", "cpu"),
])  # fmt: skip
def test_device_names(monkeypatch, gpus, device, chosen):
    asked = []
    monkeypatch.setattr(runtime, "gpu_count", lambda: gpus)
    monkeypatch.setattr(runtime.paddle.device, "set_device", asked.append)
    assert runtime.use_device(device) == chosen and asked == [chosen]


@pytest.mark.parametrize(("rank", "gpus", "device", "chosen"), [
    ("1", 2, "auto", "gpu:1"), ("3", 2, "gpu", "gpu:1"), ("1", 1, "auto", "gpu:0"),
    ("1", 2, "gpu:0", "gpu:0"), ("1", 2, "cpu", "cpu"), ("x", 2, "auto", "gpu:0"),
])  # fmt: skip
def test_each_process_uses_its_own_gpu(monkeypatch, rank, gpus, device, chosen):
    monkeypatch.setenv("PADDLE_LOCAL_RANK", rank)
    monkeypatch.setattr(runtime, "gpu_count", lambda: gpus)
    monkeypatch.setattr(runtime.paddle.device, "set_device", lambda _: None)
    assert runtime.use_device(device) == chosen


def test_processes_on_one_machine_share_its_threads():
    alone, shared = report()[0], report(PADDLE_LOCAL_SIZE="2")[0]
    assert shared == max(1, alone // 2)
    assert report(PADDLE_LOCAL_SIZE="1000")[0] == 1


@pytest.mark.parametrize(("gpus", "device", "message"), [
    (0, "gpu", "no GPU found"), (1, "gpu:1", r"only 1 GPU\(s\) found"), (1, "tpu", "unknown"),
    (1, "gpu:x", "unknown"), (1, "cpu:0", "unknown"), (1, "", "unknown"),
])  # fmt: skip
def test_devices_that_do_not_exist(monkeypatch, gpus, device, message):
    monkeypatch.setattr(runtime, "gpu_count", lambda: gpus)
    with pytest.raises(VisualizeError, match=message):
        runtime.use_device(device)


@pytest.mark.parametrize("failure", [RuntimeError, OSError])
def test_gpu_build_without_a_driver_finds_no_gpu(monkeypatch, failure):
    def no_driver():
        raise failure("no CUDA driver")

    monkeypatch.setattr(runtime.paddle.device, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(runtime.paddle.device.cuda, "device_count", no_driver)
    assert runtime.gpu_count() == 0


@pytest.mark.parametrize(("version", "old"), [
    ("2.4.2", True), ("2.5.0rc1", True), ("1.8.5", True), ("2.6.2", False), ("3.3.1", False),
    ("3.0.0-beta2", False), ("0.0.0", False), ("2.10.0", False),
])  # fmt: skip
def test_old_versions_of_paddle_are_recognised(version, old):
    assert runtime._too_old(version) is old


LOADED_AFTER_PADDLE = """
import io
import visualize_pd as v
import numpy.random
from PIL import Image
Image.new("RGB", (9, 9)).save(io.BytesIO(), "PNG")
print(v.noise((1, 3, 2, 2)).shape)
"""


def test_random_numbers_and_pictures_work_after_the_import():
    """Paddle 2.6 breaks both if their modules are loaded after it; the package loads them first."""
    command = [sys.executable, "-c", LOADED_AFTER_PADDLE]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "[1, 3, 2, 2]" in done.stdout, done.stderr[-300:]
