"""A download is checked and saved completely, or not at all."""

import hashlib
import time

import pytest
from download_server import CONTENT, MD5, send

from visualize_pd.core.errors import WeightsError
from visualize_pd.models.weights.downloading import download


@pytest.mark.parametrize("length", [-1, None])
def test_whole_file_is_saved(server, tmp_path, capsys, length):
    server.behaviour = send(length=length)
    path = tmp_path / "weights" / "net.pdparams"
    assert download(server.url, MD5, path) == path
    assert path.read_bytes() == CONTENT
    assert [f.name for f in path.parent.iterdir()] == ["net.pdparams"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "net.pdparams" in printed.err
    assert "293k" in printed.err  # 300,000 / 1024
    assert ("100%" in printed.err) == (length == -1)


def test_file_is_replaced_only_when_the_download_is_complete(server, tmp_path):
    path = tmp_path / "net.pdparams"
    path.write_bytes(b"before")
    seen = []

    def behaviour(handler):
        handler.start(len(CONTENT))
        handler.wfile.write(CONTENT[:200_000])
        deadline = time.monotonic() + 5
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        seen.extend([len(list(tmp_path.iterdir())), path.read_bytes()])
        handler.wfile.write(CONTENT[200_000:])

    server.behaviour = behaviour
    download(server.url, MD5, path)
    assert seen == [2, b"before"]  # the part that has arrived is in another file
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_wrong_md5(server, failed_download):
    assert "md5" in failed_download(server.url, hashlib.md5(b"other").hexdigest())


@pytest.mark.parametrize("sent", [0, 1, 299_999])
def test_truncated_download(server, failed_download, sent):
    server.behaviour = send(sent=sent)
    assert f"{sent} of 300000" in failed_download(server.url)


def test_truncated_download_with_the_right_md5(server, failed_download):
    server.behaviour = send(length=400_000)
    assert "300000 of 400000" in failed_download(server.url)


def test_truncated_download_without_a_length(server, failed_download):
    server.behaviour = send(length=None, sent=1000)
    assert "md5" in failed_download(server.url)


@pytest.mark.parametrize("code", [403, 404, 500])
def test_error_pages(server, failed_download, code):
    server.behaviour = lambda handler: handler.send_error(code)
    assert server.url in failed_download(server.url)


def test_answer_that_is_not_http(server, failed_download):
    server.behaviour = lambda handler: handler.wfile.write(b"hello\r\n\r\n")
    failed_download(server.url)


def test_endless_redirects(server, failed_download):
    def behaviour(handler):
        handler.send_response(302)
        handler.send_header("Location", server.url)
        handler.end_headers()

    server.behaviour = behaviour
    failed_download(server.url)


def test_connection_refused(dead_url, failed_download):
    assert "refused" in failed_download(dead_url)


@pytest.mark.parametrize("url", ["nonsense", "http://[::1/", "http://a b/", "no://where/"])
def test_impossible_addresses(failed_download, url):
    assert url in failed_download(url)


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "weights").write_bytes(b"a file")
    with pytest.raises(WeightsError):
        download(server.url, MD5, tmp_path / "weights" / "net.pdparams")


def test_download_succeeds_after_a_failed_one(server, tmp_path):
    server.behaviour = send(sent=1000)
    with pytest.raises(WeightsError):
        download(server.url, MD5, tmp_path / "a")
    server.behaviour = send()
    assert download(server.url, MD5, tmp_path / "a").read_bytes() == CONTENT
