"""Blind pairs: which of two pictures does a person like better, without knowing whose it is?"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...core.errors import ConfigError

QUESTIONS = ("more_like_the_class", "better_picture")
SIDES = ("left", "right")


class Pair(NamedTuple):
    """Two pictures of one class. `left` is the number of the folder, 0 or 1, of the left one."""

    name: str
    target: int
    left: int


class Preference(NamedTuple):
    """How often the first and the second folder won, and the p-value of the sign test."""

    first: int
    second: int
    p: float


def lay_out(classes: Sequence[int], seed: int = 0) -> list[Pair]:
    """A pair for each class, in random order and with random sides.

    The same classes and the same seed give the same pairs. Each folder is on the left in half of
    the pairs. If their number is odd, chance decides which folder is there once more.
    """
    chance = random.Random(seed)
    order = sorted(classes)
    first = chance.randrange(2)
    sides = [(first + number) % 2 for number in range(len(order))]
    chance.shuffle(order)
    chance.shuffle(sides)
    return [
        Pair(f"pair_{number:02}", target, left)
        for number, (target, left) in enumerate(zip(order, sides), 1)
    ]


def preferences(
    pairs: Sequence[Pair], answers: Mapping[str, Mapping[str, str]]
) -> dict[str, Preference]:
    """How often each folder won, for each question.

    `answers` holds for each pair's name, and for each question, `left` or `right`. Raises
    `ConfigError` for another answer, and for a pair without answers.
    """
    unknown = [name for name in answers if name not in {pair.name for pair in pairs}]
    if unknown:
        raise ConfigError(f"the answers name {unknown[0]}, which is not one of the pairs")
    found = {}
    for question in QUESTIONS:
        winners = [_winner(pair, answers, question) for pair in pairs]
        first, second = winners.count(0), winners.count(1)
        found[question] = Preference(first, second, sign_test(first, second))
    return found


def _winner(pair: Pair, answers: Mapping[str, Mapping[str, str]], question: str) -> int:
    """The number of the folder whose picture was chosen."""
    if pair.name not in answers:
        raise ConfigError(f"there is no answer for {pair.name}")
    given = answers[pair.name].get(question, "")
    answer = given.strip().lower()
    if answer not in SIDES:
        raise ConfigError(f"{pair.name}: {question} must be left or right, not '{given[:40]}'")
    return pair.left if answer == "left" else 1 - pair.left


def sign_test(first: int, second: int) -> float:
    """The two-sided p-value of the sign test: the exact binomial with probability 1/2.

    It is min(1, 2 Σ C(n, k) / 2ⁿ) with k from 0 to the smaller of the two numbers and n their sum.
    Raises `ConfigError` for a negative number.
    """
    if min(first, second) < 0:
        raise ConfigError(f"the sign test counts from 0 on, not {min(first, second)}")
    count = first + second
    tail = sum(math.comb(count, k) for k in range(min(first, second) + 1))
    return min(1.0, 2 * tail / 2**count)
