"""A bad class, method or drawing setting: one line `error: …`, exit code 2 and no file written."""

import pytest
from app_helpers import EXPLAIN, GENERATE, SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "target, says",
    [
        ("3", "class 3 does not exist; this network has 3 classes, 0 to 2"),
        ("1000", "class 1000 does not exist"),
        ("-1", "class -1 does not exist"),
        ("'-1'", "class -1 does not exist"),
        (str(10**12), "does not exist"),
        ("'--1'", "--1"),
        ("'²'", "²"),
        ("'" + "9" * 5000 + "'", "class"),
        ("1.5", "target must be"),
        ("true", "target must be"),
        ("", "target must be"),
        ("[1.5]", "target must be"),
        ("2001-01-01", "target must be"),
        ("flamingo", "no class names are known"),
    ],
)
def test_bad_target_for_three_classes(run_error, script, target, says):
    assert says in run_error(script, {"target": target})


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "target, says",
    [
        ("1000", "class 1000 does not exist; this network has 1000 classes, 0 to 999"),
        ("flamingoo", "did you mean flamingo (130)"),
        ("crane", "crane (134) or crane (517)"),
        ("'!?'", "unknown class '!?'"),
        ("''", "unknown class ''"),
    ],
)
def test_bad_target_for_the_classes_of_imagenet(run_error, script, target, says):
    assert says in run_error(script, {"target": target, "model.num_classes": "1000"})


def test_generating_refuses_the_predicted_class(run_error):
    """There is no input image whose class could be predicted."""
    assert "target must be a class" in run_error(GENERATE, {"target": "predicted"})


@pytest.mark.parametrize(
    "method, says",
    [
        ("salinecy", "unknown method 'salinecy'; did you mean 'saliency'?"),
        ("''", "unknown method"),
        ("", "method must be"),
        ("5", "method must be"),
        ("{}", "unknown method"),
        ("{name: null}", "unknown method"),
        ("{name: [saliency]}", "method"),
        ("{name: {saliency: 1}}", "method"),
        ("{sign: positive}", "unknown method"),
        ("{name: saliency, sing: positive}", "did you mean 'sign'?"),
        ("{name: saliency, sign: sideways}", "unknown sign 'sideways'"),
        ("{name: saliency, channel: 7}", "unknown channel '7'"),
        ("{name: saliency, sign: []}", "sign"),
        ("{name: saliency, sign: {}}", "sign"),
        ("{name: saliency, channel: [max]}", "channel"),
    ],
)
def test_bad_method(run_error, method, says):
    assert says in run_error(EXPLAIN, {"method": method})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"target": "[]"}, "at least one"),
        ({"target": "[predicted, 1]"}, "must hold only classes"),
        ({"target": "top9"}, "top9 of a network with 3 classes"),
        ({"target": "top0"}, "ask for top1 or more"),
        ({"method": "{name: smooth_grad, of: {name: gradient, steps: 3}}"}, "'method.of.steps'"),
        ({"compare": "[]"}, "compare is empty"),
        ({"compare": "[saliency, gard_cam]"}, "did you mean 'grad_cam'?"),
        ({"colormap": "rainbow"}, "unknown colormap 'rainbow'; use auto, viridis, jet"),
        ({"method": "{name: grad_cam, target_layer: '9'}"}, "no layer '9'"),
        ({"method": "{name: grad_cam, guided: 3}"}, "method.guided must be true or false"),
        ({"method": "{name: smooth_grad, of: rise}"}, "unknown method 'rise'"),
        ({"method": "{name: smooth_grad, samples: many}"}, "method.samples must be a number"),
        ({"method": "{name: integrated_gradients, baseline: black}"}, "and not one of zero, mean"),
        ({"method": "{name: occlusion, baseline: %s}" % ("x" * 300)}, "is no image file"),
        ({"method": "{name: occlusion, baseline: ~no one/x.png}"}, "is no image file"),
        ({"method": "{name: saliency, score: loss}"}, "unknown score 'loss'; use logit"),
        ({"method": "expected_gradients"}, "needs pictures as baselines; give a folder"),
        (
            {"method": "{name: expected_gradients, baselines: blured}"},
            "'blured' is no image file or folder, and not one of zero, mean, blurred, random",
        ),
        ({"method": "{name: expected_gradients, baselines: [[]]}"}, "must be a single value"),
        ({"method": "{name: full_grad, post_processing: up}"}, "use rescaled, absolute, signed"),
        ({"method": "{name: rise, keep: 0}"}, "keep must be a probability over 0"),
    ],
)
def test_bad_explain_setting(run_error, settings, says):
    assert says in run_error(EXPLAIN, settings)
