"""A file that is damaged, too large, too small or not a picture gives one clear error."""

import numpy as np
import pytest
from picture_files import png_file
from PIL import EpsImagePlugin, Image

from visualize_pd.core.errors import ImageError
from visualize_pd.core.images import load_image, load_mask


@pytest.mark.parametrize("size", [(60_000, 60_000), (12_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_picture_with_too_many_pixels(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_file(*size, 8, 2, bytes(1000)))
    with pytest.raises(ImageError, match=r"89,000,000 pixels"):
        load_image(path)


@pytest.mark.parametrize("size, allowed", [((8, 8), True), ((7, 8), False), ((8, 7), False)])
def test_smallest_size_is_8_by_8(tmp_path, size, allowed):
    Image.new("RGB", size).save(tmp_path / "x.png")
    if allowed:
        assert load_image(tmp_path / "x.png").size == size
    else:
        with pytest.raises(ImageError, match=f"{size[0]}×{size[1]}"):
            load_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(5000)]
)
@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x"])
def test_file_that_is_not_a_picture(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_truncated_picture(tmp_path, name, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype="uint8")
    path = tmp_path / name
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ImageError, match=name):
        load_image(path)


@pytest.mark.parametrize(
    "name",
    ["missing.png", ".", "a\0b", "x" * 300, "x.txt/below.png", "~no one/x.png", "~a\0b/x.png"],
)
def test_path_that_cannot_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").touch()
    with pytest.raises(ImageError):
        load_image(name)


@pytest.mark.parametrize(
    "read", [load_image, lambda path: load_mask(path, (8, 8))], ids=["image", "mask"]
)
def test_pipe_gives_an_error_without_waiting(pipe, read):
    with pytest.raises(ImageError, match="is a pipe or a device"):
        read(pipe("x.png"))


def test_postscript_program_is_not_run(tmp_path, monkeypatch):
    """Pillow would give it to Ghostscript, whatever the name of the file is."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("it was run"))
    (tmp_path / "x.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n\n{} loop\n"
    )
    message = r"x\.png is an EPS file, which is a program and is not run"
    with pytest.raises(ImageError, match=message):
        load_image(tmp_path / "x.png")
