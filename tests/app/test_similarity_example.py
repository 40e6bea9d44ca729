"""The worked example: what makes two pictures similar for an embedding."""

import numpy as np
import pytest
from app_helpers import ROOT

from visualize_pd import METHODS, load_model, scores, to_tensor
from visualize_pd.app.examples import similarity


@pytest.fixture(scope="module")
def classifier():
    return load_model("efficientnet_lite0")


@pytest.fixture(scope="module")
def pictures():
    return similarity.pictures(ROOT / "content/images")


@pytest.mark.parametrize(("animal", "half"), [("panda", slice(0, 224)), ("macaw", slice(224, 448))])
def test_the_map_lies_on_the_animal_of_the_second_picture(classifier, pictures, animal, half):
    """Grad-CAM has nearly all of its sum there: both animals are in the picture."""
    image = to_tensor([pictures["together"]], classifier.mean, classifier.std)
    score = scores.similarity(classifier.prepare([pictures[animal]]), classifier.network)
    heat = METHODS["grad_cam"](classifier.network, image, score=score).numpy()[0, 0]
    assert heat[:, half].sum() > 0.95 * heat.sum()
    options = {"size": 64, "stride": 32}
    drops = METHODS["occlusion"](classifier.network, image, score=score, **options).numpy()[0, 0]
    risen = np.clip(drops, 0, None)
    assert risen[:, half].sum() > 0.7 * risen.sum()


def test_a_picture_is_more_similar_to_its_own_animal(classifier, pictures):
    panda, macaw = (classifier.prepare([pictures[name]]) for name in ("panda", "macaw"))
    score = scores.similarity(panda, classifier.network)
    image = classifier.prepare([pictures["panda"].transpose(0)])  # mirrored
    own, other = (score(classifier.network(each), each).numpy()[0] for each in (image, macaw))
    assert own > 0.9 and other < 0.5
