"""The YAML files in configs/: each is documented, can be loaded, and fits its command."""

import re
from itertools import takewhile

import numpy as np
import pytest
from app_helpers import ROOT, TINY_200, run_explain
from PIL import Image
from transformers import ATTENTION_METHODS

from visualize_pd import METHODS
from visualize_pd.app.config.reading import load_config
from visualize_pd.app.config.schema import (
    ConceptsConfig,
    EvaluateConfig,
    ExplainConfig,
    GenerateConfig,
    LocaliseConfig,
    SanityConfig,
)
from visualize_pd.attribution.configured import configure_method
from visualize_pd.core.config import as_dict, build

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SCHEMAS = {
    "method_1_pp": ExplainConfig,
    "method_2_pp": GenerateConfig,
    "visualize-pd concepts": ConceptsConfig,
    "visualize-pd app": ExplainConfig,
    "evaluate methods": EvaluateConfig,
    "evaluate localise": LocaliseConfig,
    "evaluate sanity": SanityConfig,
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_opens_with_paper_command_and_expectation(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    head = "\n".join(takewhile(lambda line: line.startswith("#"), lines))
    assert re.search(r"\b(19|20)\d\d\b", head), "a paper and its year"
    commands = re.findall(
        r"(?:python method_[12]_pp\.py|python -m visualize_pd\.evaluate \w+"
        r"|visualize-pd (?:concepts|app))"
        r"(?: --config configs/(\S+))?",
        head,
    )
    assert commands, "a command"
    default = "saliency.yaml" if "method_1" in head else "class_image.yaml"
    assert (commands[-1] or default) == path.name, "the command runs this very file"
    assert re.search(r"^# Expect", head, re.MULTILINE)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_config_loads(path):
    text = path.read_text(encoding="utf-8")
    schema = next(schema for command, schema in SCHEMAS.items() if command in text)
    config = load_config(schema, path)
    assert isinstance(config, schema)
    assert build(schema, as_dict(config)) == config


@pytest.mark.parametrize(
    "schema, keys",
    [
        (ExplainConfig, "images target method save_arrays batch_size"),
        (GenerateConfig, "target iterations learning_rate lambda seed init"),
        (GenerateConfig, "priors frames animation"),
        (ExplainConfig, "model device output"),
        (GenerateConfig, "model device output"),
    ],
)
def test_documented_keys_exist(schema, keys):
    assert set(keys.split()) <= set(as_dict(schema()))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_config_that_runs(name, tmp_path, photograph, tests_folder):
    chosen = configure_method(load_config(ExplainConfig, ROOT / f"configs/{name}.yaml").method)
    assert chosen.name == name
    settings = {"images": photograph("p.png"), "save_arrays": "true", **TINY_200}
    if name in ATTENTION_METHODS:
        settings["model"] = "{name: tiny:attention_net, num_classes: 200, image_size: 32}"
    if name == "expected_gradients":  # its config names pictures of the clone
        settings["method.baselines"] = ROOT / "content/images"
    folder = run_explain(tmp_path, config=name, **settings)
    array = np.load(folder / "p_pp.npy", allow_pickle=False)
    assert array.shape[1:] == (32, 32) and np.isfinite(array).all()
    with Image.open(folder / "p_pp.jpg") as figure:
        assert np.asarray(figure).std() > 10
