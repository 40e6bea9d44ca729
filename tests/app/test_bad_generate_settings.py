"""Settings of method 2 that do not go together: one line `error: …` and exit code 2."""

import sys

import pytest


@pytest.mark.parametrize(
    ("recipe", "settings", "message"),
    [
        ("filter", {"layer": "9"}, "no layer '9'"),
        ("filter", {"layer": "0", "channel": 4}, "no channel 4"),
        ("filter", {"layer": "null"}, "objective filter needs a layer"),
        ("deep_dream", {"layer": "0", "init": "noise"}, "needs a picture"),
        ("deep_dream", {"layer": "0", "init": "none.jpg"}, "none.jpg"),
        ("inversion", {"layer": "0", "init": "grey"}, "needs a picture"),
        ("inversion", {"layer": "null", "init": "noise"}, "needs a layer"),
        ("filter", {"animation.format": "avi"}, "unknown animation format 'avi'; use gif, webp"),
        ("filter", {"layer": "0", "channel": "[0, 4]"}, "no channel 4"),
        ("filter", {"layer": "0", "channel": "[]"}, "channel asks for 0 images"),
        ("filter", {"layer": "0", "channel": "0-999"}, "channel asks for 1000 images"),
        (
            "filter",
            {"layer": "0", "channel": "some"},
            "a list, all or a range such as 0-15, not 'some'",
        ),
        ("filter", {"layer": "0", "channel": "15-3"}, "a range such as 0-15, not '15-3'"),
        ("filter", {"layer": "0", "channel": -1}, "channel must be a whole number of at least 0"),
        ("filter", {"layer": "none", "channel": "all"}, "no layer 'none'"),
        ("filter", {"layer": "0", "position": "[1]"}, "position must be [row, column]"),
        ("filter", {"layer": "0", "channel": 1, "position": "[1, 99]"}, "no neuron at (1, 99)"),
        ("first_layer", {"layer": "2"}, "layer '2' has no filters of 3 channels"),
        ("first_layer", {"layer": "none"}, "no layer 'none'"),
        ("filter", {"objective": "weights"}, "objective weights does not read channel, cooling"),
        ("first_layer", {"target": 3}, "does not read target; leave that out"),
        ("deep_dream", {"lambda": 0.5, "init": "x"}, "deep_dream does not read lambda"),
        ("class_image", {"target": "[0, 7]"}, "class 7 does not exist"),
        ("class_image", {"target": "[]"}, "target asks for 0 images"),
        ("class_image", {"target": "[0, predicted]"}, "a class index or a class name"),
        ("class_image", {"target": "{0: 1, 7: 1}"}, "class 7 does not exist"),
        ("class_image", {"target": "{0: much}"}, "the weight of 0 in target must be a number"),
        ("class_image", {"target": "{0: .nan}"}, "must be a number"),
        ("class_image", {"target": "{}"}, "no class to mix"),
        ("class_image", {"target": "{0: 1, ' 0': 1}"}, "target names class 0 twice"),
        ("class_image", {"animation.size": 5}, "animation.size must be at least 16"),
        (
            "filter",
            {"objective": "dream"},
            "unknown objective 'dream'; use class_image, accentuation, filter",
        ),
        ("deep_dream", {"octave_scale": 1}, "octave_scale must be greater than 1"),
    ],
)
def test_bad_settings_are_reported_in_one_line(generate, capsys, recipe, settings, message):
    generate(recipe, code=2, **settings)
    err = capsys.readouterr().err
    assert message in err and err.count("error: ") == 1 and "Traceback" not in err


def test_blur_needs_the_parametrisation_pixels(generate, capsys):
    generate("filter", code=2, **{"layer": 0, "priors.blur": 1})
    assert "use parametrisation=pixels" in capsys.readouterr().err


def test_mp4_without_its_extra_is_refused_before_the_first_iteration(generate, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    generate("filter", code=2, layer="0", channel=1, **{"animation.format": "mp4"})
    err = capsys.readouterr().err
    assert "[mp4]" in err and "it/s" not in err
