"""Which class is explained (by index, by name, or the predicted one), and what its score is."""

import re
from pathlib import Path

import numpy as np
import paddle
import pytest

import visualize_pd.models
from visualize_pd.core.errors import ConfigError, ModelError, TargetError
from visualize_pd.models.class_names import find_class, short_name
from visualize_pd.network.scores import (
    class_scores,
    log_probabilities,
    logits_of,
    probabilities,
    resolve_targets,
)

LABELS = (
    Path(visualize_pd.models.__file__)
    .with_name("imagenet_classes.txt")
    .read_text(encoding="utf-8")
    .splitlines()
)
LOGITS = [[0.0, 5.0, 1.0, 2.0], [3.0, -1.0, 2.5, -7.0], [-4.0, -3.0, -2.0, -1.0]]


@pytest.fixture
def logits():
    return paddle.to_tensor(LOGITS)


def indices(targets, logits):
    chosen = resolve_targets(targets, logits)
    assert chosen.dtype == paddle.int64
    return chosen.numpy().tolist()


def test_none_means_the_top_class_of_each_image(logits):
    assert indices(None, logits) == [1, 0, 3]


@pytest.mark.parametrize("target", [2, np.int64(2), np.uint8(2), np.array(2)])
def test_one_index_is_used_for_all_images(logits, target):
    assert indices(target, logits) == [2, 2, 2]


def test_tensor_without_dimensions_is_one_index(logits):
    assert indices(paddle.to_tensor(2), logits) == [2, 2, 2]


@pytest.mark.parametrize("make", [list, tuple, np.array, paddle.to_tensor])
def test_one_index_for_each_image(logits, make):
    assert indices(make([3, 0, 2]), logits) == [3, 0, 2]


@pytest.mark.parametrize("targets", [[], [1], [1, 2], [0, 1, 2, 3], np.array([1]), ""])
def test_wrong_number_of_targets(logits, targets):
    with pytest.raises(TargetError, match=f"{len(targets)} targets for 3 images"):
        resolve_targets(targets, logits)


@pytest.mark.parametrize("bad", [4, 1000, -1, 10**30, -(10**30)])
@pytest.mark.parametrize("make", [lambda bad: bad, lambda bad: [0, bad, 1]])
def test_class_that_does_not_exist(logits, bad, make):
    with pytest.raises(TargetError, match=f"class {bad} does not exist.* 4 classes, 0 to 3"):
        resolve_targets(make(bad), logits)


@pytest.mark.parametrize(
    "targets",
    [
        *("1", "012", "cat", 1.0, object()),
        *([0.0, 1.0, 2.0], np.array([0.0, 1.0, 2.0]), [[0], [1], [2]], [None] * 3, ["0", "1", "2"]),
    ],
)
def test_targets_that_are_not_class_indices(logits, targets):
    with pytest.raises(TargetError, match="class indices"):
        resolve_targets(targets, logits)


def test_logits_are_returned_unchanged(logits):
    assert logits_of(logits) is logits


@pytest.mark.parametrize("wrap", [lambda x: (x, x * 0), lambda x: [x], lambda x: (x, None, "aux")])
def test_auxiliary_outputs_are_left_out(logits, wrap):
    assert logits_of(wrap(logits)).numpy().tolist() == LOGITS


def test_one_number_for_each_image_means_one_class():
    assert logits_of(paddle.to_tensor([4.0, 5.0])).numpy().tolist() == [[4.0], [5.0]]


@pytest.mark.parametrize(
    "output",
    [None, (), [], "text", {"out": 1}, (None,), 3.0, np.zeros((2, 3))],
    ids=repr,
)
def test_output_that_is_not_a_tensor(output):
    with pytest.raises(ModelError, match=r"\[N, classes\]"):
        logits_of(output)


@pytest.mark.parametrize("shape", [[], [1, 2, 3], [1, 2, 3, 4]])
def test_output_with_the_wrong_number_of_dimensions(shape):
    with pytest.raises(ModelError, match=re.escape(str(shape))):
        logits_of(paddle.zeros(shape))


def test_score_is_the_logit_of_the_class(logits):
    scores = class_scores(logits, paddle.to_tensor([2, 0, 3]))
    assert scores.numpy().tolist() == [1.0, 3.0, -1.0]


def test_gradient_of_a_score_is_one_hot(logits):
    logits.stop_gradient = False
    scores = class_scores(logits, paddle.to_tensor([2, 0, 3]))
    (gradient,) = paddle.grad((scores * paddle.to_tensor([1.0, 10.0, 100.0])).sum(), logits)
    assert gradient.numpy().tolist() == [[0, 0, 1, 0], [10, 0, 0, 0], [0, 0, 0, 100]]


def test_network_with_one_class_and_one_image():
    assert class_scores(paddle.to_tensor([[7.0]]), paddle.to_tensor([0])).numpy().tolist() == [7.0]


def test_probabilities_are_softmax_over_the_classes():
    # The exponentials of ln 1, ln 2 and ln 5 sum to 8. A shift of all logits changes nothing.
    shifts = np.float32([[0], [3], [-80]])
    logits = paddle.to_tensor(np.log(np.float32([[1, 2, 5]])) + shifts)
    expected = np.float32([[1, 2, 5]] * 3) / 8
    np.testing.assert_allclose(probabilities(logits).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(log_probabilities(logits).numpy(), np.log(expected), rtol=1e-5)


def test_probability_of_a_single_logit_is_its_sigmoid():
    logits = paddle.to_tensor(np.log(np.float32([[1], [3], [1 / 4]])))
    expected = np.float32([[1 / 2], [3 / 4], [1 / 5]])
    np.testing.assert_allclose(probabilities(logits).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(log_probabilities(logits).numpy(), np.log(expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([-300.0], [-300]),  # ln σ(−300)
        ([300.0], [0]),
        ([0.0, 300.0], [-300, 0]),
        ([-2e4, 1e4, 1e4], [-3e4 - np.log(2), -np.log(2), -np.log(2)]),
    ],
)
def test_log_probability_is_exact_where_the_probability_is_zero(row, expected):
    logits = paddle.to_tensor([row])
    np.testing.assert_allclose(log_probabilities(logits).numpy(), [expected], rtol=1e-6, atol=1e-30)
    exact = [np.exp(np.float64(expected))]
    np.testing.assert_allclose(probabilities(logits).numpy(), exact, rtol=1e-6, atol=1e-27)


def test_large_logits_of_one_image_do_not_change_another_image():
    logits = paddle.to_tensor([[0.0, float(np.log(3))], [1e6, 1e6]])
    expected = np.log([[1 / 4, 3 / 4], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(log_probabilities(logits).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("logit", [np.log(5), np.log(6)]),
        ("probability", [5 / 8, 6 / 16]),
        ("log_probability", [np.log(5 / 8), np.log(6 / 16)]),
    ],
)
def test_each_image_has_the_score_of_its_own_class(score, expected):
    logits = paddle.to_tensor(np.log(np.float32([[1, 2, 5], [6, 7, 3]])))
    scores = class_scores(logits, paddle.to_tensor([2, 0]), score)
    assert scores.shape == [2]
    np.testing.assert_allclose(scores.numpy(), expected, rtol=1e-6)


def test_score_is_the_logit_by_default():
    logits = paddle.to_tensor([[1.5, 2.5]])
    assert class_scores(logits, paddle.to_tensor([0])).numpy().tolist() == [1.5]


@pytest.mark.parametrize("score", ["odds", "", "Logit", None, 1, ["logit"]])
def test_unknown_score(logits, score):
    with pytest.raises(ConfigError, match=r"unknown score .*logit, probability, log_probability"):
        class_scores(logits, paddle.to_tensor([0, 0, 0]), score)


def test_packaged_class_names_are_those_of_imagenet():
    assert len(LABELS) == 1000 and all(label.strip() for label in LABELS)
    known = {0: "tench", 130: "flamingo", 207: "golden retriever", 285: "Egyptian cat"}
    known |= {388: "giant panda", 504: "coffee mug", 999: "toilet tissue"}
    assert {index: short_name(LABELS[index]) for index in known} == known


@pytest.mark.parametrize(
    "name, index",
    [
        ("flamingo", 130),
        ("Flamingo", 130),
        ("FLAMINGO", 130),
        ("  flamingo ", 130),
        ("golden retriever", 207),
        ("golden_retriever", 207),
        ("golden-retriever", 207),
        ("Golden  Retriever", 207),
        ("Egyptian cat", 285),
        ("egyptian_CAT", 285),
        ("tench", 0),
        ("Tinca tinca", 0),
        ("black-and-tan coonhound", 165),
        ("black and tan coonhound", 165),
        ("corn", 987),
        ("toilet tissue", 999),
        ("bathroom tissue", 999),
    ],
)
def test_class_by_name(name, index):
    assert find_class(name, LABELS) == index


@pytest.mark.parametrize(
    "name, both",
    [
        ("crane", (134, 517)),
        ("Crane", (134, 517)),
        ("maillot", (638, 639)),
        ("cardigan", (264, 474)),
    ],
)
def test_error_lists_both_classes_of_an_ambiguous_name(name, both):
    with pytest.raises(TargetError) as caught:
        find_class(name, LABELS)
    assert all(f"({index})" in str(caught.value) for index in both)


@pytest.mark.parametrize(
    "name, closest",
    [
        ("flamingoo", "flamingo (130)"),
        ("flamngo", "flamingo (130)"),
        ("golden retreiver", "golden retriever (207)"),
        ("retriever", "golden retriever (207)"),
        ("giant pandas", "giant panda (388)"),
        ("cat", "tiger cat (282)"),
        ("cat", "Egyptian cat (285)"),
    ],
)
def test_error_suggests_the_closest_name(name, closest):
    with pytest.raises(TargetError, match=f"unknown class '{name}'") as caught:
        find_class(name, LABELS)
    assert closest in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "_", ",", "!?", "zzzzqqqq", "x" * 1000])
def test_name_without_a_similar_one(name):
    with pytest.raises(TargetError, match="give an index"):
        find_class(name, LABELS)


@pytest.mark.parametrize("name", ["", "_", "-"])
def test_empty_line_in_a_label_file_is_not_a_name(name):
    with pytest.raises(TargetError):
        find_class(name, ["cat", "dog", ""])


@pytest.mark.parametrize("labels", [None, []])
def test_without_labels_an_index_is_needed(labels):
    with pytest.raises(TargetError, match=r"give an index.*'flamingo'"):
        find_class("flamingo", labels)


def test_labels_of_the_user():
    assert find_class("dog", ["cat", "hound, dog", "mouse"]) == 1


class TestOutputsThatAreDicts:
    LOGITS, OTHER = paddle.to_tensor([[1.0, 2.0]]), paddle.to_tensor([[5.0, 4.0, 3.0]])

    @pytest.mark.parametrize("key", ["logits", "output", "anything"])
    def test_the_logits_are_found_under_their_key(self, key):
        rest = {} if key == "anything" else {"features": self.OTHER}
        assert logits_of({**rest, key: self.LOGITS}) is self.LOGITS
        assert logits_of({**rest, key: (self.LOGITS, self.OTHER)}) is self.LOGITS

    def test_the_only_tensor_is_taken_and_what_is_nested_is_opened(self):
        assert logits_of({"name": "a text", "head": self.LOGITS}) is self.LOGITS
        assert logits_of(({"logits": [self.LOGITS]}, self.OTHER)) is self.LOGITS

    def test_logits_come_before_output(self):
        assert logits_of({"output": self.OTHER, "logits": self.LOGITS}) is self.LOGITS

    @pytest.mark.parametrize("output", [{}, {"a": LOGITS, "b": OTHER}])
    def test_others_are_refused(self, output):
        with pytest.raises(ModelError, match="not a dict"):
            logits_of(output)
