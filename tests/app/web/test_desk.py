"""One computation at a time, in one thread; each can be stopped; few passes are kept."""

import copy
import threading
import time

import numpy as np
import paddle
import pytest
import tiny

from visualize_pd.app.web.session import MOST_KEPT, Desk, Session
from visualize_pd.core.errors import ConfigError, StoppedError
from visualize_pd.network.batching import batches


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.close()


def in_thread(function):
    """Run a function in a thread; return the thread and the list that gets what came of it."""
    found = []

    def work():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


def test_computations_do_not_overlap_and_share_a_thread(desk):
    running, most, threads = [0], [0], set()

    def compute():
        running[0] += 1
        most[0] = max(most[0], running[0])
        threads.add(threading.get_ident())
        time.sleep(0.02)
        running[0] -= 1

    waiting = [in_thread(lambda: desk.run(Session(), compute))[0] for _ in range(5)]
    for thread in waiting:
        thread.join()
    assert most == [1] and len(threads) == 1 and threads != {threading.get_ident()}


def test_stop_ends_only_the_computation_of_that_person(desk):
    one, two, begun, slices = Session(), Session(), threading.Event(), []

    def compute():
        for part in batches(5_000, 1, "waiting"):
            slices.append(part)
            begun.set()
            time.sleep(0.001)

    thread, found = in_thread(lambda: desk.run(one, compute))
    begun.wait(5)
    two.stop()
    time.sleep(0.02)
    assert thread.is_alive()
    one.stop()
    thread.join(5)
    assert isinstance(found[0], StoppedError) and 0 < len(slices) < 5_000
    assert one.stops == set() and desk.run(one, lambda: 7) == 7  # and further ones run


def test_computation_that_waits_can_be_stopped(desk):
    one, two, free, ran = Session(), Session(), threading.Event(), []
    first, _ = in_thread(lambda: desk.run(one, lambda: free.wait(5)))
    second, found = in_thread(lambda: desk.run(two, lambda: ran.append(1)))
    while not two.stops:
        time.sleep(0.001)
    two.stop()
    free.set()
    first.join(5)
    second.join(5)
    assert isinstance(found[0], StoppedError) and ran == []


def test_stream_shows_results_while_it_runs(desk):
    session, further = Session(), threading.Event()

    def compute():
        yield "first"
        assert further.wait(5)
        yield "second"

    stream = desk.stream(session, compute)
    assert next(stream) == "first"
    further.set()
    assert list(stream) == ["second"]


def test_stream_without_a_reader_ends(desk):
    made = []

    def compute():
        for number in range(100_000):
            made.append(number)
            time.sleep(0.001)
            yield number

    stream = desk.stream(Session(), compute)
    assert next(stream) == 0
    stream.close()
    assert desk.run(Session(), lambda: "free") == "free" and len(made) < 1000


def test_error_in_a_stream_reaches_the_reader(desk):
    def compute():
        yield 1
        raise ConfigError("wrong")

    stream = desk.stream(Session(), compute)
    assert next(stream) == 1
    with pytest.raises(ConfigError, match="wrong"):
        next(stream)


def test_a_copy_of_a_session_is_empty():
    session = Session()
    session.of_tab["explain"] = "of one person"
    session.picture = "theirs"
    other = copy.deepcopy(session)
    assert other.picture is None and other.of_tab == {} and other.stops is not session.stops


def test_few_passes_are_kept_the_last_ones(desk):
    network = tiny.small_net()
    images = [paddle.to_tensor(np.ones([1, 3, 8, 8], "float32")) for _ in range(MOST_KEPT + 2)]
    first = [desk.kept_pass(network, each) for each in images]
    assert len(desk.kept) == MOST_KEPT
    again = [desk.kept_pass(network, each) for each in images[-MOST_KEPT:]]
    assert all(a is b for a, b in zip(again, first[-MOST_KEPT:]))
    assert desk.kept_pass(network, images[0]) is not first[0]
