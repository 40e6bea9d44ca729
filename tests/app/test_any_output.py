"""Scores that are functions, heads and activations in the scripts and the measures."""

import importlib
import json
from functools import partial

import numpy as np
import paddle
import pytest
import tiny
from app_helpers import EXPLAIN, GENERATE, TINY, overrides, read_csv, read_run, run_explain
from PIL import Image

from visualize_pd import Classifier, explain_image, gradient, load_image, load_model, scores
from visualize_pd.app.commands.evaluate import evaluate_command
from visualize_pd.app.explain.figures import summary_line
from visualize_pd.app.explain.maps import TargetClasses, explain_batch
from visualize_pd.attribution.configured import configure_method
from visualize_pd.attribution.configured_score import score_fingerprint
from visualize_pd.core.errors import VisualizeError

SEGMENTS = {"model": "{name: tiny:two_heads, image_size: 32, output: segments}"}
CLASSES = {"model": "{name: tiny:two_heads, image_size: 32, output: classes}"}


@pytest.fixture
def image(tests_folder, photograph):
    """The photograph as the network `small_net` sees it."""
    path = photograph("photo.png")
    return path, load_model("tiny:small_net", image_size=32).prepare([load_image(path)])


def explained(tmp_path, path, method, model=TINY, **settings):
    """The raw map, the row of the summary and the folder of a run on one photograph."""
    keys = {"images": path, "method": method, "save_arrays": "true", **model, **settings}
    folder = run_explain(tmp_path, **keys)
    (row,) = read_csv(folder / "summary.csv")
    return np.load(folder / "photo_pp.npy"), row, folder


def test_an_imported_function_is_explained(tmp_path, image, capsys):
    path, batch = image
    found, row, folder = explained(
        tmp_path, path, "{name: gradient, score: 'tiny:contrast'}", report="true"
    )
    expected = gradient(tiny.small_net(), batch, score=tiny.contrast).numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    logits = tiny.small_net()(batch).numpy()[0]
    assert row["name"] == "contrast"
    assert float(row["score"]) == pytest.approx(logits[0] - logits[1], rel=1e-4)
    assert not any(row[key] for key in ("class", "probability", "predicted", "note"))
    assert f"photo.png: contrast {logits[0] - logits[1]:.4g} → " in capsys.readouterr().out
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert f"contrast {logits[0] - logits[1]:.4g}" in page and ">probability<" not in page


def test_a_factory_gets_the_other_keys(tmp_path, image):
    path, batch = image
    found, row, _ = explained(
        tmp_path, path, "{name: gradient, score: {name: 'tiny:power', exponent: 3}}"
    )
    expected = gradient(tiny.small_net(), batch, score=tiny.power(3)).numpy()[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)
    assert row["name"] == "score"


def test_the_segment_of_a_class(tmp_path, image):
    path, batch = image
    network = load_model("tiny:two_heads", output="segments").network
    logits = network(batch).numpy()[0]
    target = int(np.bincount(logits.argmax(axis=0).ravel()).argmax())
    method = f"{{name: grad_cam, score: {{name: segmentation, target: {target}}}}}"
    _, row, _ = explained(tmp_path, path, method, SEGMENTS)
    mean = logits[target][logits.argmax(axis=0) == target].mean()
    assert row["name"] == f"segmentation of class {target}"
    assert float(row["score"]) == pytest.approx(mean, rel=1e-4)


def test_a_mask_goes_the_way_of_the_photograph(tmp_path, image):
    """The left half of a photograph of 96 × 64 is the left half of the crop from its centre."""
    path, batch = image
    mask = np.zeros((64, 96), dtype="uint8")
    mask[:, :48] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    score = f"{{name: segmentation, target: 1, mask: {tmp_path / 'mask.png'}}}"
    _, row, _ = explained(tmp_path, path, f"{{name: gradient, score: {score}}}", SEGMENTS)
    logits = load_model("tiny:two_heads", output="segments").network(batch).numpy()[0, 1]
    assert float(row["score"]) == pytest.approx(logits[:, :8].mean(), rel=1e-3)


def test_an_image_is_similar_to_itself(tmp_path, image):
    path, _ = image
    score = f"{{name: similarity, image: {path}}}"
    maps, row, _ = explained(tmp_path, path, f"{{name: gradient, score: {score}}}")
    assert row["name"] == "similarity to photo.png" and float(row["score"]) == pytest.approx(1)
    assert np.abs(maps).max() < 1e-5


def test_a_grid_of_several_scores_has_a_row_for_each_in_the_summary(tmp_path, image, capsys):
    path, _ = image
    methods = "[{name: saliency, score: 'tiny:contrast'}, {name: saliency, score: {name: similarity"
    folder = run_explain(
        tmp_path, images=path, compare=f"{methods}, image: {path}}}}}, gradient]", **TINY
    )
    rows = read_csv(folder / "summary.csv")
    assert [row["name"] for row in rows] == ["contrast", "similarity to photo.png"]
    assert rows[0]["fingerprint"] == rows[1]["fingerprint"]


def test_explain_image_takes_a_function(image):
    classifier = load_model("tiny:small_net", image_size=32)
    figure = explain_image(classifier, image[0], {"name": "saliency", "score": tiny.contrast})
    other = explain_image(classifier, image[0], {"name": "saliency", "score": tiny.power()})
    assert figure.size == other.size and figure.tobytes() != other.tobytes()


def test_a_figure_is_kept_until_the_score_changes(tmp_path, image, capsys):
    path, _ = image
    run = {"images": path, "skip_existing": "true", **TINY}
    for method, says in (
        ("{name: saliency, score: {name: 'tiny:power', exponent: 2}}", "contrast"),
        ("{name: saliency, score: {name: 'tiny:power', exponent: 2}}", "have their figure already"),
        ("{name: saliency, score: {name: 'tiny:power', exponent: 3}}", "made with another method"),
        ("{name: saliency, score: 'tiny:contrast'}", "made with another method"),
    ):
        run_explain(tmp_path, method=method, **run)
        out = capsys.readouterr().out
        assert says in out or says == "contrast"
    assert "1 figure is drawn anew" in out


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_probabilities_in_summary_and_figure_follow_the_activation(tmp_path, image, kind):
    path, batch = image
    model = {"model": f"{{name: tiny:small_net, image_size: 32, activation: {kind}}}"}
    maps, row, _ = explained(tmp_path, path, "{name: gradient, score: probability}", model)
    logits = tiny.small_net()(batch).numpy()[0].astype("float64")
    shares = 1 / (1 + np.exp(-logits))
    if kind == "softmax":
        shares = np.exp(logits) / np.exp(logits).sum()
    best = int(logits.argmax())
    assert row["class"] == row["predicted"] == str(best)
    assert float(row["probability"]) == pytest.approx(shares[best], rel=1e-4)
    if kind == "sigmoid":
        plain = gradient(tiny.small_net(), batch, best).numpy()[0]
        np.testing.assert_allclose(maps, plain * shares[best] * (1 - shares[best]), rtol=1e-3)


def test_the_head_of_the_classes(tmp_path, image):
    path, batch = image
    _, row, _ = explained(tmp_path, path, "grad_cam", CLASSES)
    logits = tiny.two_heads()(batch)["classes"].numpy()[0]
    assert row["class"] == str(logits.argmax())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method.score": "tiny:broken"}, "score broken failed: "),
        ({"method.score": "tiny:nothing"}, "cannot import tiny:nothing: AttributeError"),
        ({"method.score": "no_such:thing"}, "cannot import no_such:thing: ModuleNotFoundError"),
        ({"method.score": "tiny:NUMBER"}, "tiny:NUMBER must be a function, not a int"),
        ({"method.score": "logits"}, "unknown score 'logits'; use logit, probability"),
        ({"method.score": "3"}, "unknown score 3"),
        ({"method.score": "null"}, "unknown score None"),
        ({"method.score": "{}"}, "unknown method.score.name 'None'; use segmentation, box"),
        ({"method.score": "{name: segment}"}, "unknown method.score.name 'segment'"),
        ({"method.score": "{name: segmentation}"}, "segmentation needs the key target"),
        (
            {"method.score": "{name: segmentation, target: 1, masks: m.png}"},
            "unknown key 'method.score.masks'; did you mean 'mask'?",
        ),
        ({"method.score": "{name: segmentation, target: 1}"}, "needs outputs [N, classes, h, w]"),
        ({"method.score": "{name: segmentation, target: cat}"}, "no class names are known"),
        ({"method.score": "{name: segmentation, target: true}"}, "score.target must be a class"),
        ({"method.score": "{name: segmentation, target: 1, mask: 3}"}, "score.mask must be"),
        ({"method.score": "{name: segmentation, target: 1, mask: no.png}"}, "no.png"),
        ({"method.score": "{name: similarity, image: no.png}"}, "no.png"),
        ({"method.score": "{name: similarity, image: 3}"}, "score.image must be"),
        ({"method.score": "{name: box, target: 1, corners: [1, 2]}"}, "corners must be"),
        ({"method.score": "{name: box, target: 1, corners: [1, 2, 3, 4]}"}, "score box"),
        ({"method.score": "{name: 'tiny:power', base: 2}"}, "cannot make the score tiny:power"),
        ({"method.score": "{name: 'tiny:small_net', num_classes: 3}"}, "score Sequential"),
        ({"method.score": "tiny:contrast", "target": "1"}, "score contrast is not that of a class"),
        ({"method.score": "tiny:contrast", "target": "top2"}, "leave target at predicted"),
        (
            {"method": "{name: smooth_grad, of: {name: gradient, score: 'tiny:contrast'}}"},
            "give the score as method.score",
        ),
        ({"model.output": "1"}, "there is no output 1: the network returns a single output"),
        ({"model.output": "1.5"}, "model.output must be a whole number or a text or null"),
        ({"model.activation": "relu"}, "unknown model.activation 'relu'; use softmax, sigmoid"),
    ],
)
def test_what_cannot_be_explained_is_a_sentence(run_error, script_folder, changes, says):
    assert says in run_error(EXPLAIN, {"method.name": "gradient", **changes})


def test_a_network_without_logits_needs_a_score(run_error, script_folder):
    changes = {"model.name": "tiny:two_heads", "model.output": "segments"}
    assert "must return logits [N, classes]" in run_error(EXPLAIN, changes)


def test_a_class_image_of_a_function(generate):
    folder = generate("class_image", **{"score": "tiny:contrast", "iterations": "12"})
    record, frames = read_run(folder / "score_contrast")
    rows = record["frames"]
    assert rows[-1]["score"] > rows[0]["score"]
    assert "probability" not in rows[0] and len(frames) == len(rows)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": "tiny:contrast"}, "score contrast is not that of a class; leave target out"),
        ({"score": "tiny:contrast", "target": "130", "candidates": "2"}, "has none"),
        ({"score": "tiny:broken", "target": "130"}, "score broken failed"),
        ({"score": "loss"}, "unknown score 'loss'; use logit, probability, log_probability"),
        ({"score": "{name: loss}"}, "unknown score.name 'loss'"),
    ],
)
def test_what_cannot_be_generated_is_a_sentence(run_error, script_folder, changes, says):
    assert says in run_error(GENERATE, changes)


def measure(tmp_path, name, code=0, **settings):
    truth = {} if name == "sanity" else {"truth": "null"}
    keys = {"output": tmp_path, **TINY, **truth, **settings}
    assert evaluate_command([name, *overrides(keys)]) == code
    return tmp_path / {"methods": "evaluate"}.get(name, name)


METHODS = "[{name: gradient, score: 'tiny:contrast'}, {name: occlusion, score: 'tiny:contrast'}]"


def test_methods_are_measured_by_their_own_function(tmp_path, image):
    """The insertion ends with the whole image, so its last score is that of the image."""
    path, batch = image
    folder = measure(
        tmp_path,
        "methods",
        images=path,
        methods=METHODS,
        target="predicted",
        steps=4,
        samples=4,
        measures="[insertion, deletion, infidelity, max_sensitivity]",
    )
    record = json.loads((folder / "results.json").read_text())
    logits = tiny.small_net()(batch).numpy()[0]
    for _, ys in record["curves"]["insertion"].values():
        assert ys[-1] == pytest.approx(logits[0] - logits[1], rel=1e-4)
    rows = read_csv(folder / "results.csv")
    assert len(rows) == 2 and rows[0]["class"] == ""


def test_the_sanity_check_of_a_function(tmp_path, image):
    folder = measure(tmp_path, "sanity", images=image[0], methods=METHODS)
    means = json.loads((folder / "cascading.json").read_text())["means"]
    assert all(each["ssim"][0] == pytest.approx(1) for each in means.values())


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("methods", {"methods": METHODS[:-1] + ", gradient]"}, "give all methods the same score"),
        ("methods", {"methods": METHODS, "target": "1"}, "leave target at predicted"),
        ("sanity", {"methods": METHODS, "target": "1"}, "leave target at predicted"),
        ("localise", {"method": "{name: gradient, score: 'tiny:contrast'}"}, "use a score of a"),
    ],
)
def test_measures_refuse_in_a_sentence(tmp_path, image, capsys, name, settings, says):
    measure(tmp_path, name, code=2, images=image[0], **settings)
    errors = capsys.readouterr().err
    assert says in errors and errors.count("\n") == 1


def test_a_batch_has_the_values_of_its_images(image):
    """Explanations of a score have no classes."""
    classifier = Classifier(tiny.small_net(), "tiny", "tiny", image_size=32)
    method = configure_method({"name": "gradient", "score": tiny.contrast}).prepared(classifier)
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    views = [(name, classifier.view(picture), "") for name, picture in zip("ab", pictures)]
    both = explain_batch([method], classifier, TargetClasses(top=1), views)
    with paddle.no_grad():
        expected = tiny.contrast(classifier.network(classifier.prepare(pictures)), None).numpy()
    assert [each.scores["contrast"] for each in both] == pytest.approx(expected.tolist(), rel=1e-4)
    assert summary_line(both[0], classifier, [method]) == f"contrast {expected[0]:.4g}"


def test_ready_made_scores_are_public():
    assert scores.segmentation(1).title == "segmentation of class 1"
    with pytest.raises(VisualizeError):
        configure_method({"name": "gradient", "score": {"name": "contrast"}})


def test_the_fingerprint_of_a_score_has_its_code_and_its_data():
    first, again, other = (tiny.power(exponent) for exponent in (2, 2, 3))
    assert score_fingerprint(first) == score_fingerprint(again) != score_fingerprint(other)
    assert score_fingerprint(partial(tiny.contrast, a=1)) != score_fingerprint(
        partial(tiny.contrast, a=2)
    )
    masks = np.ones((2, 4, 4)), np.tril(np.ones((4, 4)))
    found = [score_fingerprint(scores.segmentation(1, mask)) for mask in masks]
    assert found[0] != found[1] and json.dumps(found)
    assert score_fingerprint(tiny.contrast) != score_fingerprint(tiny.broken)


def test_the_fingerprint_of_a_score_has_the_weights_of_its_network():
    def score_by(network):
        return lambda outputs, images: network(images)[:, 0]

    networks = [tiny.small_net(), tiny.small_net(), tiny.small_net()]
    weights = networks[2][0].weight
    weights.set_value(weights * 2)
    found = [score_fingerprint(score_by(network)) for network in networks]
    assert found[0] == found[1] != found[2]


def test_the_fingerprint_of_a_score_follows_its_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for number in (1, 2):
        module = f"scores_of_a_user_{number}"
        text = f"def score(outputs, images):\n    return {number} * outputs[:, 0]\n"
        (tmp_path / f"{module}.py").write_text(text)
        found.append(score_fingerprint(importlib.import_module(module).score))
    assert found[0][0] == found[1][0] and found[0] != found[1]


def test_the_layers_of_a_network_without_logits_are_listed(run_command, tests_folder):
    code, out, _ = run_command("models", "tiny:two_heads")
    assert code == 0 and "224×224 pixels, no logits" in out
    assert [line.split()[0] for line in out.splitlines() if "target_layer" in line]
