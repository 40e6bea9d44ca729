"""What is attacked, when, and what must hold: whole files, right numbers, an exit code, a sentence.

"Nothing was lost" always means: the same contents as those of a run that nothing has disturbed.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import paddle
import pytest
from app_helpers import EXPLAIN, GENERATE, contents, overrides, read_csv, wait_for
from forked import Scripts
from PIL import Image
from tiny import small_net

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

CONCEPTS, COMPARE = "concepts", "compare"
TINY = {"model.name": "tiny:small_net", "model.image_size": 32, "model.fallback": "null"}
OWN = {
    EXPLAIN: {"report": "true", "save_arrays": "true", "skip_existing": "true", "batch_size": 1},
    GENERATE: {"report": "true", "target": 1, "iterations": 2, "frames.every": 1},
    CONCEPTS: {"new_images": "null", "target": 1, "concepts": 2, "shown": 1, "samples": 2},
    COMPARE: {"truth": "null", "target": "predicted", "steps": 2, "measures": "[deletion]"},
}
OWN[CONCEPTS]["image"] = "null"
OWN[GENERATE].update({"size": 32, "growth.sizes": "[]", "animation.format": "apng"})  # faster


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    server = Scripts(tmp_path_factory.mktemp("printed"))
    folder = tmp_path_factory.mktemp("warm")
    prepare(folder)
    for script in OWN:
        assert server.warm_up(script, arguments(script, folder)) == 0
    yield server
    server.close()


def picture(path, seed):
    """Write a picture of seeded noise."""
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype("uint8")
    Image.fromarray(pixels).resize((48, 40)).save(path)
    return path


def prepare(folder):
    """Write two pictures, the weights of a network and of a judge, and a score."""
    for seed, name in enumerate("ab"):
        picture(folder / f"pictures/{name}.png", seed)
    weights(folder / "net.pdparams", seed=0)
    weights(folder / "judge.pdparams", seed=1)
    code = "def score(outputs, images):\n    return outputs[:, 1]\n"
    (folder / "own_score.py").write_text(code)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with two pictures and the weights of a network."""
    prepare(tmp_path)
    return tmp_path


def weights(path, seed):
    network = small_net()
    random = np.random.default_rng(seed)
    for parameter in network.parameters():
        parameter.set_value(random.normal(0, 0.4, parameter.shape).astype("float32"))
    paddle.save(network.state_dict(), str(path))


def arguments(script, work, output="out", resume=False, **settings):
    """The arguments of a short run that works on copies of nothing but its own files."""
    own = OWN[script] if script == GENERATE else {"images": work / "pictures", **OWN[script]}
    common = {"output": work / output, "device": "cpu"}
    words = overrides({**TINY, "model.weights": work / "net.pdparams", **own, **common, **settings})
    return words + ["--resume"] * resume


def again(script, work, output="out", **settings):
    """The arguments that continue a run."""
    return arguments(script, work, output, resume=script == GENERATE, **settings)


def undisturbed(scripts, script, work, **settings):
    """The contents of a run that nothing disturbs, and the number of its steps of writing."""
    done = scripts.run(script, arguments(script, work, **settings))
    assert done.code == 0, done.err
    files = results(work / "out")
    shutil.rmtree(work / "out")
    return files, done.writes


def visible(files):
    return {path: data for path, data in files.items() if not path.name.startswith(".")}


def results(folder):
    """The contents of a folder, without the times in the last column of the table of a measure."""
    files = contents(folder)
    for path, data in files.items():
        if path.name == "results.csv":
            files[path] = b"\n".join(line.rpartition(b",")[0] for line in data.splitlines())
    return files


def assert_whole(files, *runs):
    """Each file is missing, or it is the same as in an undisturbed run, all of the same run.

    What grows during a run is compared at its end only.
    """
    growing = {"state.safetensors", "summary.csv", "results.csv"}
    found = {path: data for path, data in visible(files).items() if path.name not in growing}
    assert any(found.items() <= run.items() for run in runs), sorted(found)


def error_of(done):
    """The only line of stderr, apart from the progress bars and the number of steps."""
    lines = [line for line in done.err.replace("\r", "\n").splitlines() if line.strip()]
    lines = [line for line in lines if "%|" not in line and not line.startswith("writes: ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.err
    return lines[0]


# --- a kill, or a write that fails, at each step of each script ------------------------------


HERE = Path()
# Settings of an earlier run in the same folder, whose files the next run must not mix with its own.
EARLIER = {CONCEPTS: {"concepts": 3}, COMPARE: {"steps": 3}}


def two_by_two(scripts, script, work):
    """The contents of an undisturbed run and of an earlier one, and all steps of writing as pairs.

    A pair holds two steps, each with a folder of its own, in which the same run can be done.
    """
    folders = [work / "one", work / "two"]
    for folder in folders:
        shutil.copytree(work / "pictures", folder / "pictures")
        shutil.copy(work / "net.pdparams", folder)
    earlier = {}
    if script in EARLIER:
        words = arguments(script, HERE, "earlier", **EARLIER[script])
        done = scripts.run(script, words, cwd=str(folders[0]))
        assert done.code == 0, done.err
        shutil.move(folders[0] / "earlier", work)
        earlier = results(work / "earlier")
    done = scripts.run(script, arguments(script, HERE), cwd=str(folders[0]))
    assert done.code == 0 and done.writes >= 12, done.err
    right = results(folders[0] / "out")
    shutil.rmtree(folders[0] / "out")
    steps = list(range(1, done.writes + 1))
    return right, earlier, [list(zip(folders, steps[n : n + 2])) for n in range(0, len(steps), 2)]


def together(scripts, script, pair, fault=None, resume=False):
    """Run a script in both folders of a pair at the same time."""
    words = again(script, HERE) if resume else arguments(script, HERE)
    started = [
        scripts.start(script, words, cwd=str(folder), fault=fault, at=step) for folder, step in pair
    ]
    return [scripts.result(number) for number in started]


@pytest.mark.parametrize("script", OWN)
def test_killed_at_every_write(scripts, work, script):
    """What is there is whole. The same command again gives what an undisturbed run gives."""
    right, earlier, pairs = two_by_two(scripts, script, work)
    for pair in pairs:
        for folder, _ in pair:
            if earlier:
                shutil.copytree(work / "earlier", folder / "out")
        for done in together(scripts, script, pair, fault="kill"):
            assert done.code == -9
        for folder, _ in pair:
            assert_whole(results(folder / "out"), right, earlier)
        if not earlier or pair is pairs[-1]:  # else the next run takes nothing from this one
            for done in together(scripts, script, pair, resume=True):
                assert done.code == 0, (pair, done.err)
            for folder, step in pair:
                assert results(folder / "out") == right, step
        for folder, _ in pair:
            shutil.rmtree(folder / "out")


@pytest.mark.parametrize("script", OWN)
def test_every_write_fails_once(scripts, work, script):
    """One sentence, exit code 2, no half file and no temporary one."""
    right, _, pairs = two_by_two(scripts, script, work)
    for pair in pairs:
        for done in together(scripts, script, pair, fault="fail"):
            assert done.code == 2, pair
            assert "cannot write" in error_of(done) and "No space left" in error_of(done)
        for folder, _ in pair:
            files = results(folder / "out")
            assert_whole(files, right)
            assert not [path for path in files if path.suffix == ".partial"]
            shutil.rmtree(folder / "out")


@pytest.mark.parametrize("script", OWN)
def test_output_removed_during_the_run(scripts, work, script):
    _, steps = undisturbed(scripts, script, work)
    removed = {"fault": "remove", "at": steps // 2, "output": str(work / "out")}
    done = scripts.run(script, arguments(script, work), **removed)
    assert done.code == 2 and ("results are not in" in done.err or "cannot write" in done.err)


# --- an input that was exchanged between two runs --------------------------------------------


def other_picture(work):
    picture(work / "pictures/a.png", seed=9)


def other_weights(work, name="net.pdparams"):
    weights(work / name, seed=9)


def other_code(work):
    path = work / "own_score.py"
    path.write_text(path.read_text().replace("1]", "1] * 2"))


EXCHANGED = [
    # what, how, the settings of the second run, figures that are drawn anew, and why
    ("nothing", lambda work: None, {}, 0, ""),
    ("a picture", other_picture, {}, 1, "image"),
    ("weights", other_weights, {}, 2, "weights"),
    ("an array", lambda work: next(work.rglob("a_pp.npy")).unlink(), {}, 1, "arrays"),
    ("method", lambda work: None, {"method": "gradient"}, 2, "method"),
    ("option", lambda work: None, {"method": "{name: saliency, channel: sum}"}, 2, "method"),
    ("target", lambda work: None, {"target": 2}, 2, "target"),
    ("colours", lambda work: None, {"colormap": "jet"}, 2, "colormap"),
    ("input", lambda work: None, {"model.mean": "[0.5, 0.5, 0.5]"}, 2, "network"),
]


@pytest.mark.parametrize(("how", "settings", "anew", "why"), [e[1:] for e in EXCHANGED])
def test_figures_of_other_inputs_are_drawn_anew(scripts, work, how, settings, anew, why):
    scripts.run(EXPLAIN, arguments(EXPLAIN, work))
    how(work)
    done = scripts.run(EXPLAIN, again(EXPLAIN, work, **settings))
    assert done.code == 0, done.err
    assert f"{2 - anew} of 2 images have their figure already" in done.out
    reason = "its arrays are missing" if why == "arrays" else f"made with another {why}"
    assert (f"drawn anew: {reason}" in done.out) == bool(anew)
    after = contents(work / "out")
    right, _ = undisturbed(scripts, EXPLAIN, work, **settings)
    shutil.rmtree(work / "out", ignore_errors=True)
    assert after == right


OF_A_METHOD = [
    # what a method has read, its config, and how that is changed
    ("code", "{name: gradient, score: 'own_score:score'}", other_code),
    ("second", "{name: gradient, score: {name: similarity, image: pictures/a.png}}", other_picture),
    ("folder", "{name: expected_gradients, samples: 2, baselines: pictures}", other_picture),
    ("baseline", "{name: occlusion, size: 16, baseline: pictures/a.png}", other_picture),
    ("contrast", "{name: gradient, score: {contrast: %s}}", lambda work: None),
]


@pytest.mark.parametrize(("method", "how"), [case[1:] for case in OF_A_METHOD])
def test_what_a_method_has_read_counts(scripts, work, method, how):
    """What is compared is its contents, not its name. Both photographs stay the same."""
    photograph = picture(work / "others/photo.png", seed=6)
    common = {"images": photograph, "target": "predicted"}
    first, second = (method % c if "%s" in method else method for c in ("top1", "top2"))
    words = arguments(EXPLAIN, work, **common, method=first)
    done = scripts.run(EXPLAIN, words, cwd=str(work))
    assert done.code == 0, done.err
    again = scripts.run(EXPLAIN, words, cwd=str(work))
    assert "1 of 1 images have their figure already" in again.out
    how(work)
    words = arguments(EXPLAIN, work, **common, method=second)
    done = scripts.run(EXPLAIN, words, cwd=str(work))
    assert "1 figure is drawn anew: made with another method" in done.out, done.err
    after = contents(work / "out")
    shutil.rmtree(work / "out")
    assert scripts.run(EXPLAIN, words, cwd=str(work)).code == 0
    assert contents(work / "out") == after


def test_a_figure_that_is_not_of_its_row_is_drawn_anew(scripts, work):
    """A run of another picture with the same name was killed before it changed the summary."""
    scripts.run(EXPLAIN, arguments(EXPLAIN, work))
    right = contents(work / "out")
    shutil.copy(work / "out/method_1/b_pp.jpg", work / "out/method_1/a_pp.jpg")
    done = scripts.run(EXPLAIN, again(EXPLAIN, work))
    assert "1 figure is drawn anew: made with another image" in done.out
    assert contents(work / "out") == right


def test_a_damaged_part_of_a_killed_run_does_not_count(scripts, work):
    right, steps = undisturbed(scripts, EXPLAIN, work)
    for step in range(steps, 0, -1):  # the last step at which the summary is not there yet
        done = scripts.run(EXPLAIN, arguments(EXPLAIN, work), fault="kill", at=step)
        assert done.code == -9
        if not (work / "out/method_1/summary.csv").exists():
            break
        shutil.rmtree(work / "out")
    (part,) = (work / "out/method_1").glob(".summary.*.part")
    text = part.read_text()
    part.write_text(text.replace('"predicted_name": "class ', '"predicted_name": "no class '))
    assert part.read_text() != text
    assert scripts.run(EXPLAIN, again(EXPLAIN, work)).code == 0
    assert contents(work / "out") == right


def test_pictures_of_one_stem_keep_their_figures_and_rows(scripts, work):
    other = picture(work / "others/a.png", seed=5)
    scripts.run(EXPLAIN, arguments(EXPLAIN, work))
    before = contents(work / "out/method_1")
    done = scripts.run(EXPLAIN, again(EXPLAIN, work, images=other))
    assert done.code == 0, done.err
    after = contents(work / "out/method_1")
    assert after[Path("a_pp.jpg")] == before[Path("a_pp.jpg")]
    rows = {row["file"]: row for row in read_csv(work / "out/method_1/summary.csv")}
    assert set(rows) == {str(work / f"pictures/{n}.png") for n in "ab"} | {str(other)}
    alone = scripts.run(EXPLAIN, arguments(EXPLAIN, work, "alone", images=other))
    assert alone.code == 0
    figure = Path(rows[str(other)]["figure"])
    assert figure.read_bytes() == (work / "alone/method_1/a_pp.jpg").read_bytes()


JUDGE = "{name: tiny:small_net, image_size: 32, weights: judge.pdparams}"
REFUSED = [
    # how a stopped run is changed before --resume, its settings then, and what the sentence names
    ("weights", other_weights, {}, "another weights"),
    ("init", other_picture, {}, "another init"),
    ("rate", lambda work: None, {"learning_rate": 0.5}, "another learning_rate"),
    ("state", lambda work: zeroed(work, 100), {}, "damaged"),
    ("text", lambda work: zeroed(work, -100), {}, "damaged"),
    ("frame", lambda work: other_frame(work), {}, "is not the frame"),
]
LOADED = [
    # what a run has loaded besides, the settings for it, and how it is changed before --resume
    (
        "judge",
        {"candidates": 2, "judge": JUDGE},
        lambda work: other_weights(work, "judge.pdparams"),
    ),
    ("score", {"target": 130, "score": "own_score:score"}, other_code),
    ("reference", {"reference": "{images: pictures, layers: ['2']}"}, other_picture),
]


def zeroed(work, start):
    """Set 16 bytes of the saved state to zero, counted from the numbers of its arrays on."""
    (path,) = work.rglob("state.safetensors")
    data = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    data[header + start : header + start + 16] = bytes(16)
    path.write_bytes(data)


def other_frame(work):
    path = next(work.rglob("*_iter_0_pp.png"))
    with Image.open(path) as frame:
        Image.new("RGB", frame.size).save(path)


@pytest.mark.parametrize(("how", "settings", "named"), [case[1:] for case in REFUSED])
def test_runs_of_other_inputs_are_not_continued(scripts, work, how, settings, named):
    common = {"init": work / "pictures/a.png"}
    done = scripts.run(GENERATE, arguments(GENERATE, work, **common), fault="kill", at=14)
    assert done.code == -9
    how(work)
    before = visible(contents(work / "out"))
    done = scripts.run(GENERATE, again(GENERATE, work, **common, **settings))
    assert done.code == 2 and visible(contents(work / "out")) == before
    error = error_of(done)
    assert named in error or (named == "damaged" and "cannot resume" in error)


@pytest.mark.parametrize(("what", "settings", "how"), LOADED)
def test_runs_with_other_judges_scores_and_photographs_are_not_continued(
    scripts, work, what, settings, how
):
    words = arguments(GENERATE, work, **settings)
    assert scripts.run(GENERATE, words, fault="kill", at=14, cwd=str(work)).code == -9
    before = shutil.copytree(work / "out", work / "before")
    how(work)
    done = scripts.run(GENERATE, [*words, "--resume"], cwd=str(work))
    assert done.code == 2 and f"another {what};" in error_of(done)
    assert visible(contents(work / "out")) == visible(contents(before))


def test_moved_weights_are_the_same_weights(scripts, work):
    right, _ = undisturbed(scripts, GENERATE, work)
    scripts.run(GENERATE, arguments(GENERATE, work), fault="kill", at=14)
    moved = work / "moved.pdparams"
    shutil.copy(work / "net.pdparams", moved)
    done = scripts.run(GENERATE, again(GENERATE, work, **{"model.weights": moved}))
    assert done.code == 0, done.err
    after = contents(work / "out")
    for path in right:
        if path.name not in ("run.json", "index.html"):  # they name the file
            assert after[path] == right[path], path


# --- streams that are closed or full ---------------------------------------------------------


@pytest.mark.parametrize("script", OWN)
@pytest.mark.parametrize("stream", ["out", "err"])
@pytest.mark.parametrize("state", ["closed", "/dev/full"])
def test_streams_that_take_nothing(scripts, work, script, stream, state):
    if state != "closed" and not Path(state).exists():
        pytest.skip("no device that is always full")
    right, _ = undisturbed(scripts, script, work)
    assert scripts.run(script, arguments(script, work), **{stream: state}).code == 0
    assert results(work / "out") == right


# --- several processes in one folder ---------------------------------------------------------


def test_two_runs_at_once_share_the_summary(scripts, work):
    """Both write into the same folder. None loses a row, however they meet."""
    other = [picture(work / f"others/{name}.png", seed) for seed, name in enumerate("cd", 7)]
    for _ in range(3):
        runs = [
            scripts.start(EXPLAIN, arguments(EXPLAIN, work, skip_existing="false", images=images))
            for images in (work / "pictures", work / "others")
        ]
        for number in runs:
            done = scripts.result(number)
            assert done.code == 0, done.err
        rows = read_csv(work / "out/method_1/summary.csv")
        assert sorted(Path(row["file"]).name for row in rows) == [f"{n}.png" for n in "abcd"]
        assert all(Path(row["figure"]).is_file() for row in rows)
        assert not list((work / "out/method_1").glob(".*"))
        shutil.rmtree(work / "out")
    assert len(other) == 2


def test_a_second_ascent_in_the_same_folder_is_refused(scripts, work):
    long = {"iterations": 40, "report": "false"}
    first = scripts.start(GENERATE, arguments(GENERATE, work, **long))
    folder = work / "out/method_2/class_1"
    wait_for(folder / "pp/c_1_iter_0_pp.png")
    done = scripts.run(GENERATE, arguments(GENERATE, work, **long))
    assert done.code == 2 and "another run is writing into" in error_of(done)
    assert scripts.result(first).code == 0
    assert len(list(folder.glob("pp/*.png"))) == 41 and not (folder / ".lock").exists()


def test_a_second_comparison_in_the_same_folder_is_refused(scripts, work):
    long = {"measures": "[infidelity]", "samples": 99_999, "batch_size": 1}
    first = scripts.start(COMPARE, arguments(COMPARE, work, **long))
    wait_for(work / "out/compare/.lock")
    done = scripts.run(COMPARE, arguments(COMPARE, work))
    assert done.code == 2 and "another run is writing into" in error_of(done)
    scripts.kill(first)
    assert scripts.run(COMPARE, arguments(COMPARE, work)).code == 0  # a killed run holds no lock


def test_parts_of_a_killed_launch_are_not_merged(scripts, work):
    """The second process of a launch was killed after its work. Its part does not count later."""
    killed = scripts.start(EXPLAIN, arguments(EXPLAIN, work), rank=1, size=2)
    folder = work / "out/method_1"
    wait_for(folder / "b_pp.jpg")
    while not list(folder.glob(".summary.1of2.*.part")):
        pass
    scripts.kill(killed)
    for seed, name in enumerate("cd", 3):
        picture(work / f"others/{name}.png", seed)
    numbers = [
        scripts.start(EXPLAIN, arguments(EXPLAIN, work, images=work / "others"), rank=r, size=2)
        for r in range(2)
    ]
    for number in numbers:
        done = scripts.result(number)
        assert done.code == 0, done.err
    rows = read_csv(folder / "summary.csv")
    names = {Path(row["file"]).name for row in rows}
    assert {"c.png", "d.png"} <= names and len(rows) == len(names)
    for row in rows:  # with skip_existing, what the killed launch has done may stay
        assert Path(row["figure"]).is_file()
    assert not list(folder.glob(".*"))


def test_processes_of_one_launch_need_the_same_inputs(scripts, work):
    weights(work / "other.pdparams", seed=4)
    numbers = [
        scripts.start(EXPLAIN, arguments(EXPLAIN, work, **{"model.weights": file}), rank=r, size=2)
        for r, file in enumerate([work / "net.pdparams", work / "other.pdparams"])
    ]
    done = scripts.result(numbers[0])
    assert done.code == 2 and "process 2 of 2 works with another weights" in error_of(done)
    scripts.kill(numbers[1])
