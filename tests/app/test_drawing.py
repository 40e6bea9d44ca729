import io
import sys

import numpy as np
import pytest
from PIL import Image

from visualize_pd import VisualizeError, overlay, render
from visualize_pd.app.drawing import captions


def test_standardise_gives_the_values_computed_by_hand():
    """For the last value: mean 2, deviation √2, (4 − 2) / √2 × 0.1 + 0.5 = 0.6414."""
    values = render.standardise(np.float64([0, 1, 2, 3, 4]))
    np.testing.assert_allclose(values, 0.5 + 0.1 * np.array([-2, -1, 0, 1, 2]) / 2**0.5)


def test_standardise_clips_at_five_deviations():
    values = np.zeros(1001)
    values[0] = 1
    assert render.standardise(values)[0] == 1


def test_standardise_of_a_constant_is_half():
    np.testing.assert_array_equal(render.standardise(np.full((3, 4), 1e-3)), np.full((3, 4), 0.5))


def test_viridis_has_the_colours_of_matplotlib():
    """Entries 0, 64, 128 and 255 of matplotlib's table. The others differ by at most 2 levels."""
    colours = render.heat(np.float64([[0, 64 / 255, 128 / 255, 1]]), "viridis")
    np.testing.assert_array_equal(
        colours, [[[68, 1, 84], [59, 82, 139], [33, 145, 140], [253, 231, 37]]]
    )


def test_viridis_is_close_to_matplotlib_between_its_anchors():
    """Entries 4, 77, 180 and 251 of matplotlib's table."""
    expected = [[70, 7, 90], [52, 96, 141], [70, 192, 111], [244, 230, 30]]
    colours = render.heat(np.float64([[0, 4 / 255, 77 / 255, 180 / 255, 251 / 255, 1]]), "viridis")
    assert np.abs(colours[0, 1:5].astype(int) - expected).max() <= 2


def test_viridis_of_a_constant_is_its_lowest_colour():
    assert (render.heat(np.zeros((2, 2))) == [68, 1, 84]).all()


def test_blend_is_the_mean_of_both_images():
    picture, colours = np.full((1, 1, 3), 200, "uint8"), np.uint8([[[0, 100, 255]]])
    np.testing.assert_array_equal(render.blend(picture, colours), [[[100, 150, 228]]])


def panels(reduced):
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (6, 8, 3), dtype="uint8")
    attribution = random.standard_normal((3, 6, 8))
    reduced = np.abs(attribution).max(0, keepdims=True) if reduced else attribution
    names = ("by channel", "together")
    return (
        picture,
        attribution,
        reduced,
        render.map_panels(picture, attribution, reduced, names),
    )


def test_saliency_figure_has_four_panels():
    picture, attribution, reduced, four = panels(reduced=True)
    assert [title for title, _ in four] == ["Input image", "by channel", "together", "Overlay"]
    np.testing.assert_array_equal(four[0][1], picture)
    red = (attribution - attribution.mean()) / attribution.std() * 0.1 + 0.5
    expected = np.round(np.clip(red, 0, 1) * 255).transpose(1, 2, 0)
    np.testing.assert_array_equal(four[1][1], expected)
    brightest = np.unravel_index(reduced[0].argmax(), (6, 8))
    np.testing.assert_array_equal(four[2][1][brightest], [253, 231, 37])
    np.testing.assert_array_equal(
        four[3][1][brightest], np.round((picture[brightest] + np.array([253, 231, 37])) / 2)
    )


def test_map_of_three_channels_has_no_panel_of_a_single_channel():
    *_, three = panels(reduced=False)
    assert [title for title, _ in three] == ["Input image", "by channel", "Overlay"]


def test_figure_enlarges_each_pixel_to_a_square_at_its_place():
    rows, columns = 200, 260
    photograph = np.full((rows, columns, 3), 90, "uint8")
    colours = np.zeros((rows, columns, 3), "uint8")
    colours[20, 230] = [255, 0, 0]
    sheet = np.asarray(
        render.figure([("", [("a", photograph), ("b", colours)])], "caption", "note")
    )
    red = np.argwhere((sheet == [255, 0, 0]).all(2))
    (top, left), (bottom, right) = red.min(0), red.max(0)
    assert (bottom - top, right - left) == (1, 1)
    black = np.argwhere((sheet == 0).all(2) & (np.arange(sheet.shape[1]) > 32 + 2 * columns))
    assert (top - black[:, 0].min(), left - black[:, 1].min()) == (40, 460)


def test_a_long_title_gets_two_lines_which_are_both_whole():
    """The panel is 160 pixels wide. In one line the second title would be cut."""
    pixels = np.zeros((160, 160, 3), dtype="uint8")
    row = [("Grad-CAM", pixels), ("Grad-CAM (rather than the next, without relu)", pixels)]
    short = render.figure([("", row[:1] * 2)], "", scale=1)
    both = render.figure([("", row)], "", scale=1)
    assert both.height == short.height + 24  # one line more
    lines = captions.lines_of(row[1][0], 18, 200)
    assert lines == ["Grad-CAM (rather than", "the next, without relu)"]
    assert captions.lines_of("Grad-CAM", 18, 200) == ["Grad-CAM"]
    assert captions.lines_of("word" * 100, 18, 200) == ["word" * 100]
    # The ink of the first title stands as low as before, and the second one has ink in both lines.
    dark = np.asarray(both.convert("L")) < 128
    y = both.height - short.height
    old = np.asarray(short.convert("L")) < 128
    assert (dark[y : y + 40, :180] == old[:40, :180]).all()
    assert dark[20:44, 200:].any() and dark[44:62, 200:].any()


def test_long_captions_are_cut_at_the_edge_of_the_figure():
    photograph = np.full((100, 100, 3), 90, "uint8")
    sheet = np.asarray(
        render.figure([("", [("title " * 30, photograph)])], "word " * 200, "note " * 200)
    )
    assert (sheet[:, -8:] == 255).all()


@pytest.mark.parametrize("letter", ["\n", "\r", "\t", "\0", "\udce9", "\u202e"])
def test_control_character_is_drawn_as_a_space(letter):
    """The name of a file may contain such a character."""
    photograph = np.full((100, 100, 3), 90, "uint8")

    def sheet(text):
        return np.asarray(render.figure([(text, [(text, photograph)])], text, text))

    np.testing.assert_array_equal(sheet(f"a{letter}b"), sheet("a b"))


def test_overlay_marks_the_brightest_spot_of_the_map():
    attribution = np.zeros((1, 1, 20, 30))
    attribution[0, 0, 4, 25] = 1
    picture = Image.new("RGB", (30, 20), (100, 100, 100))
    marked = np.asarray(overlay(picture, attribution))
    assert marked.shape == (20, 30, 3)
    np.testing.assert_array_equal(marked[4, 25], [176, 166, 68])
    assert (marked[10, 10] == [84, 50, 92]).all()


def frames(count=5, height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return [
        np.stack([x * 4, y * 6, np.full_like(x, 40 * i)], axis=2).astype("uint8")
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("suffix", "kind", "off"), [(".gif", "GIF", 8), (".webp", "WEBP", 4), (".apng", "PNG", 1e-9)]
)
def test_animation_holds_each_frame_for_its_time(tmp_path, suffix, kind, off):
    path, originals = tmp_path / f"a{suffix}", frames()
    render.save_animation(path, originals, frame_ms=120, hold_ms=900)
    with Image.open(path) as animation:
        assert (animation.format, animation.n_frames, animation.info["loop"]) == (kind, 5, 0)
        for i, original in enumerate(originals):
            animation.seek(i)
            animation.load()
            assert animation.info["duration"] == (900 if i == 4 else 120)
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(shown - original).mean() < off
            assert np.abs(shown.mean((0, 1)) - original.mean((0, 1))).max() < 2


def test_unknown_animation_format_is_refused(tmp_path):
    with pytest.raises(VisualizeError, match=r"must end in \.gif, \.webp, \.apng"):
        render.save_animation(tmp_path / "a.avi", frames())
    assert not list(tmp_path.iterdir())


def test_animation_has_one_palette_for_all_frames(tmp_path):
    path = tmp_path / "a.gif"
    render.save_animation(path, frames())
    data = path.read_bytes()
    assert data[10] & 0x80, "no global colour table"
    start = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    local = 0
    with Image.open(io.BytesIO(data)) as gif:
        for i in range(gif.n_frames):
            gif.seek(i)
            offset = gif.tile[0][2] if gif.tile else None
            local += bool(offset and data[offset - 2] & 0x80)
    assert start < len(data) and local == 0


def test_a_large_gif_gets_fewer_colours_until_it_is_small_enough(tmp_path, monkeypatch):
    from visualize_pd.app.drawing import animation

    path, originals, sizes = tmp_path / "a.gif", frames(), []
    for quality in animation.GIF_QUALITIES:
        monkeypatch.setattr(animation, "GIF_QUALITIES", [quality])
        render.save_animation(path, originals)
        sizes.append(path.stat().st_size)
    monkeypatch.undo()
    assert sizes[0] > sizes[1] > min(sizes[2:])
    for limit, expected in ((sizes[0], 0), (sizes[0] - 1, 1), (min(sizes) - 1, 0)):
        monkeypatch.setattr(animation, "LARGEST_GIF", limit)
        render.save_animation(path, originals)
        assert path.stat().st_size == sizes[expected]


def test_animation_of_one_frame(tmp_path):
    render.save_animation(tmp_path / "a.gif", frames(1))
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 1


def test_animation_without_frames_is_refused(tmp_path):
    with pytest.raises(VisualizeError, match="no frames"):
        render.save_animation(tmp_path / "a.gif", [])
    assert not list(tmp_path.iterdir())


def test_jpeg_keeps_colours_at_full_resolution(tmp_path):
    """Single red pixels on grey. At half the colour resolution they would blur."""
    picture = np.full((16, 16, 3), 128, "uint8")
    picture[::4, ::4] = [220, 60, 60]
    render.save_picture(tmp_path / "a.jpg", picture)
    read = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int)
    assert (read[::4, ::4, 0] - read[::4, ::4, 1]).min() > 100


def test_saved_array_is_read_back_unchanged(tmp_path):
    values = np.random.default_rng(0).standard_normal((1, 3, 4)).astype("float32")
    render.save_array(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), values)


@pytest.fixture
def system_font(monkeypatch):
    """Pretend that the system has one font, or none. Pillow loads its own by the same function."""
    real = captions.ImageFont.truetype

    def install(installed):
        def truetype(font, size, **options):
            if not isinstance(font, str):
                return real(font, size, **options)
            if font != installed:
                raise OSError
            return f"{font} {size}"

        monkeypatch.setattr(captions.ImageFont, "truetype", truetype)

    return install


def test_chinese_text_uses_a_font_of_the_system(system_font):
    system_font("msyh.ttc")
    assert captions._font("小猫 42.5%", 20) == "msyh.ttc 20"
    assert captions._font("tabby 42.5%  ·  AlexNet…", 20) != "msyh.ttc 20"


def test_chinese_text_is_drawn_without_a_system_font(system_font):
    system_font(None)
    picture = np.full((100, 100, 3), 90, "uint8")
    assert render.figure([("", [("小猫", picture)])], "小猫", "小猫").size[0] > 200


def test_unknown_image_format_is_refused(tmp_path):
    with pytest.raises(VisualizeError, match="picture format"):
        render.save_picture(tmp_path / "a.nothing", np.zeros((4, 4, 3), "uint8"))
    assert not list(tmp_path.iterdir())


def test_tiles_touch_and_can_be_cut_out_again():
    pictures = np.stack([np.full((2, 3, 3), shade, "uint8") for shade in (10, 20, 30)])
    pictures[1, 0, 2] = [1, 2, 3]
    sheet = render.tile(pictures, 2)
    assert sheet.shape == (4, 6, 3)
    np.testing.assert_array_equal(sheet[:2, :3], pictures[0])
    np.testing.assert_array_equal(sheet[:2, 3:], pictures[1])
    np.testing.assert_array_equal(sheet[2:, :3], pictures[2])
    assert (sheet[2:, 3:] == 255).all()
    np.testing.assert_array_equal(render.untile(sheet, 3, 2), pictures)


def test_single_image_fills_its_frame():
    picture = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3)).astype("uint8")
    np.testing.assert_array_equal(render.captioned(picture, [""], 1), picture[0])


def test_frame_is_enlarged_with_lanczos():
    picture = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3)).astype("uint8")
    frame = render.captioned(picture, [""], 1, size=90)
    expected = Image.fromarray(picture[0]).resize((90, 60), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(frame, np.asarray(expected))


def test_captions_are_below_their_images():
    pictures = np.zeros((3, 40, 60, 3), "uint8")
    plain = render.captioned(pictures, ["", "", ""], 2)
    assert plain.shape == (8 + 2 * 48, 8 + 2 * 68, 3)
    written = render.captioned(pictures, ["one", "", "three"], 2)
    assert written.shape == (8 + 2 * (48 + 26), 8 + 2 * 68, 3)
    strips = [written[48:74, 8:68], written[48:74, 76:136], written[122:148, 8:68]]
    assert [bool((strip < 128).any()) for strip in strips] == [True, False, True]
    assert (written[8:48, 8:68] == 0).all() and (written[82:122, 76:136] == 255).all()


def test_mp4_shows_each_frame_for_its_time(tmp_path):
    import imageio.v3 as imageio

    shades = [20, 120, 220]
    frames = [np.full((31, 45, 3), shade, "uint8") for shade in shades]
    render.save_animation(tmp_path / "a.mp4", frames, frame_ms=100, hold_ms=300)
    shown = imageio.imread(tmp_path / "a.mp4", plugin="FFMPEG")
    assert shown.shape[1:] == (32, 46, 3)  # even, for players
    np.testing.assert_allclose(shown.mean((1, 2, 3)), [20, 120, 220, 220, 220], atol=3)
    assert imageio.immeta(tmp_path / "a.mp4", plugin="FFMPEG")["fps"] == 10


def test_mp4_without_its_extra_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VisualizeError, match=r"pip install -e \"\.\[mp4\]\""):
        render.save_animation(tmp_path / "a.mp4", [np.zeros((8, 8, 3), "uint8")])
    assert not list(tmp_path.iterdir())
