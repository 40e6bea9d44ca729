"""Files are written completely or not at all, and output folders are checked beforehand."""

import os
import threading
from pathlib import Path

import pytest

from visualize_pd.core.errors import OutputError
from visualize_pd.core.files import (
    atomic_write,
    expand_home,
    is_pipe_or_device,
    make_output_folder,
    write_text,
)


def test_file_contains_what_was_written(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    with atomic_write(path) as file:
        file.write(b"one")
        file.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert list(path.parent.iterdir()) == [path]


def test_existing_file_is_replaced_only_at_the_end(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("existing", [None, b"old"])
def test_interrupted_write_changes_nothing(tmp_path, error, existing):
    path = tmp_path / "file.bin"
    if existing is not None:
        path.write_bytes(existing)
    with pytest.raises(error), atomic_write(path) as file:
        file.write(b"half")
        file.flush()
        raise error("stop")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == (
        {} if existing is None else {"file.bin": existing}
    )


def test_full_disk_is_an_output_error(tmp_path):
    path = tmp_path / "file.bin"
    with pytest.raises(OutputError, match=r"file\.bin: No space left"), atomic_write(path) as file:
        file.write(b"half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_failed_replacement_leaves_no_file(tmp_path):
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(OutputError, match="taken"), atomic_write(folder) as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == [folder] and list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["plain/below", "plain/below/it", "a\0b", "x" * 300])
def test_path_that_cannot_be_a_file(tmp_path, name):
    (tmp_path / "plain").write_bytes(b"keep")
    with pytest.raises(OutputError), atomic_write(tmp_path / name) as file:
        file.write(b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["plain"]
    assert (tmp_path / "plain").read_bytes() == b"keep"


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_path_without_a_file_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError), atomic_write(name) as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_file_with_the_longest_possible_name(tmp_path):
    path = tmp_path / ("x" * 251 + ".png")
    path.touch()  # this file system allows names of 255 letters
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["new", "new/deep/er", "", "."])
def test_make_output_folder_leaves_it_empty(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = make_output_folder(name)
    assert (tmp_path / name).is_dir() and folder.resolve() == (tmp_path / name).resolve()
    assert list(folder.iterdir()) == []


def test_make_output_folder_keeps_existing_files(tmp_path):
    (tmp_path / "old").write_bytes(b"keep")
    make_output_folder(tmp_path)
    assert (tmp_path / "old").read_bytes() == b"keep"


@pytest.mark.parametrize("name", ["plain", "plain/below", "a\0b", "x" * 300, "x/" * 3000])
def test_output_folder_that_cannot_be_made(tmp_path, name):
    (tmp_path / "plain").write_bytes(b"keep")
    with pytest.raises(OutputError, match="output=") as caught:
        make_output_folder(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "plain").read_bytes() == b"keep"


def test_output_folder_without_write_permission(tmp_path, monkeypatch):
    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        make_output_folder(tmp_path / "new")


def test_two_threads_write_into_one_folder(tmp_path):
    """Both files are open at the same time. Each gets only its own content."""
    both_open = threading.Barrier(2, timeout=10)

    def write(name):
        with atomic_write(tmp_path / name) as file:
            both_open.wait()
            file.write(name.encode() * 1000)
            both_open.wait()

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "bc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "a": b"a" * 1000, "bc": b"bc" * 1000
    }  # fmt: skip


def test_text_with_lone_surrogates_is_written_as_utf8(tmp_path):
    """They stand for the bytes of a file name that is not UTF-8. JSON can read the escape."""
    write_text(tmp_path / "a.json", '["été \udce9"]')
    assert (tmp_path / "a.json").read_bytes() == '["été \\udce9"]'.encode()


@pytest.mark.parametrize("path", ["~/a", "~", "a/~", "./a", "~no one/a", "~a\0b/c", "\ud800"])
def test_tilde_becomes_the_home_folder(path):
    home = str(Path.home())
    assert expand_home(path) == (path.replace("~", home) if path in ("~/a", "~") else path)


def test_pipes_and_devices_are_recognised(tmp_path, pipe):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(pipe("pipe"))
    found = {name: is_pipe_or_device(tmp_path / name) for name in ("pipe", "link", "file", "none")}
    assert found == {"pipe": True, "link": True, "file": False, "none": False}
    assert is_pipe_or_device(os.devnull)
    assert not any(map(is_pipe_or_device, (tmp_path, "x" * 300, "a\0b", "\ud800")))
