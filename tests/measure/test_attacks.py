"""The attacks pass verification, and have the cost that they say. These tests start real processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from attack_suite import attack_block, attack_catalog

from harness.measure.coordinator import measure_block
from harness.measure.servers import Servers
from harness.records.record import Record


@pytest.fixture(scope="module")
def attack_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("run"), attack_catalog()) as running:
        yield running


def measured(servers: Servers, level: str) -> dict[str, dict]:
    """The samples of the last process, by level."""
    records: list[Record] = []
    measure_block(attack_block(level), [], records.extend, servers)
    assert {record.outcome for record in records} == {"ok"}, [record.reason for record in records]
    return {r.level: r.data for r in records if r.measure == "speed.train" and r.role == "variant"}


def cpu_share(data: dict) -> float:
    return float(np.median(np.array(data["cpu"]) / np.array(data["wall"])))


@pytest.mark.live  # other programs take a share of the time too
@pytest.mark.parametrize(
    ("level", "least", "most"),
    [
        ("{use: [{name: waits, share: 0.5}]}", 0.05, 0.8),
        ("{use: [other_thread]}", 0.0, 0.3),
        ("{use: [{name: moved, share: 0.6}]}", 0.3, 0.6),
        ("{use: [delegates]}", 0.0, 0.4),
    ],
)
def test_the_calling_thread_does_only_a_part_of_the_work(attack_servers, level, least, most):
    """Compared with the baseline, because other programs may use the core. On a busy machine, a sleep takes longer."""
    data = measured(attack_servers, level)
    share = cpu_share(data["attack"]) / cpu_share(data["plain"])
    assert least < share < most


@pytest.mark.parametrize(
    "level",
    [
        "{use: [{name: refreshing, every: 4, cost_ms: 50}], drop: [descent]}",
        "{use: [{name: counting, every: 4, cost_ms: 50}]}",
        "{use: [{name: counting, every: 4, cost_ms: 50, where: attribute}]}",
    ],
)
def test_every_fourth_step_takes_longer(attack_servers, level):
    """50 ms in every fourth step; a sample is one step of about 3 ms, or a few."""
    data = measured(attack_servers, level)
    longer = np.array(data["attack"]["cpu"]) > 45e6
    assert 0.2 < longer.mean() / data["attack"]["repeats"] < 0.3
    assert not (np.array(data["plain"]["cpu"]) > 45e6).any()
