"""Invariants over random histories of a route: 3,600 steps here, 125,000 by `make bench-invariants`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from unit.rollout.random_cold import ColdRollouts
from unit.rollout.random_measured import MeasuredRollouts
from unit.rollout.random_rollouts import Rollouts
from unit.rollout.random_shadows import ShadowedRollouts

HISTORIES = settings(
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
Rollouts.TestCase.settings = settings(HISTORIES, max_examples=60)
ShadowedRollouts.TestCase.settings = settings(HISTORIES, max_examples=12)
ColdRollouts.TestCase.settings = settings(HISTORIES, max_examples=15)
MeasuredRollouts.TestCase.settings = settings(HISTORIES, max_examples=3)
# Long enough to shrink a failing history: forty steps are too many to read.
TestRollouts = pytest.mark.timeout(400)(Rollouts.TestCase)
TestShadowedRollouts = pytest.mark.timeout(400)(ShadowedRollouts.TestCase)
TestColdRollouts = pytest.mark.timeout(400)(ColdRollouts.TestCase)
TestMeasuredRollouts = pytest.mark.timeout(400)(MeasuredRollouts.TestCase)
