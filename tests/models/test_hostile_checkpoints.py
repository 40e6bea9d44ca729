"""Nothing in a weight file is run, and no file needs much memory or time.

`golden/checkpoint_files.py` assembles the files.
"""

import pickle
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from golden import checkpoint_files
from golden.checkpoint_files import (
    BOMBS,
    HEADERS,
    attacks,
    named,
    part,
    state,
    storage,
    tensor,
    torch_legacy,
    torch_zip,
)
from golden_checkpoints import GOLDEN

from visualize_pd.models.weights import checkpoints

ATTACKS = list(attacks(""))
GOOD = state(a=tensor((4,), (1,)))
# Where in a file the attack is. A legacy file of PyTorch is a sequence of five pickles.
PLACES = {
    "pdparams": lambda attack: attack,
    "zip": torch_zip,
    "legacy 2": lambda attack: HEADERS[0] + attack + HEADERS[2] + GOOD,
    "legacy 3": lambda attack: HEADERS[0] + HEADERS[1] + attack + GOOD,
    "legacy 4": torch_legacy,
    "legacy 5": lambda attack: b"".join(HEADERS) + GOOD + attack + bytes(24),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_work_with_pickle(tmp_path, monkeypatch, attack):
    """Without this, the next test would prove nothing."""
    monkeypatch.setattr(checkpoint_files, "Victim", type("Victim", (), {}))
    pickle.loads(attacks(tmp_path / "mark")[attack])
    deadline = time.monotonic() + 10
    while not (tmp_path / "mark").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_do_not_run(tmp_path, refused, attack, place):
    message = refused(PLACES[place](attacks(tmp_path / "mark")[attack]))
    if attack == "Popen":
        time.sleep(0.05)
    assert not (tmp_path / "mark").exists()
    assert "was not run" in message  # the attack was the reason for the error
    assert "__setstate__" not in vars(checkpoint_files.Victim)


# Names that a pickle of weights may use.
ALLOWED_NAMES = [
    ("collections", "OrderedDict"),
    ("builtins", "tuple"),
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("torch", "FloatStorage"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
]


# Attributes that a pickle might set, as the argument of its BUILD instruction.
STATES = [
    {"array": None, "values": 0, "__setstate__": 0},
    (None, {"array": 0, "__setstate__": 0, "__code__": 0, "__init__": 0, "fill": 0}),
]


@pytest.mark.parametrize("place", ["pdparams", "zip", "legacy 4"])
@pytest.mark.parametrize("attributes", STATES)
def test_pickle_cannot_set_attributes_of_allowed_names(refused, place, attributes):
    for module, name in ALLOWED_NAMES:
        build = named(module, name) + part(attributes) + b"b"
        refused(PLACES[place](b"\x80\x02}" + part("a.weight") + build + b"s."))
    for thing in (storage(), tensor((4,), (1,))):
        refused(torch_zip(state(a=thing + part(attributes) + b"b")))


@pytest.mark.parametrize("make", [torch_zip, torch_legacy])
@pytest.mark.parametrize(
    "pid",
    [
        b")Q",
        part("storage") + b"Q",
        part(5) + b"Q",
        part(("storage",)) + b"Q",
        part(("storage", "FloatStorage", "0", "cpu", 4)) + b"Q",
        part(("module", "f4", "0", "cpu", 4)) + b"Q",
        storage(count="many"),
        storage(count=None),
        storage(count=10**18),
        storage(count=5),
        storage(count=10**40),
        storage(key="9"),
        storage(kind="Tensor"),
        storage() + part(("view", 1, 2)),
    ],
)
def test_wrong_persistent_ids(refused, pid, make):
    refused(make(state(a=tensor((4,), (1,), pid=pid))))


def test_persistent_id_as_text(refused):
    refused(torch_zip(b"\x80\x02}" + part("a.weight") + b"Pstorage\ns."))


@pytest.mark.parametrize("make", [torch_zip, torch_legacy])
@pytest.mark.parametrize(
    "size, stride, offset",
    [
        ((5,), (1,), 0), ((4,), (1,), 1), ((2, 2), (3, 1), 0), ((2,), (4,), 0), ((2,), (2**62,), 0),
        ((4,), (1,), -1), ((4,), (-1,), 3), ((-4,), (1,), 0), ((-2, -2), (1, 1), 0),
        ((1,), (1,), 4), ((2, 2), (1,), 0), ((2,), (1, 1), 0), ((), (1,), 0), ((10**12,), (0,), 0),
        ((10**30,), (0,), 0), ((10**6, 10**6), (0, 0), 0), ((2.0,), (1,), 0), (("2",), (1,), 0),
        ((2,), (None,), 0), (2, 1, 0), (None, None, None), ((4,), (1,), "0"), ((4,), (1,), 0.0),
        ((0, -3), (1, 1), 0), ((2**32, 2**32), (0, 0), 0),
    ],
)  # fmt: skip
def test_tensors_outside_their_storage(refused, size, stride, offset, make):
    refused(make(state(good=tensor((2, 2), (2, 1)), bad=tensor(size, stride, offset))))


READ_IN_PROCESSES = """
    import os, resource, sys, time, types
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    sys.modules["visualize_pd"] = types.ModuleType("visualize_pd")  # so that Paddle is not loaded
    sys.modules["visualize_pd"].__path__ = [sys.argv[1]]
    from visualize_pd.models.weights.checkpoints import read_checkpoint
    used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for path in map(str.rstrip, sys.stdin):
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            if status:
                print(f"died with status {status}", 0, 0, flush=True)
            continue
        before, start, outcome = used(), time.monotonic(), "read"
        try:
            read_checkpoint(path)
        except BaseException as error:
            outcome = type(error).__name__
            length = len(str(error))
            outcome = outcome if length < 2000 else f"a message of {length} characters"
        print(outcome, used() - before, time.monotonic() - start, flush=True)
        os._exit(0)
"""


@pytest.fixture(scope="module")
def read_in_process():
    """A function that reads a file in a process of its own, which a bomb may fill or kill.

    It returns the outcome ("read", the name of the error, or a death), the megabytes and the
    seconds.
    """
    folder = str(Path(checkpoints.__file__).parents[2])
    command = [sys.executable, "-c", textwrap.dedent(READ_IN_PROCESSES), folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:

        def read(path):
            stop = threading.Timer(20, run.kill)
            stop.start()
            print(path, file=run.stdin, flush=True)
            outcome, megabytes, seconds = run.stdout.readline().rsplit(maxsplit=2)
            stop.cancel()
            return outcome, float(megabytes), float(seconds)

        yield read
        run.stdin.close()


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_need_little_memory_and_time(tmp_path, read_in_process, bomb):
    path = tmp_path / "file.pth"
    path.write_bytes(BOMBS[bomb]())
    outcome, megabytes, seconds = read_in_process(path)
    assert outcome == "WeightsError"
    assert megabytes < 250
    assert seconds < 5


def test_good_file_is_read_in_such_a_process(read_in_process):
    assert read_in_process(GOLDEN / "checkpoint_net_zip.pth")[0] == "read"
