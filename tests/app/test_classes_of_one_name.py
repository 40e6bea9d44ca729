"""ImageNet has two cranes, a bird and a machine: their numbers are not mixed up."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import small_net

from visualize_pd import load_image, load_model
from visualize_pd.app.commands.scripts import generate_command
from visualize_pd.app.generate.task import joined
from visualize_pd.network.scores import probabilities

CONFIG = Path(__file__).parents[2] / "configs/class_image.yaml"
CLASSES = (134, 517, 130)


@pytest.fixture
def made(tmp_path):
    def run(target, folder):
        keys = (
            f"target={target}",
            "iterations=1",
            "report=true",
            "model={name: tiny:small_net, num_classes: 1000, image_size: 32}",
            f"output={tmp_path}",
        )
        assert generate_command(CONFIG, [part for key in keys for part in ("-o", key)]) == 0
        return tmp_path / "method_2" / folder

    return run


def test_a_mix_has_the_probability_of_each(made):
    folder = made("{134: 1, 517: 1, 130: 0.5}", "mix_134_517_130")
    row = json.loads((folder / "run.json").read_text())["frames"][-1]
    classifier = load_model("tiny:small_net", num_classes=1000, image_size=32)
    images = classifier.prepare([load_image(folder / row["file"])])
    shares = probabilities(small_net(1000)(images)).numpy()[0]
    told = [row[f"probability of {name}"] for name in ("crane (134)", "crane (517)", "flamingo")]
    np.testing.assert_allclose(told, shares[list(CLASSES)], rtol=0.02)
    assert "crane (134) + crane (517) + 0.5 flamingo" in (folder / "index.html").read_text()


def test_images_side_by_side_have_columns_of_their_own(made):
    page = (made("[134, 517]", "class_134_517") / "index.html").read_text()
    assert "score of crane (134)" in page and "score of crane (517)" in page


@pytest.mark.parametrize(("numbers", "name", "sentence"), [
    ([130], "130", "130"), ([130, 96], "130_96", "130, 96"), ([3, 4, 5], "3-5", "3 to 5"),
    (list(range(0, 80, 2)), "0_and_39_more", "0 and 39 more"),
])  # fmt: skip
def test_numbers_in_a_file_name_and_in_a_sentence(numbers, name, sentence):
    assert joined(numbers) == name
    assert joined(numbers, ", ", " to ") == sentence
