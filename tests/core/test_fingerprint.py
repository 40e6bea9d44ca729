"""Fingerprints change with the contents, and only with them."""

import io

import numpy as np
import pytest

from visualize_pd.core.fingerprint import (
    FOLD,
    array_digest,
    as_text,
    changed,
    digest,
    file_digest,
    from_text,
)


def test_a_digest_depends_on_the_borders_between_its_parts():
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("a\udcff") != digest("a\\udcff")


@pytest.mark.parametrize("count", [1, 7, 2 * FOLD, 2 * FOLD * 3 + 5])
def test_a_digest_of_an_array_sees_every_number(count):
    values = np.random.default_rng(0).normal(0, 1, count).astype("float32")
    before = array_digest(values)
    assert array_digest(values.copy()) == before
    for place in {0, count // 2, count - 1}:
        changed_values = values.copy()
        changed_values[place] = np.nextafter(values[place], np.float32(9))
        assert array_digest(changed_values) != before


def test_a_digest_of_an_array_sees_order_shape_and_type():
    values = np.arange(4 * FOLD, dtype="float32")
    digests = [array_digest(v) for v in (values, values[::-1], values.reshape(2, -1))]
    digests += [array_digest(np.roll(values, 2)), array_digest(values.view("int32"))]
    assert len(set(digests)) == 5
    assert array_digest(np.zeros((0,))) != array_digest(np.zeros((0, 1)))


def test_a_file_is_at_its_beginning_after_its_digest():
    file = io.BytesIO(b"abc" * 1_000_000)
    assert file_digest(file) == file_digest(file) != file_digest(io.BytesIO(b"abc"))
    assert file.read(3) == b"abc"


def test_text_and_parts():
    parts = {"image": digest("a"), "version": "0.1.0"}
    assert from_text(as_text(parts)) == parts and from_text("no parts") == {}
    assert changed(parts, {**parts, "image": "b", "new": "c"}) == ["image", "new"]
