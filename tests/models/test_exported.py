"""Weights of exported networks, and checkpoints as trainings leave them."""

import builtins
import json

import numpy as np
import paddle
import pytest
from paddle import nn

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.loading import load_model
from visualize_pd.models.weights.checkpoints import read_checkpoint
from visualize_pd.models.weights.exported import by_parameter
from visualize_pd.models.weights.fitting import load_weights


def net(num_classes=3):
    """A network with a parameter of each kind: convolution, normalisation, linear layer."""
    return nn.Sequential(
        nn.Conv2D(3, 4, 3),
        nn.BatchNorm2D(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2D(1),
        nn.Flatten(),
        nn.Linear(4, 4),
        nn.Linear(4, num_classes),
    )


NAME = f"{__name__}:net"


class WithOwnParameters(nn.Layer):
    """Parameters that belong to no usual layer, twelve convolutions, a buffer, a fixed name."""

    def __init__(self):
        super().__init__()
        self.scale = self.create_parameter([1, 8, 1, 1])
        self.shift = self.create_parameter([1, 8, 1, 1], is_bias=True)
        self.convs = nn.LayerList([nn.Conv2D(3 if n == 0 else 8, 8, 1) for n in range(12)])
        self.last = nn.Linear(8, 3, weight_attr=paddle.ParamAttr(name="last_weights"))
        self.register_buffer("unsaved", paddle.full([1], 2.0), persistable=False)
        self.register_buffer("mask", paddle.arange(8).astype("float32"))

    def forward(self, images):
        for conv in self.convs:
            images = conv(images)
        return self.last((images * self.scale + self.shift).mean([2, 3]) * self.mask * self.unsaved)


@pytest.fixture
def trained():
    """A network with random numbers in every array, also in the statistics."""
    with paddle.utils.unique_name.guard():
        network = net()
    rng = np.random.default_rng(0)
    for value in network.state_dict().values():
        value.set_value(rng.uniform(0.5, 1.5, value.shape).astype("float32"))
    network.eval()
    return network


def assert_loaded(weights, trained):
    loaded = load_model(NAME, str(weights)).network.state_dict()
    for name, value in trained.state_dict().items():
        assert np.array_equal(loaded[name].numpy(), value.numpy()), name


@pytest.fixture
def inference(tmp_path, trained):
    """The files of an inference model, in the format of the Paddle that is installed."""
    spec = [paddle.static.InputSpec([None, 3, 8, 8])]
    paddle.jit.save(trained, str(tmp_path / "inference"), input_spec=spec)
    return tmp_path / "inference.pdiparams"


def program_of(inference):
    suffixes = (".json", ".pdmodel")
    return next(p for p in map(inference.with_suffix, suffixes) if p.is_file())


class TestInferenceModels:
    def test_any_of_its_files_and_its_folder_load(self, inference, trained):
        for path in (inference, program_of(inference), inference.parent):
            assert_loaded(path, trained)

    def test_names_do_not_depend_on_networks_built_before(self, inference, trained):
        net()
        assert_loaded(inference, trained)

    def test_numbers_in_the_file_may_begin_anywhere(self, tmp_path, trained):
        """As if the process that exported it had built other networks before, such as a teacher."""
        net()
        state = {name: value.numpy() for name, value in trained.state_dict().items()}
        later = net()
        later.set_state_dict(state)
        later.eval()
        spec = [paddle.static.InputSpec([None, 3, 8, 8])]
        paddle.jit.save(later, str(tmp_path / "inference"), input_spec=spec)
        assert "linear_0.w_0" not in read_checkpoint(tmp_path / "inference.pdiparams")
        assert_loaded(tmp_path, trained)

    def test_own_parameters_buffers_and_fixed_names(self, tmp_path):
        network = WithOwnParameters()
        rng = np.random.default_rng(0)
        for value in network.state_dict().values():
            value.set_value(rng.uniform(0.5, 1.5, value.shape).astype("float32"))
        network.eval()
        spec = [paddle.static.InputSpec([None, 3, 8, 8])]
        paddle.jit.save(network, str(tmp_path / "inference"), input_spec=spec)
        generator, used = paddle.utils.unique_name.switch()
        paddle.utils.unique_name.switch(generator)  # so that the fixed name is allowed again
        loaded = WithOwnParameters()
        paddle.utils.unique_name.switch(generator, used)
        load_weights(loaded, tmp_path / "inference.pdiparams")
        for name, value in network.state_dict().items():
            assert np.array_equal(loaded.state_dict()[name].numpy(), value.numpy()), name

    @pytest.mark.parametrize("same", [True, False])
    def test_buffers_without_an_order(self, same):
        """The numbers of several buffers tell nothing. It matters only if the buffers differ."""
        network = nn.Sequential(nn.Linear(3, 3))
        network.register_buffer("a", paddle.full([4], 1.0))
        network.register_buffer("b", paddle.full([4], 1.0))
        arrays = {"linear_0.w_0": np.eye(3, dtype="float32"), "linear_0.b_0": np.ones(3, "float32")}
        arrays |= {"eager_tmp_0": np.full(4, 5.0), "eager_tmp_1": np.full(4, 5.0 if same else 6.0)}
        found = by_parameter(arrays, network)
        assert ("a" in found) == ("b" in found) == same
        assert ("eager_tmp_0" in found) != same  # so that it is refused by its name
        assert np.array_equal(found["0.weight"], np.eye(3))

    def test_a_network_with_a_layer_less(self, inference, trained):
        """Its only linear layer must not get the weights of the first of two."""
        with pytest.raises(WeightsError, match=r"not known: .*linear_1\.w_0.*gives no gradient"):
            load_weights(trained[:-1], inference)

    def test_quantised_weights_are_refused(self, tmp_path):
        shape = bytes([8, 21, 16, 1])
        content = bytes(16) + len(shape).to_bytes(4, "little") + shape + b"\x05"
        (tmp_path / "a.pdiparams").write_bytes(content)
        operations = [{"#": "p", "A": [0, 1, 1, "conv2d_0.w_0"]}]
        program = {"program": {"regions": [{"blocks": [{"ops": operations}]}]}}
        (tmp_path / "a.json").write_text(json.dumps(program))
        with pytest.raises(WeightsError, match="quantised; export the network in float32"):
            read_checkpoint(tmp_path / "a.pdiparams")

    def test_a_program_that_is_too_large(self, inference):
        program_of(inference).write_bytes(b" " * (17 << 20))
        with pytest.raises(WeightsError, match="too large for a program"):
            load_model(NAME, str(inference))

    @pytest.mark.parametrize("cut", [1, 3, 20, 30, 100])
    def test_a_file_that_is_cut_off(self, inference, cut):
        inference.write_bytes(inference.read_bytes()[:-cut])
        with pytest.raises(WeightsError, match="cut off or damaged"):
            load_model(NAME, str(inference))

    def test_a_file_that_is_too_long(self, inference):
        inference.write_bytes(inference.read_bytes() + b"\0")
        with pytest.raises(WeightsError, match=r"more arrays than inference\.\w+ names"):
            load_model(NAME, str(inference))

    def test_a_size_that_no_file_has(self, inference):
        inference.write_bytes(b"\0" * 4 + b"\xff" * 8 + inference.read_bytes()[12:])
        with pytest.raises(WeightsError, match="cut off or damaged"):
            load_model(NAME, str(inference))

    def test_without_its_program(self, inference):
        program_of(inference).unlink()
        with pytest.raises(WeightsError, match="an exported network gives no gradient"):
            load_model(NAME, str(inference))

    def test_a_damaged_program(self, inference):
        program = program_of(inference)
        for content in (b"", b"{}", b"[1]", b"\x0a\xff\xff", program.read_bytes()[:-7]):
            program.write_bytes(content)
            with pytest.raises(WeightsError):
                load_model(NAME, str(inference))

    def test_another_architecture(self, inference):
        with pytest.raises(WeightsError, match=r"exported network gives no gradient.*model\.name"):
            load_model("mobilenet_v3_small", str(inference))

    def test_types_of_numbers(self, tmp_path):
        """Written by hand: bfloat16 and float16, after the definition of the format."""
        rows = [
            (22, np.array([1.5, -2], "float32").view("uint16")[1::2]),
            (4, np.float16([0.25, 8])),
        ]
        content = b""
        for kind, numbers in rows:
            shape = bytes([8, kind, 16, len(numbers)])
            content += bytes(16) + len(shape).to_bytes(4, "little") + shape + numbers.tobytes()
        (tmp_path / "a.pdiparams").write_bytes(content)
        operations = [{"#": "p", "A": [0, 1, 1, name]} for name in "yx"]
        program = {"program": {"regions": [{"blocks": [{"ops": operations}]}]}}
        (tmp_path / "a.json").write_text(json.dumps(program))
        arrays = read_checkpoint(tmp_path / "a.pdiparams")
        assert arrays["x"].tolist() == [1.5, -2]
        assert arrays["y"].tolist() == [0.25, 8]


def saved_onnx(path, arrays, **options):
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(options.get("nodes", []), "net", [], [], tensors)
    for each in options.get("external", []):
        tensors[each].data_location = onnx.TensorProto.EXTERNAL
        graph.initializer[each].CopyFrom(tensors[each])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


class TestOnnx:
    def test_names_of_the_state(self, tmp_path, trained):
        arrays = {name: value.numpy() for name, value in trained.state_dict().items()}
        arrays["shape"] = np.array([1, -1])  # a constant, which is no weight
        assert_loaded(saved_onnx(tmp_path / "net.onnx", arrays), trained)

    def test_transposed_linears(self, tmp_path, trained):
        state = trained.state_dict().items()
        arrays = {n: v.numpy().T if v.ndim == 2 else v.numpy() for n, v in state}
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        assert_loaded(saved_onnx(tmp_path / "net.onnx", arrays), trained)

    def test_names_of_parameters_constants_and_reshaped_biases(self, tmp_path, trained):
        """As Paddle's export writes them: numbered names, constants, and biases of its own."""
        pytest.importorskip("onnx")
        from onnx import helper

        state = trained.state_dict().values()
        arrays = {f"{v.name}_deepcopy_{n}": v.numpy() for n, v in enumerate(state)}
        kept = next(name for name in arrays if name.startswith("conv2d_0.w_0"))
        bias = arrays.pop(next(name for name in arrays if name.startswith("conv2d_0.b_0")))
        constants = {"one": np.ones(1, "int64"), "shape": np.array([1, -1])}
        arrays = {"reshaped": bias.reshape(1, -1, 1, 1), **constants, **arrays}
        nodes = [
            helper.make_node("Conv", ["x", kept], ["convolved"]),
            helper.make_node("Add", ["convolved", "reshaped"], ["y"]),
        ]
        assert_loaded(saved_onnx(tmp_path / "net.onnx", arrays, nodes=nodes), trained)

    def test_arrays_in_another_file_are_refused(self, tmp_path):
        path = saved_onnx(tmp_path / "a.onnx", {"x": np.ones(3, "float32")}, external=[0])
        with pytest.raises(WeightsError, match="another file"):
            read_checkpoint(path)

    def test_damaged(self, tmp_path):
        whole = saved_onnx(tmp_path / "a.onnx", {"x": np.ones(30, "float32")}).read_bytes()
        for content in (whole[:-9], b"", b"\x08", b"abc" * 9):
            (tmp_path / "a.onnx").write_bytes(content)
            with pytest.raises(WeightsError):
                read_checkpoint(tmp_path / "a.onnx")

    def test_without_the_package(self, tmp_path, monkeypatch):
        def missing(name, *rest, own=builtins.__import__):
            if name == "onnx":
                raise ImportError
            return own(name, *rest)

        (tmp_path / "a.onnx").write_bytes(b"\x08\x07")
        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(WeightsError, match="pip install onnx"):
            read_checkpoint(tmp_path / "a.onnx")


class TestTrainings:
    def save(self, path, trained, prefixes):
        state = {}
        for prefix in prefixes:
            factor = 0 if "Teacher" in prefix else 1
            state |= {f"{prefix}{n}": v * factor for n, v in trained.state_dict().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        paddle.save(state, str(path))

    @pytest.mark.parametrize(
        "prefixes",
        [
            ["Student."],
            ["Teacher.", "Student."],
            ["module.Teacher.", "module.Student."],
            ["backbone.", "head."],
            ["module."],
            ["_layers.module."],
            ["", "loss_func.0."],
        ],
    )
    def test_prefixes(self, tmp_path, trained, prefixes):
        self.save(tmp_path / "best_model.pdparams", trained, prefixes)
        assert_loaded(tmp_path / "best_model.pdparams", trained)

    @pytest.mark.parametrize("name", ["best_model.pdparams", "best_model/best_model.pdparams"])
    def test_the_folder_of_a_training(self, tmp_path, trained, name):
        self.save(tmp_path / name, trained, [""])
        self.save(tmp_path / "latest.pdparams", trained, ["Teacher."])
        assert_loaded(tmp_path, trained)

    def test_the_only_file_of_a_folder(self, tmp_path, trained):
        (tmp_path / "train.log").write_text("loss")
        with pytest.raises(WeightsError, match="no weight file; give the path"):
            load_model(NAME, str(tmp_path))
        self.save(tmp_path / "epoch_3.pdparams", trained, [""])
        assert_loaded(tmp_path, trained)
        self.save(tmp_path / "epoch_4.pdparams", trained, [""])
        with pytest.raises(WeightsError, match=r"several weight files: epoch_3\.pdparams, epoch_4"):
            load_model(NAME, str(tmp_path))
