"""Fixtures that all tests share, and environment variables that must be set before torch is imported."""

from __future__ import annotations

import os

# Before torch is imported: parallel test workers with as many spinning threads as cores would take minutes instead
# of seconds.
os.environ["OMP_NUM_THREADS"] = "1"
# As in the measuring process: otherwise torch 2.6 starts a pool of compiler processes.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
# If the tests run as a step on GitHub, their runs must not write into its summary.
os.environ.pop("GITHUB_STEP_SUMMARY", None)

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy_suite import SUITE, read, toy_catalog

from harness.plan.planner import make_plan
from harness.plugins.catalog import Catalog
from harness.records.plan import Plan


@pytest.fixture
def double() -> Iterator[None]:
    """Double precision by default, and a seeded generator of torch."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The installed plugins and the toy."""
    return toy_catalog()


@pytest.fixture(scope="session")
def planned(catalog: Catalog) -> Callable[..., Plan]:
    """Plans the toy suite with the given levels, and ``--set`` settings."""

    def plan(levels: str = "", *settings: str, text: str = SUITE, **options: object) -> Plan:
        if levels:
            text = text.replace("backwards: {use: [reverse]}", levels)
        return make_plan(read(text, *settings), catalog, **options)  # type: ignore[arg-type]

    return plan


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the toy suite in it."""
    (tmp_path / "toy.yaml").write_text(SUITE)
    return tmp_path
