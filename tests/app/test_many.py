"""Many images: the summary, several processes, continued runs, and reading ahead."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from app_helpers import EXPLAIN, ROOT, TINY, overrides, read_csv, run_explain, run_generate
from PIL import Image

from visualize_pd import Classifier, load_image, load_model
from visualize_pd.app.explain import run as explain_module
from visualize_pd.app.report import summary as summary_module
from visualize_pd.app.report.rows import FIELDS
from visualize_pd.app.report.summary import Summary
from visualize_pd.core.errors import OutputError
from visualize_pd.network.fast.whole import gradient


def seven_pictures(folder):
    """Write seven different images. The fourth file is broken."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(7):
        pixels = random.integers(0, 256, (5, 5, 3)).astype("uint8")
        Image.fromarray(pixels).resize((60, 50)).save(folder / f"p{number}.png")
    (folder / "p3.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def pictures(tmp_path, tests_folder):
    return seven_pictures(tmp_path / "pictures")


def explain(pictures, output, code=1, **settings):
    """Explain the images two by two. The exit code is 1, as one of them is broken."""
    return run_explain(output, code, images=pictures, batch_size=2, **TINY, **settings)


def rows_of(folder):
    return read_csv(folder / "summary.csv")


def test_summary_holds_the_predictions_of_the_network(pictures, tmp_path):
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
    """Explain the seven images by two processes, and once more by one."""
    folder = tmp_path_factory.mktemp("launched")
    pictures = seven_pictures(folder / "pictures")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    launcher += ["--log_dir", str(folder / "log")]
    codes = {}
    for name, start in {"two": launcher, "one": []}.items():
        settings = {**TINY, "images": pictures, "batch_size": 2, "report": "true"}
        arguments = overrides({**settings, "output": folder / name})
        done = subprocess.run(
            [sys.executable, *start, str(ROOT / EXPLAIN), *arguments],
            cwd=ROOT / "tests",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
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
    for rank, own in enumerate(([0, 2, 4, 6], [1, 5])):  # the second process has the broken one
        told = [n for n in range(7) if f"p{n}.png: class" in logs[rank]]
        assert told == own, logs[rank]


def test_skip_existing_draws_only_the_missing_figures(pictures, tmp_path, capsys):
    """Two figures are missing. Only they are drawn again; the summary is that of a full run."""
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


def test_rows_of_a_killed_run_are_kept(pictures, tmp_path, monkeypatch):
    """The run is killed before the summary is complete. The next run takes over its open part."""
    monkeypatch.setattr("visualize_pd.app.report.summary.SAVE_SECONDS", 0)
    folder = explain(pictures, tmp_path / "out")
    whole = rows_of(folder)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    for path in folder.iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Summary, "finish", killed)
        with pytest.raises(Killed):
            explain(pictures, tmp_path / "out")
    assert not (folder / "summary.csv").exists() and list(folder.glob(".summary.*.part"))
    (folder / "p5_pp.jpg").unlink()
    explain(pictures, tmp_path / "out", skip_existing="true")
    assert rows_of(folder) == whole and not list(folder.glob(".summary.*"))


def test_the_first_process_reports_while_the_others_wait(tmp_path):
    """A process that ends with an exit code would make the launcher end the first one too."""
    summaries = [Summary(tmp_path, {}, rank, 2) for rank in range(2)]
    for summary in summaries:
        summary.add([{**dict.fromkeys(FIELDS, ""), "file": str(summary.rank)}])
    ended = threading.Event()

    def second():
        summaries[1].finish(["0", "1"])
        ended.set()

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    while not list(tmp_path.glob(".summary.1of2.*")):
        time.sleep(0.01)

    def report(rows):
        time.sleep(0.6)
        assert len(rows) == 2 and not ended.is_set()

    summaries[0].finish(["0", "1"], report)
    thread.join(timeout=10)
    assert ended.is_set()


def test_next_batch_is_read_during_the_computation_of_this_one(pictures, tmp_path, monkeypatch):
    read, waited = threading.Event(), []
    real = explain_module.explain_batch

    load = Classifier.load

    def watched(classifier, path):
        if path.name == "p2.png":
            read.set()
        return load(classifier, path)

    def computing(methods, classifier, wanted, batch):
        if batch[0][0].name == "p0.png":
            waited.append(read.wait(timeout=20))
        return real(methods, classifier, wanted, batch)

    monkeypatch.setattr(Classifier, "load", watched)
    monkeypatch.setattr(explain_module, "explain_batch", computing)
    explain(pictures, tmp_path / "out")
    assert waited == [True]


def test_first_process_waits_for_all_others(tmp_path, monkeypatch):
    """The first process ends first. The summary is written when the last one has ended."""
    monkeypatch.setattr("visualize_pd.app.report.summary.LOOK_SECONDS", 0.01)
    summaries = [Summary(tmp_path, {}, rank, 3) for rank in range(3)]
    for rank, summary in enumerate(summaries):
        summary.add(
            [
                {**dict.fromkeys(FIELDS, ""), "file": name, "note": f"by {rank}"}
                for name in "abcdef"[rank::3]
            ]
        )
    found = {}

    def finish(rank):
        found[rank] = summaries[rank].finish(list("abcdef"))

    threads = [threading.Thread(target=finish, args=(rank,), daemon=True) for rank in range(3)]
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
def test_skip_existing_is_refused_without_a_figure_for_each_image(
    pictures, tmp_path, capsys, settings, message
):
    explain(pictures, tmp_path / "out", code=2, **settings)
    assert message in capsys.readouterr().err


def test_common_scale_needs_a_single_process(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("visualize_pd.core.runtime.share_of_run", lambda: (0, 2))
    explain(pictures, tmp_path / "out", code=2, common_scale="true")
    assert "run a single process" in capsys.readouterr().err


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_whose_launcher_has_ended_does_not_wait_for_ever(tmp_path, time_limit, rank):
    summary = Summary(tmp_path, {}, rank, 2)
    summary.add([{**dict.fromkeys(FIELDS, ""), "file": "a"}])
    summary.launcher = -1
    with time_limit(5), pytest.raises(OutputError, match="launcher of this process has ended"):
        summary.finish(["a"])


def test_saving_many_rows_takes_a_twentieth_of_the_time(tmp_path, monkeypatch):
    """Here a save takes 0.3 s, and images come every 0.1 s."""
    clock, saves = [0.0], []

    def write(path, part):
        clock[0] += 0.3
        saves.append(clock[0])

    monkeypatch.setattr(summary_module, "write_part", write)
    monkeypatch.setattr(summary_module.time, "monotonic", lambda: clock[0])
    summary = Summary(tmp_path, {}, 0, 2)
    while clock[0] < 120:
        clock[0] += 0.1
        summary.add([])
    assert len(saves) * 0.3 / clock[0] == pytest.approx(1 / 20, rel=0.05)


def test_method_2_does_not_run_in_several_processes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("visualize_pd.core.runtime.share_of_run", lambda: (0, 2))
    run_generate(tmp_path, code=2, **TINY, target=1)
    assert "start it without paddle.distributed.launch" in capsys.readouterr().err


def test_many_images_have_the_same_bytes_in_a_run_that_goes_on(tmp_path, tests_folder, monkeypatch):
    """Their gradients go through a program from the first image on, however many are left."""
    runs = []
    run = gradient._run
    monkeypatch.setattr(gradient, "_run", lambda *given: runs.append(1) or run(*given))
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for number in range(gradient.MANY):
        pixels = random.integers(0, 256, (40, 40, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    settings = {
        "images": folder,
        "method": "{name: smooth_grad, samples: 2}",
        "batch_size": 1,
        **TINY,
    }
    results = run_explain(tmp_path / "out", **settings)
    assert len(runs) >= gradient.MANY
    figures = {path: path.read_bytes() for path in results.glob("*_pp.jpg")}
    assert len(figures) == gradient.MANY
    for path in list(figures)[3:]:
        path.unlink()
    run_explain(tmp_path / "out", skip_existing="true", **settings)
    assert {path: path.read_bytes() for path in results.glob("*_pp.jpg")} == figures
