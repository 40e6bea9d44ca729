"""Many images: what is noted of them, several processes, runs that go on, reading ahead."""

import csv
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visualize_pd import load_image, load_model
from visualize_pd.app.commands.scripts import explain_command
from visualize_pd.app.explain import run as explain_module
from visualize_pd.app.report.summary import FIELDS, Summary

ROOT = Path(__file__).parents[2]
TINY = {"model": "{name: tiny:small_net, image_size: 32}"}


def seven_pictures(folder):
    """Pictures that differ, the fourth of them broken."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(7):
        pixels = random.integers(0, 256, (5, 5, 3)).astype("uint8")
        Image.fromarray(pixels).resize((60, 50)).save(folder / f"p{number}.png")
    (folder / "p3.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "tests")
    return seven_pictures(tmp_path / "pictures")


def arguments_for(pictures, output, **settings):
    keys = {**TINY, "images": pictures, "output": output, "batch_size": 2, **settings}
    return [part for key, value in keys.items() for part in ("-o", f"{key}={value}")]


def explain(pictures, output, code=1, **settings):
    arguments = arguments_for(pictures, output, **settings)
    assert explain_command(ROOT / "configs/saliency.yaml", arguments) == code
    return output / "method_1"


def rows_of(folder):
    with open(folder / "summary.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_summary_says_what_the_network_says(pictures, tmp_path):
    folder = explain(pictures, tmp_path / "out", target="[0, 2]")
    rows = rows_of(folder)
    assert list(rows[0]) == list(FIELDS)
    names = [f"p{n}.png" for n in range(7) for _ in range(1 if n == 3 else 2)]
    assert [Path(row["file"]).name for row in rows] == names
    classifier = load_model("tiny:small_net", image_size=32)
    for row in rows:
        if row["note"]:
            assert row["note"].startswith("skipped: ") and "p3.png" in row["note"]
            assert not row["figure"] and not row["class"]
            continue
        logits = classifier.network(classifier.prepare([load_image(row["file"])])).numpy()[0]
        shares = np.exp(logits) / np.exp(logits).sum()
        assert float(row["probability"]) == pytest.approx(shares[int(row["class"])], rel=1e-4)
        assert int(row["predicted"]) == shares.argmax()
        assert float(row["predicted_probability"]) == pytest.approx(shares.max(), rel=1e-4)
        assert Path(row["figure"]).is_file() and row["name"] == f"class {row['class']}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["summary.csv", *(f"p{n}_pp.jpg" for n in range(7) if n != 3)]
    )


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Two processes over seven pictures, one of them broken; and a single process."""
    folder = tmp_path_factory.mktemp("launched")
    pictures = seven_pictures(folder / "pictures")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    launcher += ["--log_dir", str(folder / "log")]
    codes = {}
    for name, start in {"two": launcher, "one": []}.items():
        script = [
            str(ROOT / "method_1_pp.py"),
            *arguments_for(pictures, folder / name, report="true"),
        ]
        done = subprocess.run(
            [sys.executable, *start, *script],
            cwd=ROOT / "tests", env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        codes[name] = done.returncode
    return folder, codes


def test_two_processes_share_the_images(launched):
    folder, codes = launched
    logs = [(folder / f"log/workerlog.{rank}").read_text() for rank in (0, 1)]
    assert codes == {"one": 1, "two": 1}, logs
    two, one = folder / "two/method_1", folder / "one/method_1"
    assert sorted(path.name for path in two.iterdir()) == sorted(
        path.name for path in one.iterdir()
    )
    page = (one / "index.html").read_text().replace(str(folder / "one"), str(folder / "two"))
    assert page == (two / "index.html").read_text()
    for path in one.glob("*.jpg"):
        assert path.read_bytes() == (two / path.name).read_bytes()
    alike = [{**row, "figure": Path(row["figure"]).name} for row in rows_of(two)]
    assert alike == [{**row, "figure": Path(row["figure"]).name} for row in rows_of(one)]
    for rank, own in enumerate(([0, 2, 4, 6], [1, 5])):  # the broken one is the second process's
        told = [n for n in range(7) if f"p{n}.png: class" in logs[rank]]
        assert told == own, logs[rank]


def test_a_run_goes_on_where_it_was(pictures, tmp_path, capsys):
    """Two figures are gone: only they are drawn again, and the summary is that of a whole run."""
    folder = explain(pictures, tmp_path / "out")
    whole = rows_of(folder)
    gone = [folder / "p1_pp.jpg", folder / "p6_pp.jpg"]
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.jpg") if path not in gone}
    before = [path.read_bytes() for path in gone]
    for path in gone:
        path.unlink()
    capsys.readouterr()
    explain(pictures, tmp_path / "out", skip_existing="true")
    out = capsys.readouterr().out
    assert "4 of 7 images have their figure already" in out and out.count("→") == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert [path.read_bytes() for path in gone] == before
    assert rows_of(folder) == whole


def test_a_killed_run_leaves_what_it_noted(pictures, tmp_path, monkeypatch):
    """Killed before the summary was whole: its open part is taken up."""
    monkeypatch.setattr("visualize_pd.app.report.summary.SAVE_SECONDS", 0)
    folder = explain(pictures, tmp_path / "out")
    whole = rows_of(folder)

    class Killed(BaseException):
        pass

    def killed(self, order):
        raise Killed

    for path in folder.iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Summary, "finish", killed)
        with pytest.raises(Killed):
            explain(pictures, tmp_path / "out")
    assert not (folder / "summary.csv").exists() and list(folder.glob(".summary.open.*"))
    (folder / "p5_pp.jpg").unlink()
    explain(pictures, tmp_path / "out", skip_existing="true")
    assert rows_of(folder) == whole and not list(folder.glob(".summary.*"))


def test_figures_of_unknown_origin_are_kept(pictures, tmp_path):
    folder = tmp_path / "out" / "method_1"
    folder.mkdir(parents=True)
    (folder / "p2_pp.jpg").write_bytes(b"a person's own")
    explain(pictures, tmp_path / "out", skip_existing="true")
    assert (folder / "p2_pp.jpg").read_bytes() == b"a person's own"
    (row,) = (row for row in rows_of(folder) if row["file"].endswith("p2.png"))
    assert row["note"] == "existing" and not row["class"]


def test_the_next_batch_is_read_while_this_one_is_computed_with(pictures, tmp_path, monkeypatch):
    read, waited = threading.Event(), []
    real = explain_module.explain_batch

    def watched(path):
        if path.name == "p2.png":
            read.set()
        return load_image(path)

    def computing(methods, classifier, wanted, batch):
        if batch[0][0].name == "p0.png":
            waited.append(read.wait(timeout=20))
        return real(methods, classifier, wanted, batch)

    monkeypatch.setattr(explain_module, "load_image", watched)
    monkeypatch.setattr(explain_module, "explain_batch", computing)
    explain(pictures, tmp_path / "out")
    assert waited == [True]


def test_the_first_process_waits_for_all(tmp_path, monkeypatch):
    """Parts that end one after the other, the first process first: one file, in order."""
    monkeypatch.setattr("visualize_pd.app.report.summary.LOOK_SECONDS", 0.01)
    summaries = [Summary(tmp_path, rank, 3) for rank in range(3)]
    for rank, summary in enumerate(summaries):
        summary.add([{"file": f"{name}", "note": f"by {rank}"} for name in "abcdef"[rank::3]])
    found = {}

    def finish(rank):
        found[rank] = summaries[rank].finish(list("abcdef"))

    threads = [threading.Thread(target=finish, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
        assert (tmp_path / "summary.csv").exists() == (thread is threads[-1])
    for thread in threads:
        thread.join(timeout=10)
    assert [row["file"] for row in found[0]] == list("abcdef")
    assert found[0] == found[1] == found[2]
    assert [row["note"] for row in rows_of(tmp_path)] == ["by 0", "by 1", "by 2"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["summary.csv"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"skip_existing": "true", "common_scale": "true"},
            "skip_existing needs a figure for each",
        ),
        (
            {"skip_existing": "true", "compare": "[saliency]"},
            "skip_existing needs a figure for each",
        ),
    ],
)
def test_what_does_not_go_together(pictures, tmp_path, capsys, settings, message):
    explain(pictures, tmp_path / "out", code=2, **settings)
    assert message in capsys.readouterr().err


def test_one_scale_takes_one_process(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("visualize_pd.core.runtime.share_of_run", lambda: (0, 2))
    explain(pictures, tmp_path / "out", code=2, common_scale="true")
    assert "run a single process" in capsys.readouterr().err
