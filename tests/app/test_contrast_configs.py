"""Why one class and not others, in the scripts."""

import json

import numpy as np
import paddle
import pytest
from app_helpers import TINY, read_csv, run_explain, run_generate

from visualize_pd import gradient, load_image, load_model, scores
from visualize_pd.app.explain.figures import grid_rows, summary_line
from visualize_pd.app.explain.maps import TargetClasses, explain_batch
from visualize_pd.attribution.configured import configure_method

NAMES = "tabby\nlynx\ntiger cat\n"


@pytest.fixture
def three(tests_folder, tmp_path, photograph):
    """The keys of a network with three named classes, a photograph, and its input."""
    labels = tmp_path / "names.txt"
    labels.write_text(NAMES)
    path = photograph("photo.png")
    model = f"{{name: tiny:small_net, image_size: 32, labels: {labels}}}"
    classifier = load_model("tiny:small_net", image_size=32, labels=str(labels))
    return {**TINY, "model": model, "images": path}, classifier, path


@pytest.mark.parametrize(
    ("asked", "others", "weight", "named"),
    [
        ("{contrast: lynx}", [1], 1.0, "lynx"),
        ("{contrast: [tabby, 1], weight: 0.5}", [0, 1], 0.5, "tabby; lynx"),
    ],
)
def test_script_explains_a_class_rather_than_others(tmp_path, three, asked, others, weight, named):
    keys, classifier, path = three
    method = f"{{name: gradient, channel: none, score: {asked}}}"
    keys = {**keys, "target": "tiger cat", "save_arrays": "true", "report": "true"}
    folder = run_explain(tmp_path, **keys, method=method)
    image = classifier.prepare([load_image(path)])
    score = scores.contrast(others, weight)
    expected = gradient(classifier.network, image, 2, score=score).numpy()[0]
    np.testing.assert_allclose(np.load(folder / "photo_pp.npy"), expected, rtol=1e-5, atol=1e-8)
    (row,) = read_csv(folder / "summary.csv")
    assert (row["name"], row["rather_than"]) == ("tiger cat", named)
    assert f"tiger cat rather than {named}" in (folder / "index.html").read_text()


def test_most_likely_others_are_named_for_each_class(three):
    _, classifier, path = three
    plain, against = "gradient", {"name": "gradient", "score": {"contrast": "top1"}}
    methods = [configure_method(each).prepared(classifier) for each in (plain, against)]
    view = classifier.view(load_image(path))
    (found,) = explain_batch(methods, classifier, TargetClasses(top=2), [(path, view, "")])
    with paddle.no_grad():
        logits = classifier.network(classifier.prepare([load_image(path)]))[0].numpy()
    first, second = (-logits).argsort()[:2].tolist()
    assert (found.targets, found.others) == ([first, second], [[second], [first]])
    names = [classifier.class_name(each) for each in (first, second)]
    labels = [label for label, _ in grid_rows(found, classifier, methods)]
    for label, own, other in zip(labels, names, reversed(names)):
        assert label.startswith(own) and f" rather than {other}" in label
    assert f"rather than {names[1]}" in summary_line(found, classifier, methods)
    one = explain_batch(methods[:1], classifier, TargetClasses(top=2), [(path, view, "")])[0]
    assert one.others == [[], []] and "rather" not in summary_line(one, classifier, methods[:1])


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("{contrast: dodo}", "dodo"),
        ("{contrast: []}", "method.score.contrast must be classes, by their names or indices"),
        ("{contrast: {lynx: 1}}", "method.score.contrast must be classes"),
        ("{contrast: lynx, wieght: 2}", "unknown key 'method.score.wieght'; did you mean"),
        ("{contrast: lynx, weight: -1}", "the weight of a contrast must be a number over 0"),
        ("{contrast: top0}", "a contrast is with class indices or with top3, not 'top0'"),
        ("{contrast: top3}", "a network with 3 classes has no 3 others"),
        ("{contrast: tiger cat}", "class 2 cannot be compared with itself"),
        ("{contrast: 7}", "class 7 does not exist"),
    ],
)
def test_wrong_contrast_ends_in_a_sentence(tmp_path, three, capfd, score, message):
    keys, _, _ = three
    method = f"{{name: gradient, score: {score}}}"
    keys = {**keys, "target": "tiger cat", "method": method}
    run_explain(tmp_path, 2, **keys)
    output = capfd.readouterr()
    assert output.err.startswith("error: ") and message in output.err and not output.out


def test_methods_without_a_class_refuse_a_contrast(tmp_path, three, capfd):
    method = "{name: eigen_cam, score: {contrast: lynx}}"
    run_explain(tmp_path, 2, **three[0], method=method)
    assert "eigen_cam gives every class the same map" in capfd.readouterr().err


def test_another_contrast_is_another_run(tmp_path, three):
    keys, _, _ = three
    texts = []
    for other in ("lynx", "tabby"):
        method = f"{{name: gradient, score: {{contrast: {other}}}}}"
        folder = run_explain(tmp_path, **keys, target="tiger cat", method=method)
        texts.append(read_csv(folder / "summary.csv")[0]["fingerprint"])
    assert texts[0] != texts[1]


def test_class_images_refuse_a_contrast(tmp_path, tests_folder, capfd):
    run_generate(tmp_path, 2, **TINY, score=json.dumps({"contrast": 1}))
    assert "give them weights: target={tabby: 1, lynx: -1}" in capfd.readouterr().err
