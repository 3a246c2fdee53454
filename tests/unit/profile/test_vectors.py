"""The distance of two samples of vectors by sums of waves: against the exact kernel, by chance, and under drift."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairlead.contracts.vectors import DIRECTIONS, VectorFeature
from fairlead.profile.vectors import VectorSums, Waves, mmd, vector_feature

SIZE = 48


def embeddings(random: np.random.Generator, rows: int, shift: float = 0.0) -> np.ndarray:
    """Unit vectors near a plane of eight dimensions, as embeddings are."""
    latent = random.standard_normal((rows, 8)) + np.eye(8)[0] * shift
    mixed = latent @ np.random.default_rng(1).standard_normal((8, SIZE)) + 0.3 * random.standard_normal((rows, SIZE))
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def feature(rows: int = 2000) -> VectorFeature:
    made = vector_feature("text", "text", embeddings(np.random.default_rng(0), rows))
    assert made is not None
    return made


def means(one: VectorFeature, vectors: np.ndarray) -> np.ndarray:
    sums = VectorSums([one])([{"text": vector} for vector in vectors.tolist()])
    return np.asarray(sums[:DIRECTIONS] / sums[DIRECTIONS])


def test_sums_of_two_instances_add_up_and_are_those_of_numpy() -> None:
    one, vectors = feature(), embeddings(np.random.default_rng(2), 50)
    rows = [{"text": vector} for vector in vectors.tolist()]
    sums = VectorSums([one])
    assert sums(rows[:20]) + sums(rows[20:]) == pytest.approx(sums(rows), rel=1e-12)
    waves = Waves(one.size, one.scale, one.seed)(vectors)
    assert sums(rows) == pytest.approx([*waves.sum(axis=0), 50], rel=1e-12)
    assert sums([]).tolist() == [0] * (DIRECTIONS + 1)


def test_the_distance_is_near_the_one_of_the_exact_kernel() -> None:
    one = feature()
    first, second = (embeddings(np.random.default_rng(seed), 400, shift) for seed, shift in ((0, 0.0), (2, 2.0)))

    def kernel(left: np.ndarray, right: np.ndarray) -> float:
        squares = ((left[:, None] - right[None]) ** 2).sum(axis=-1)
        return float(np.exp(-squares / (2 * one.scale**2)).mean())

    exact = kernel(first, first) + kernel(second, second) - 2 * kernel(first, second)
    found = mmd(means(one, first), means(one, second))
    assert found == pytest.approx(exact, rel=0.3)


def test_chance_exceeds_the_critical_value_as_rarely_as_it_says() -> None:
    random = np.random.default_rng(3)
    every = embeddings(random, 40_000)
    one = vector_feature("text", "text", every)
    assert one is not None
    waves = Waves(one.size, one.scale, one.seed)(every)
    n, m, looks = 200, 1000, 4000
    exceeded = 0
    for _ in range(looks):
        live, reference = waves[random.integers(0, len(waves), n)], waves[random.integers(0, len(waves), m)]
        exceeded += mmd(live.mean(axis=0), reference.mean(axis=0)) > one.critical * (1 / n + 1 / m)
    assert exceeded <= 12  # one of 1,000 are 4; 13 of them are less likely than one in 3,000


def test_a_shift_that_no_place_shows_much_of_is_far_above_chance() -> None:
    one, moved = feature(), embeddings(np.random.default_rng(4), 1000, shift=1.0)
    found = mmd(means(one, moved), np.array(one.means))
    assert found > 2 * one.critical * (1 / 1000 + 1 / 2000)
    same = embeddings(np.random.default_rng(5), 1000)
    assert mmd(means(one, same), np.array(one.means)) < one.critical * (1 / 1000 + 1 / 2000)


def test_vectors_that_are_not_finite_or_too_large_are_left_out() -> None:
    one = feature()
    rows = [[math.nan] * SIZE, [1e308] * SIZE, [math.inf] + [0.0] * (SIZE - 1), [0.1] * SIZE]
    sums = VectorSums([one])([{"text": row} for row in rows])
    assert sums[DIRECTIONS] == 1
    assert np.isfinite(sums).all()


def test_a_reference_of_equal_or_of_no_vectors_is_one_too() -> None:
    made = vector_feature("text", "text", np.ones((5, 3)))
    assert made is not None
    assert (made.scale, made.critical, made.rows) == (1.0, 1.0, 5)
    assert vector_feature("text", "text", np.full((5, 3), np.nan)) is None


def test_the_next_version_has_the_directions_of_the_one_before() -> None:
    one = feature()
    moved = vector_feature("text", "text", embeddings(np.random.default_rng(6), 500) * 3, like=one)
    assert moved is not None
    assert (moved.scale, moved.seed) == (one.scale, one.seed)
    assert moved.means != one.means


def test_the_directions_are_the_same_numbers_for_ever() -> None:
    found = Waves(2, 1.0, 20261130)(np.array([[0.5, -0.25]]))[0, :3]
    assert found == pytest.approx(FROZEN, abs=1e-12)


FROZEN = [0.41754450843797103, 0.43983502419988985, 0.6685783224393584]
