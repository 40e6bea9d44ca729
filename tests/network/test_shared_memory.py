"""Variables of a program share memory, and none is written over while it is needed."""

import math

import numpy as np
import pytest

from visualize_pd.network.fast.operations import Operation, share_memory


def random_program(seed, count=40):
    """Operations that read some earlier variables, and the sizes of all variables."""
    random, names, operations = np.random.default_rng(seed), ["images"], []
    shapes = {"images": [-1, 3]}
    for number in range(count):
        read = random.choice(names[-6:], min(2, len(names[-6:])), replace=False).tolist()
        by_onednn = {"use_mkldnn": True} if random.random() < 0.5 else {}
        operations.append(Operation("add", {"X": read}, {"Out": f"v{number}"}, by_onednn))
        shapes[f"v{number}"] = [-1, int(random.integers(1, 100))]
        names.append(f"v{number}")
    return operations, shapes


def read_by(operations):
    """For each operation, the numbers of the operations whose results it reads."""
    writer, found = {}, []
    for number, op in enumerate(operations):
        found.append([writer.get(name) for name in op.inputs["X"]])
        writer[op.out] = number
    return found


@pytest.mark.parametrize("seed", range(20))
def test_every_operation_still_reads_the_same_results(seed):
    operations, shapes = random_program(seed)
    kept, before = ["images", operations[-1].out], read_by(operations)
    owners = [bool(op.attributes) for op in operations]
    plain = sum(math.prod(shapes[op.out][1:]) for op in operations)
    sizes = [math.prod(shapes[op.out][1:]) for op in operations]
    share_memory(operations, kept, shapes)
    assert read_by(operations) == before
    assert not any(op.out in op.inputs["X"] for op in operations)
    assert operations[-1].out == kept[1]
    taken = {}
    for op, size, owner in zip(operations, sizes, owners):
        own, other = taken.setdefault(op.out, (0, owner))
        assert other == owner or op.out in kept  # what oneDNN makes has its own order
        taken[op.out] = max(own, size), owner
    assert sum(size for size, _ in taken.values()) < plain / 2


def test_the_largest_variables_choose_first():
    """In the order of time, b (5) would take a's place (9), and c (9) would need a new one."""
    operations = [
        Operation("f", {"X": "images"}, {"Out": "a"}),
        Operation("f", {"X": "a"}, {"Out": "small"}),
        Operation("f", {"X": "small"}, {"Out": "b"}),
        Operation("f", {"X": ["b", "small"]}, {"Out": "c"}),
        Operation("f", {"X": ["b", "c"]}, {"Out": "result"}),
    ]
    shapes = {"images": [-1, 3], "a": [-1, 9], "small": [-1, 1], "b": [-1, 5], "c": [-1, 9]}
    share_memory(operations, ["images", "result"], shapes)
    assert operations[0].out == operations[3].out != operations[2].out
