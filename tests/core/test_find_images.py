"""Files, folders and globs give the right picture files, each once, in a stable order."""

import os

import pytest

from visualize_pd.core.errors import ImageError
from visualize_pd.core.images import find_images, load_image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with empty files that have the names of pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "down" / "deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "c.JPEG", "note.txt", ".hidden.png", "down/d.png"):
        (tmp_path / name).touch()
    (tmp_path / "down" / "deep" / "e.webp").touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def names(paths):
    return [path.as_posix() for path in paths]


def test_folder_gives_its_pictures_in_order(folder):
    assert names(find_images(".")) == ["a.jpg", "b.png", "c.JPEG"]
    assert names(find_images("down")) == ["down/d.png"]


@pytest.mark.parametrize(
    "pattern, found",
    [
        ("*.png", ["b.png"]),
        ("*", ["a.jpg", "b.png", "c.JPEG"]),
        ("[ab].*", ["a.jpg", "b.png"]),
        ("?.jpg", ["a.jpg"]),
        ("down/*", ["down/d.png"]),
        ("**/*.webp", ["down/deep/e.webp"]),
        ("down/**", ["down/d.png", "down/deep/e.webp"]),
    ],
)
def test_glob_finds_pictures(folder, pattern, found):
    assert names(find_images(pattern)) == found


def test_sources_keep_their_order_and_give_each_file_once(folder):
    sources = ["down/d.png", "b.png", ".", "*.png", "./b.png", "b.png"]
    assert names(find_images(sources)) == ["down/d.png", "b.png", "a.jpg", "c.JPEG"]


@pytest.mark.parametrize("other", ["down/../b.png", "{}/b.png"])
def test_two_spellings_of_a_path_give_one_file(folder, other):
    assert names(find_images(["b.png", other.format(folder)])) == ["b.png"]


def test_existing_name_with_brackets_is_not_a_glob(folder):
    (folder / "shot[1].png").touch()
    (folder / "set[1]").mkdir()
    (folder / "set[1]" / "x.png").touch()
    assert names(find_images("shot[1].png")) == ["shot[1].png"]
    assert names(find_images("set[1]")) == ["set[1]/x.png"]


def test_file_given_by_name_is_returned_without_a_check(folder):
    assert names(find_images(["note.txt", "missing.png"])) == ["note.txt", "missing.png"]


@pytest.mark.parametrize(
    "sources, message",
    [
        ("down/deep/none*", "no picture matches"),
        ("*.txt", "no picture matches"),
        ("folder.png", "holds no pictures"),
        ([], "no images given"),
        (["b.png", "*.gif"], r"no picture matches \*\.gif"),
        ("a\0b/*.png", "no picture matches"),
        ("\ud800/*.png", "no picture matches"),  # YAML reads "\\ud800" as this
        ("a*/" * 5000, "no picture matches"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_sources_without_pictures(folder, sources, message):
    with pytest.raises(ImageError, match=message):
        find_images(sources)


def test_name_that_is_too_long_for_the_system(folder):
    with pytest.raises(ImageError):
        [load_image(path) for path in find_images("x" * 300)]


def test_folder_without_permission(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ImageError):
        find_images("down")


def test_file_without_permission_is_skipped(folder, monkeypatch):
    stat = os.stat

    def refuse(path, **options):
        if str(path).endswith("a.jpg"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr("os.stat", refuse)
    assert names(find_images(".")) == ["b.png", "c.JPEG"]


def test_other_kinds_of_files_are_skipped(folder):
    for name in ("paper.pdf", "weights.h5", "film.mpg", "program.eps"):
        (folder / name).write_bytes(b"no picture")
    assert names(find_images(".")) == ["a.jpg", "b.png", "c.JPEG"]
