"""`visualize-pd weights convert`: the new file holds the same weights, or none is written."""

import os
import pickle
from pathlib import Path

import numpy as np
import paddle
import pytest
from app_helpers import Hostile, contents
from safetensors.numpy import load_file, save_file
from tiny import small_net

from visualize_pd import load_model
from visualize_pd.models.networks.efficientnet_lite import packaged_weights
from visualize_pd.models.registry import REGISTRY
from visualize_pd.models.weights.checkpoints import read_checkpoint

LITE_FILE = packaged_weights(0)


def logits(network):
    images = np.random.default_rng(1).normal(size=(1, 3, 96, 96)).astype("f4")
    return network(paddle.to_tensor(images)).numpy()


def test_converted_file_has_the_same_arrays_and_gives_the_same_logits(run_command, tmp_path):
    target = tmp_path / "new" / "lite.safetensors"
    code, output, errors = run_command("weights", "convert", LITE_FILE, target)
    assert code == 0, errors
    before, after = read_checkpoint(LITE_FILE), load_file(target)
    assert before.keys() == after.keys()
    for name in before:
        assert before[name].shape == after[name].shape and after[name].dtype == np.float32
        np.testing.assert_array_equal(before[name], after[name])
    assert output == f"{LITE_FILE} → {target}: {len(after)} arrays, 4,694,073 parameters\n"
    for path in (LITE_FILE, target):
        network = load_model("efficientnet_lite0", str(path)).network
        assert network._fc.weight.shape == [1280, 1000]
    expected = logits(load_model("efficientnet_lite0").network)
    np.testing.assert_array_equal(logits(network), expected)


def test_file_converted_for_a_network_has_the_layout_of_that_network(run_command, tmp_path):
    """PyTorch's names become Paddle's, and a Linear weight [out, in] becomes [in, out]."""
    target = tmp_path / "lite.safetensors"
    code, _, errors = run_command(
        "weights", "convert", LITE_FILE, target, "--model", "efficientnet_lite0"
    )
    assert code == 0, errors
    arrays = load_file(target)
    assert arrays["_fc.weight"].shape == (1280, 1000) and "_bn0._mean" in arrays
    network = REGISTRY["efficientnet_lite0"].build(num_classes=1000)
    network.eval()
    assert network.set_state_dict(arrays) in (None, ([], []))
    assert arrays.keys() == network.state_dict().keys()
    np.testing.assert_array_equal(logits(network), logits(load_model("efficientnet_lite0").network))


def test_pdparams_and_safetensors_can_be_converted(run_command, tmp_path, network_file):
    expected = small_net().state_dict()
    first, second = tmp_path / "1.safetensors", tmp_path / "2.SAFETENSORS"
    assert run_command("weights", "convert", network_file, first)[0] == 0
    assert run_command("weights", "convert", first, second, "--model", "tiny:small_net")[0] == 0
    for path in (first, second):
        arrays = load_file(path)
        assert arrays.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(arrays[name], value.numpy())


def test_number_of_classes_can_be_given(run_command, tmp_path, command_error):
    file, target = tmp_path / "five.pdparams", tmp_path / "five.safetensors"
    paddle.save(small_net(5).state_dict(), str(file))
    options = "--model", "tiny:small_net"
    assert run_command("weights", "convert", file, target, *options, "--classes", 5)[0] == 0
    assert load_file(target)["6.bias"].shape == (5,)
    assert run_command("weights", "check", file, *options, "--classes", 5)[0] == 0
    assert "6.weight is [8, 5] where [8, 3] is needed" in command_error(
        "weights", "check", file, *options
    )


@pytest.mark.parametrize("trouble", ["missing", "damaged", "hostile", "misfit", "suffix", "name"])
@pytest.mark.parametrize("existing", [False, True])
def test_failed_conversion_writes_no_file_and_keeps_an_existing_one(
    tmp_path, command_error, network_file, trouble, existing
):
    source, target, options, said = network_file, tmp_path / "o/new.safetensors", (), trouble
    target.parent.mkdir()
    if trouble == "missing":
        source, said = tmp_path / "nothing.pth", "no such weight file"
    elif trouble == "damaged":
        source.write_bytes(source.read_bytes()[:-100])
    elif trouble == "hostile":
        hostile = Hostile(Path.touch, tmp_path / "run")
        source.write_bytes(pickle.dumps({"a.weight": hostile}, protocol=2))
        said = "which is not a weight and was not run"
    elif trouble == "misfit":
        options, said = ("--model", "efficientnet_lite0"), "do not fit EfficientNetLite"
    elif trouble == "suffix":
        target, said = target.with_suffix(".npz"), "must end in .safetensors"
    else:
        paddle.save({"__metadata__": paddle.zeros([2])}, str(source))
        said = "has the name '__metadata__'"
    if existing:
        target.write_bytes(b"as it was")
    assert said in command_error("weights", "convert", source, target, *options)
    assert contents(target.parent) == ({Path(target.name): b"as it was"} if existing else {})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_file_name_that_no_file_can_have(tmp_path, command_error, network_file, name):
    long = tmp_path / f"{name}.safetensors"
    assert "cannot read the weights" in command_error("weights", "check", long)
    assert "cannot read the weights" in command_error("weights", "convert", long, "new.safetensors")
    assert "cannot write" in command_error("weights", "convert", network_file, long)


@pytest.mark.parametrize("by", ["itself", "link", "hard link"])
def test_source_file_is_never_overwritten(tmp_path, command_error, by):
    source = other = tmp_path / "net.safetensors"
    save_file({"a.weight": np.ones((2, 3), "f4")}, source)
    before = source.read_bytes()
    if by != "itself":
        other = tmp_path / "other.safetensors"
        (os.symlink if by == "link" else os.link)(source, other)
    assert "is the file to convert" in command_error("weights", "convert", source, other)
    assert source.read_bytes() == other.read_bytes() == before


def test_square_matrices_of_pytorch_need_the_name_of_the_network(tmp_path, command_error):
    """They are transposed when a .pth is loaded, but not when a .safetensors is loaded."""
    source, target = tmp_path / "square.pth", tmp_path / "square.safetensors"
    paddle.save({"0.weight": paddle.rand([4, 4]), "0.bias": paddle.zeros([4])}, str(source))
    assert "name their network with --model" in command_error("weights", "convert", source, target)
    assert not target.exists()
