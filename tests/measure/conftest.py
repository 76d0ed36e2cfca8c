"""Fixtures for tests of measuring."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from toy_suite import toy_catalog

from harness.measure.servers import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Running fork servers. Each takes seconds to start."""
    with Servers(tmp_path_factory.mktemp("run"), toy_catalog()) as running:
        yield running
