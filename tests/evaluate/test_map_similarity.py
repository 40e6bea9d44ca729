"""The two measures of how similar maps are: Spearman's rank correlation and SSIM.

The expected numbers were computed from `planes` with other libraries:
- SPEARMAN, scipy 1.17.1: `spearmanr(x.ravel(), y.ravel()).statistic`. TIES is the same for
  `(4 * x).astype(int)` and `(3 * y).astype(int)`.
- SSIM, scikit-image 0.26.0: `structural_similarity(x, y, gaussian_weights=True, sigma=1.5,
  use_sample_covariance=False, data_range=1)`. The planes were scaled to [0, 1] and then padded by
  `np.pad(…, 5, mode="reflect")`. scikit-image leaves a border of 5 pixels out of the mean, as wide
  as its window reaches. With this padding its treatment of the border has no effect.
"""

import numpy as np
import pytest

from visualize_pd.evaluate.sanity import spearman, ssim

PLANES = [(0, 6, 6), (1, 11, 14), (2, 20, 12), (3, 40, 31)]
SPEARMAN = [0.5526383526383526, 0.6638655462184874, 0.6411665133075225, 0.6052639442948852]
TIES = [0.5835659287151761, 0.6351464466436022, 0.594927784818169, 0.5694856795736707]
SSIM = [0.5306349792568317, 0.5140954253174304, 0.5095361939658101, 0.48255553974741916]
SSIM_OF_NEGATIVE = [
    -0.47345347594157844,
    -0.42787729594196516,
    -0.42925574243832687,
    -0.40872265761363286,
]


def planes(seed, height, width):
    """Two random planes `[height, width]` that are correlated."""
    random = np.random.default_rng(seed)
    first = random.random((height, width)) + np.arange(width) / width
    return first, 0.6 * first + random.random((height, width))


@pytest.mark.parametrize(("made", "expected"), [*zip(PLANES, SPEARMAN)], ids=str)
def test_spearman_equals_scipys(made, expected):
    first, second = planes(*made)
    assert abs(spearman(first, second) - expected) < 1e-12
    assert abs(spearman(second, first) - expected) < 1e-12
    assert abs(spearman(-first, second) + expected) < 1e-12


@pytest.mark.parametrize(("made", "expected"), [*zip(PLANES, TIES)], ids=str)
def test_equal_values_get_their_mean_rank(made, expected):
    first, second = planes(*made)
    first, second = (4 * first).astype(int), (3 * second).astype(int)
    assert abs(spearman(first, second) - expected) < 1e-12


def test_spearman_by_hand():
    """The ranks are 1, 2½, 2½, 4 and 4, 1, 3, 2.

    The products of the centred ranks sum to −2¼ + 0 + 0 − ¾ = −3.
    """
    found = spearman(np.array([[0.1, 7], [7, 100]]), np.array([[9, -3], [2, 1]]))
    assert abs(found - -3 / np.sqrt(4.5 * 5)) < 1e-12


def test_spearman_depends_only_on_the_order():
    first, second = planes(5, 9, 8)
    expected = spearman(first, second)
    assert abs(spearman(np.exp(5 * first), second**3) - expected) < 1e-12
    assert abs(spearman(first, np.exp(first)) - 1) < 1e-12
    assert abs(spearman(first, -(first**3)) + 1) < 1e-12


def test_spearman_with_a_constant_is_zero():
    first, _ = planes(5, 9, 8)
    for pair in ((first, np.ones((9, 8))), (np.zeros((9, 8)), first), (np.ones((9, 8)),) * 2):
        assert spearman(*pair) == 0


@pytest.mark.parametrize(
    ("made", "expected", "negative"), [*zip(PLANES, SSIM, SSIM_OF_NEGATIVE)], ids=str
)
def test_ssim_equals_scikit_images(made, expected, negative):
    first, second = planes(*made)
    assert abs(ssim(first, second) - expected) < 1e-9
    assert abs(ssim(second, first) - expected) < 1e-9
    assert abs(ssim(first, -second) - negative) < 1e-9


def test_ssim_scales_each_plane_to_its_own_range():
    first, second = planes(5, 9, 8)
    expected = ssim(first, second)
    assert abs(ssim(30 * first - 7, 0.01 * second) - expected) < 1e-9
    assert abs(ssim(first, 5 * first + 2) - 1) < 1e-9


def test_ssim_of_constants():
    """A constant plane becomes 0 everywhere.

    Two of them are equal. With any other plane, only the constants C₁ and C₂ keep SSIM above 0.
    """
    first, _ = planes(5, 9, 8)
    assert abs(ssim(np.full((9, 8), 3.0), np.full((9, 8), -2.0)) - 1) < 1e-9
    assert 0 < ssim(first, np.ones((9, 8))) < 0.1
