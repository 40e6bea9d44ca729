"""Image files that cannot be used, and file names that are hard to write down."""

import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from app_helpers import EXPLAIN, GENERATE, stderr_lines, strict_json
from PIL import Image


def huge_png(width=60_000, height=60_000):
    """A PNG of a few bytes that claims to have billions of pixels."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(1000)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def cut_off(name, kept):
    """The first part, as a share, of an image file of that kind."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype="uint8")
    Image.fromarray(noise).save(name)
    content = Path(name).read_bytes()
    return content[: int(len(content) * kept)]


def one_pixel():
    Image.new("RGB", (1, 1)).save("one.png")
    return Path("one.png").read_bytes()


BAD_IMAGES = {
    "missing.png": (None, "no such image: missing.png"),
    "text.jpg": (lambda: b"this is no picture\n", "text.jpg is not a picture"),
    "empty.png": (lambda: b"", "empty.png is not a picture"),
    "short.jpg": (lambda: cut_off("short.jpg", 0.1), "cannot read short.jpg"),
    "half.jpg": (lambda: cut_off("half.jpg", 0.5), "cannot read half.jpg"),
    "most.jpg": (lambda: cut_off("most.jpg", 0.98), "cannot read most.jpg"),
    "half.png": (lambda: cut_off("half.png", 0.5), "cannot read half.png"),
    "most.png": (lambda: cut_off("most.png", 0.98), "cannot read most.png"),
    "one.png": (one_pixel, "one.png is 1×1"),
    "huge.png": (huge_png, "huge.png has over 89,000,000 pixels"),
    "photo.png/below.png": (None, "cannot read photo.png/below.png"),
}


@pytest.fixture(params=BAD_IMAGES)
def bad_image(request, empty_folder):
    """Write a bad image file; return its name and the reason that is reported."""
    content, says = BAD_IMAGES[request.param]
    if content:
        Path(request.param).write_bytes(content())
    return request.param, says


def test_explaining_skips_a_bad_image_with_a_reason(run_error, bad_image):
    name, says = bad_image
    err = run_error(EXPLAIN, {"images": name})
    assert f"skipped: {says}" in err


def test_generating_refuses_a_bad_init_image(run_error, bad_image):
    name, says = bad_image
    assert f"error: {says}" in run_error(GENERATE, {"init": name})


@pytest.mark.parametrize("name", ["a\\0b.png", "x" * 300, "~nobody/x.png"])
def test_file_name_that_cannot_exist(run_error, name):
    run_error(EXPLAIN, {"images": f'"{name}"'})
    run_error(GENERATE, {"init": f'"{name}"'})


@pytest.mark.parametrize(
    "images, says",
    [
        ("[]", "no images given"),
        ("empty", "the folder empty holds no pictures"),
        ("empty/*.png", "no picture matches empty/*.png"),
        ("nowhere/**/*.jpg", "no picture matches nowhere/**/*.jpg"),
        ("[photo.png, '*.nothing']", "no picture matches *.nothing"),
        ("[[photo.png]]", "images must be"),
        ("", "images must be"),
        ("5", "images must be"),
    ],
)
def test_no_image_is_found(run_error, images, says):
    Path("empty").mkdir()
    assert says in run_error(EXPLAIN, {"images": images})


def test_good_images_are_explained_and_bad_ones_reported(run_quick, photograph):
    photograph("other.png")
    Path("text.jpg").write_text("no picture")
    names = ["text.jpg", "photo.png", "missing.png", "other.png"]
    for batch_size in (1, 2, 8):
        output = f"out_{batch_size}"
        changes = {"images": f"[{', '.join(names)}]", "batch_size": batch_size, "output": output}
        code, out, err = run_quick(EXPLAIN, changes)
        assert code == 1
        assert "skipped: text.jpg is not a picture" in err and "no such image: missing.png" in err
        assert stderr_lines(err) == []
        assert [line.split(":")[0] for line in out.splitlines()] == ["photo.png", "other.png"]
        made = sorted(path.name for path in Path(output).rglob("*") if path.is_file())
        assert made == ["other_pp.jpg", "photo_pp.jpg", "summary.csv"]


def test_each_bad_image_is_reported(run_error):
    Path("text.jpg").write_text("no picture")
    err = run_error(EXPLAIN, {"images": "[text.jpg, missing.png]"})
    assert err.count("skipped: ") == 2 and "no image could be explained" in err


def test_line_break_in_the_name_of_a_bad_image_does_not_break_the_report(run_quick):
    Path("two\nlines.jpg").write_text("no picture")
    code, _, err = run_quick(EXPLAIN, {"images": "[photo.png, '*.jpg']"})
    assert code == 1 and stderr_lines(err) == []


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are in Unicode")
@pytest.mark.parametrize("name", [b"caf\xe9.png", b"two\nlines.png"])
@pytest.mark.parametrize("changes", [{}, {"compare": "[saliency, gradient]"}])
def test_file_name_that_is_not_unicode_or_has_a_line_break(run_quick, name, changes):
    Path("folder").mkdir()
    Path("photo.png").rename(os.fsdecode(b"folder/" + name))
    code, _, err = run_quick(EXPLAIN, {"images": "folder", **changes})
    assert code == 0 and stderr_lines(err) == []
    assert "folder" in Path("out/method_1/summary.csv").read_text(encoding="utf-8")


def test_name_with_a_lone_surrogate_is_listed_in_the_summary(run_quick):
    assert run_quick(EXPLAIN, {"images": r'[photo.png, "\udc80.png"]'})[0] == 1
    summary = Path("out/method_1/summary.csv").read_text(encoding="utf-8")
    assert r"\udc80.png" in summary


def test_init_name_that_is_not_unicode_is_recorded_as_valid_json(run_quick, photograph):
    name = os.fsdecode(b"\xff.png")
    shutil.copy(photograph("photo.png"), name)
    assert run_quick(GENERATE, {"init": r'"\udcff.png"'})[0] == 0
    (record,) = Path("out").rglob("run.json")
    assert strict_json(record)["config"]["init"] == name
