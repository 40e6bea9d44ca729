"""What the figures of method 1 show: titles, signs, a common scale, a row for each class."""

import shutil

import numpy as np
import paddle
import pytest
from app_helpers import TINY, TINY_200, run_explain, tiny_network
from PIL import Image

from visualize_pd import METHODS, load_image, load_model
from visualize_pd.app.drawing import captions
from visualize_pd.attribution.configured import configure_method

pytestmark = pytest.mark.usefixtures("tests_folder")


@pytest.fixture
def numbered_photographs(photograph):
    """Write photographs 0.png, 1.png …; return them as the value of `images`."""

    def write(count):
        return f"[{', '.join(str(photograph(f'{number}.png')) for number in range(count))}]"

    return write


@pytest.mark.parametrize(
    ("method", "titles"),
    [
        ("saliency", ("Gradients across RGB channels", "Max gradients")),
        ({"name": "saliency", "channel": "sum", "sign": "negative"},
         ("Gradients across RGB channels", "Sum of negative gradients")),
        ({"name": "gradient", "sign": "positive"},
         ("Positive gradients across RGB channels", "Gradients")),
        ({"name": "grad_times_input", "channel": "sum"},
         ("Gradient x input across RGB channels", "Sum of signed gradient x input")),
    ],
)  # fmt: skip
def test_titles_say_what_the_panels_show(method, titles):
    found = configure_method(method).panel_titles()
    assert found == titles
    assert set("".join(found)) <= captions._OWN_LETTERS


def test_sign_changes_the_panel_of_the_channels(tmp_path, photograph):
    path = photograph("p.png")
    for sign in ("signed", "positive"):
        method = f"{{name: gradient, sign: {sign}}}"
        run_explain(tmp_path / sign, images=path, method=method, **TINY_200)
    first, second = (
        np.asarray(Image.open(tmp_path / sign / "method_1/p_pp.jpg")).astype(int)[76:, 500:]
        for sign in ("signed", "positive")
    )
    assert np.abs(first[:300, :200] - second[:300, :200]).mean() > 2


def test_grid_has_a_row_for_each_image_and_class(tmp_path, numbered_photographs, capsys):
    settings = {"target": "top2", "compare": "[saliency, grad_cam]", "save_arrays": "true"}
    folder = run_explain(tmp_path, images=numbered_photographs(7), **settings, **TINY_200)
    sheets = sorted(folder.glob("*.jpg"))
    assert [sheet.name for sheet in sheets] == ["comparison_2_pp.jpg", "comparison_pp.jpg"]
    assert capsys.readouterr().out.count("→") == 2
    array = np.load(folder / "3_2_grad_cam_pp.npy", allow_pickle=False)
    assert array.shape == (2, 1, 32, 32)


def test_common_scale_draws_equal_values_alike(tmp_path, numbered_photographs, monkeypatch):
    """The second map is twice the first.

    With a common scale the first one ends at half of the colour scale, else at its top.
    """

    def level(network, batch, targets=None):
        network(batch)
        ramp = paddle.arange(32, dtype="float32").expand([len(batch), 1, 32, 32])
        return ramp * paddle.arange(1, len(batch) + 1, dtype="float32").reshape([-1, 1, 1, 1])

    monkeypatch.setitem(METHODS, "level", level)
    settings = {"method": "level", "colormap": "grey", **TINY_200}
    ends = {}
    for common in ("false", "true"):
        images = numbered_photographs(2)
        folder = run_explain(tmp_path, images=images, common_scale=common, **settings)
        with Image.open(folder / "0_pp.jpg") as figure:
            sheet = np.asarray(figure.convert("L")).astype(int)
        ends[common] = sheet[200, 32 + 320 + 32 + 315]
    assert ends["false"] > 240 and 100 < ends["true"] < 140


def test_images_of_the_same_name_get_figures_of_their_own(tmp_path, photograph):
    first = photograph("same.png")
    second = tmp_path / "other" / "same.jpg"
    second.parent.mkdir()
    shutil.copy(first, second)
    folder = run_explain(tmp_path, images=f"[{first}, {second}]", **TINY_200)
    written = sorted(path.name for path in folder.iterdir())
    assert written == ["same_2_pp.jpg", "same_pp.jpg", "summary.csv"]


def test_one_forward_pass_for_each_batch(tmp_path, numbered_photographs, monkeypatch):
    calls = []
    relu = paddle.nn.ReLU.forward
    monkeypatch.setattr(paddle.nn.ReLU, "forward", lambda *a: calls.append(1) or relu(*a))
    run_explain(tmp_path, images=numbered_photographs(5), batch_size=2, **TINY_200)
    assert len(calls) == 2 * 3  # two ReLU layers, three batches


def test_own_method_needs_only_an_entry_in_the_table(tmp_path, photograph, monkeypatch):
    """README says so. The function has none of the options of the gradient family."""

    def brightest_row(network, batch, targets=None, *, row=0):
        network(batch)
        return paddle.nn.functional.one_hot(paddle.full([1, 1, 32], row, "int64"), 32)

    monkeypatch.setitem(METHODS, "brightest_row", brightest_row)
    settings = {"method": "{name: brightest_row, row: 3}", "save_arrays": "true", **TINY_200}
    folder = run_explain(tmp_path, images=photograph("p.png"), **settings)
    array = np.load(folder / "p_pp.npy", allow_pickle=False)
    np.testing.assert_array_equal(array, np.eye(32)[None, [3] * 32])


def test_the_line_of_a_comparison_says_whose_gaps_it_names(tmp_path, photograph, capsys):
    """The share |gap / what the map should sum to| of each method, for each of two classes."""
    path = photograph("photo.png")
    asked = {
        "Integrated gradients (blurred, steps 1)": {
            **{"name": "integrated_gradients", "baseline": "blurred", "steps": 1},
        },
        "Integrated gradients (steps 2)": {"name": "integrated_gradients", "steps": 2},
        "Blur IG": {"name": "blur_ig", "steps": 3},
    }
    methods = ["gradient", *asked.values()]
    run_explain(tmp_path, **TINY, images=path, target="[1, 0]", compare=methods)
    network = tiny_network()
    images = load_model("tiny:small_net", image_size=32).prepare([load_image(path)])
    parts = []
    for title, options in asked.items():
        name, *_ = options.values()
        rest = {key: value for key, value in options.items() if key != "name"}
        found = [METHODS[name](network, images, t, **rest, return_gap=True) for t in (1, 0)]
        shares = [abs(gap.item() / (float(whole.sum()) - gap.item())) for whole, gap in found]
        parts.append(f"of {title} {', '.join(f'{share:.2%}' for share in shares)}")
    assert f" (completeness gap {'; '.join(parts)})" in capsys.readouterr().out


def test_the_title_of_a_column_names_the_picture_of_a_baseline(photograph):
    classifier = load_model("tiny:small_net", image_size=32)
    given = {"name": "occlusion", "size": 8, "baseline": str(photograph("grey.png"))}
    method = configure_method(given)
    title = method.column_title(with_options=True)
    assert method.prepared(classifier).column_title(with_options=True) == title
    assert title == f"Occlusion (size 8, {given['baseline']})"
