"""The concepts of a network whose parts are known, and what every call promises."""

import sys
import weakref

import numpy as np
import paddle
import pytest
from concept_toys import PARTS, WEIGHTS, Colours, amounts, coloured
from network_state import state_of

import visualize_pd as vp
from visualize_pd import VisualizeError, concepts

OPTIONS = {"count": 3, "crop": 0.25, "layer": "relu"}


def order_of(found):
    """The number of each planted part among the factors."""
    return np.argmax(found.factors.numpy() @ PARTS.T, axis=0)


def test_planted_parts_are_found():
    found = concepts(Colours(), coloured(amounts()), 0, **OPTIONS)
    np.testing.assert_allclose(found.factors.numpy()[order_of(found)], PARTS, atol=1e-3)
    assert found.error < 1e-3 and found.layer == "relu"


def test_importance_of_a_linear_head_is_known():
    """With shares m_k the score is Σ m_k · ā_k (v_k · w_c): S_Tk is the share of its square."""
    planted = amounts()
    found = concepts(Colours(), coloured(planted), 0, samples=4096, batch_size=2048, **OPTIONS)
    slopes = planted.mean(axis=(1, 2)) * (PARTS @ WEIGHTS[0])  # [N, 3]
    each = slopes**2 / (slopes**2).sum(axis=1, keepdims=True)
    expected = each.mean(axis=0)
    np.testing.assert_allclose(found.importance.numpy()[order_of(found)], expected, atol=1e-3)
    assert (np.diff(found.importance.numpy()) <= 0).all()


def test_the_only_part_that_a_class_reads_comes_first():
    found = concepts(Colours(), coloured(amounts()), 1, **OPTIONS)
    assert order_of(found)[2] == 0
    # At 128 samples the estimate of the one index that is 1 lies within a few hundredths.
    np.testing.assert_allclose(found.importance.numpy(), [1, 0, 0], atol=0.05)


def test_maps_are_the_amounts_also_on_new_images():
    found = concepts(Colours(), coloured(amounts()), 0, **OPTIONS)
    planted = amounts(count=3, seed=9)
    maps = found.maps(coloured(planted))
    assert maps.shape == [3, 3, 16, 16]
    expected = planted.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(maps.numpy()[:, order_of(found)], expected, atol=3e-3)
    for n, image in enumerate(coloured(planted).split(3)):
        np.testing.assert_allclose(found.maps(image).numpy()[0], maps.numpy()[n], atol=1e-5)


def test_the_best_crops_hold_the_part():
    planted = amounts()
    found = concepts(Colours(), coloured(planted), 0, **OPTIONS)
    for part, concept in enumerate(order_of(found)):
        crops = found.best_crops(concept, 2)
        inside = [planted[n, top : top + side, left : left + side] for n, top, left, side in crops]
        sizes = [square.mean(axis=(0, 1)) for square in inside]
        assert all(np.argmax(size) == part and np.count_nonzero(size) == 1 for size in sizes)
        assert sizes[0][part] == pytest.approx(planted[..., part].max(), rel=1e-6)


def test_coefficients_of_crops_are_their_amounts():
    planted = amounts()
    found = concepts(Colours(), coloured(planted), 0, **{**OPTIONS, "crop": 0.5})
    expected = [
        planted[n, top : top + side, left : left + side].mean(axis=(0, 1))
        for n, top, left, side in found.crops
    ]
    # Crops are enlarged, which changes the mean of a crop with an edge in it.
    single = np.count_nonzero(expected, axis=1) == 1
    assert 4 < single.sum() < len(single)
    coefficients = found.coefficients.numpy()[:, order_of(found)]
    np.testing.assert_allclose(coefficients[single], np.array(expected)[single], atol=3e-3)


def test_same_seed_same_concepts_and_any_batch_size():
    images = coloured(amounts())
    first, again, small = (
        concepts(Colours(), images, 0, batch_size=size, **OPTIONS) for size in (32, 32, 3)
    )
    for name in ("factors", "importance", "coefficients"):
        values = getattr(first, name).numpy()
        np.testing.assert_array_equal(getattr(again, name).numpy(), values)
        np.testing.assert_allclose(getattr(small, name).numpy(), values, atol=1e-5)


def test_the_network_comes_back_as_it_was():
    network = Colours()
    network.train()
    before = state_of(network)
    concepts(network, coloured(amounts(2)), 0, **OPTIONS).maps(coloured(amounts(1)))
    with pytest.raises(VisualizeError):
        concepts(network, coloured(amounts(2)), 5, **OPTIONS)
    assert state_of(network) == before


def test_the_class_of_most_images_is_taken():
    """Channel 5 speaks for class 0 alone; two of three images have it."""
    images = coloured(amounts(3))
    images[:, 5] = paddle.to_tensor([9.0, 0.0, 9.0]).reshape([3, 1, 1])
    images[1, 3] = 20.0
    assert concepts(Colours(), images, **OPTIONS).target == 0
    assert concepts(Colours(), images[1:2], **OPTIONS).target == 1


def test_a_contrast_weighs_the_difference_of_two_classes():
    planted = amounts()
    options = {**OPTIONS, "samples": 4096, "batch_size": 2048, "score": vp.scores.contrast([1])}
    found = concepts(Colours(), coloured(planted), 0, **options)
    slopes = planted.mean(axis=(1, 2)) * (PARTS @ (WEIGHTS[0] - WEIGHTS[1]))
    expected = (slopes**2 / (slopes**2).sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(found.importance.numpy()[order_of(found)], expected, atol=1e-3)


def test_a_score_may_be_a_function():
    def second(outputs, images):
        return outputs[:, 1]

    found = concepts(Colours(), coloured(amounts()), score=second, **OPTIONS)
    assert found.target is None and order_of(found)[2] == 0


class Counted:
    """Images that are made when they are asked for, and the most of them that lived at once."""

    def __init__(self, count):
        self.count, self.alive, self.most = count, [], 0

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        image = coloured(amounts(1, side=32, seed=number))
        self.alive.append(weakref.ref(image))
        self.most = max(self.most, sum(one() is not None for one in self.alive))
        return image


def test_memory_does_not_grow_with_the_number_of_images():
    images = Counted(30)
    found = concepts(Colours(), images, 0, size=16, most_crops=60, samples=8, **OPTIONS)
    assert images.most <= 3
    assert len(found.crops) == 60 and {crop.image for crop in found.crops} == set(range(30))
    few = concepts(Colours(), Counted(30), 0, size=16, most_crops=12, samples=8, **OPTIONS)
    assert len({crop.image for crop in few.crops}) == 12


def refusal(message, images=None, target=0, **options):
    images = coloured(amounts(1)) if images is None else images
    with pytest.raises(VisualizeError, match=message) as caught:
        concepts(Colours(), images, target, **{**OPTIONS, **options})
    assert "\n" not in str(caught.value)


def test_wrong_calls_are_refused_in_a_sentence():
    refusal("more than the 9 crops", count=10, crop=0.5)
    refusal("more than the 6 channels", count=7)
    refusal("no layer 'rely'.*did you mean 'relu'", layer="rely")
    refusal("no images given", images=[])
    refusal("16 × 16 pixels, so its crops would be 2 wide", crop=0.1)
    refusal("share over 0", crop=0)
    refusal("class 2 does not exist", target=2)
    refusal("size must be", size=[3, 4, 5])
    refusal(r"must be \[1, C, H, W\]", images=[coloured(amounts(2))])
    negative = coloured(amounts(1)) - 1
    refusal("'signed' returns negative numbers.*layer=relu is one", images=negative, layer="signed")


def test_a_score_without_the_concepts_is_refused():
    network = Colours(np.zeros([2, 6], "float32"))
    with pytest.raises(VisualizeError, match="does not depend on the concepts of layer 'relu'"):
        concepts(network, coloured(amounts(1)), 0, **OPTIONS)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.decomposition", None)
    refusal(r'pip install -e "\.\[concepts\]"')
