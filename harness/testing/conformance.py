"""Test cases. Each checks one promise of one part."""

from __future__ import annotations

import unittest
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import UserError, did_you_mean
from harness.plugins.catalog import KINDS, Catalog, Entry
from harness.plugins.manager import load_plugins
from harness.plugins.parts import Promise, Skip
from harness.testing.part_under_test import Broken, PartUnderTest


@dataclass(frozen=True)
class CaseResult:
    """The outcome of a case, and what was found. "untested" means that it cannot be tested on this machine."""

    outcome: Literal["passed", "failed", "untested"]
    found: str = ""


@dataclass(frozen=True)
class Case:
    """One promise and one part."""

    promise: Promise
    part: PartUnderTest

    def __str__(self) -> str:
        return f"{self.part}: {self.promise.name}"

    def run(self) -> CaseResult:
        """Check the promise. It fails if the part raises anything."""
        from harness.measure.runtime.failure import reason_of
        from harness.measure.runtime.global_state import restored

        catalog = self.part.catalog
        check = catalog.code(catalog.find(Promise, self.promise.name))
        try:
            with restored():
                return CaseResult("passed", check(self.part) or "")
        except (Skip, unittest.SkipTest) as skip:
            return CaseResult("untested", str(skip))
        except AssertionError as broken:
            return CaseResult("failed", str(broken) or reason_of(broken))
        except UserError as error:
            return CaseResult("failed", str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a part may raise anything
            return CaseResult("failed", f"it raised {reason_of(error)}")

    def check(self) -> None:
        """Raise Broken with the promise and what was found if the case fails. Raise unittest.SkipTest, which pytest
        counts as skipped, if it cannot be tested on this machine."""
        result = self.run()
        if result.outcome == "untested":
            raise unittest.SkipTest(result.found)
        if result.outcome == "failed":
            promise = f"{self.promise.name!r}: {self.promise.summary}"
            raise Broken(f"{self.part.owner} breaks the promise {promise} {result.found}")


def cases(
    part: str | dict[str, Any],
    plugins: Iterable[Path | str] = (),
    using: Sequence[Any] = (),
    *,
    only: Collection[str] = (),
    device: str = "cpu",
    catalog: Catalog | None = None,
) -> list[Case]:
    """Every promise of the parts with this name.

    `part` is written as in a suite: a name, or a mapping with parameters. The name of a plugin selects all its parts.
    `plugins` are plugin files. `using` are parts to combine it with; the kit chooses the others. `only` selects
    promises by name. Raises UserError if there is no part or promise with a name.
    """
    catalog = catalog or Catalog(load_plugins([Path(file) for file in plugins]))
    parameters = {"name": part} if isinstance(part, str) else dict(part)
    name = parameters.pop("name")
    promises = {name: entry.part for name, entry in catalog.entries(Promise).items()}
    for wanted in only:
        if wanted not in promises:
            raise UserError(f"there is no promise named {wanted!r}.", fix=did_you_mean(wanted, promises))
    for one in using:
        catalog.named(one if isinstance(one, str) else one["name"])
    found = []
    for entry in parts_of(catalog, name):
        tested = PartUnderTest(catalog, entry, parameters, using, device)
        for promise in promises.values():
            if promise.applies_to(entry.part) and (not only or promise.name in only):
                found.append(Case(promise, tested))
    return found


def parts_of(catalog: Catalog, name: str) -> Iterator[Entry]:
    """The parts with this name, or all parts of the plugin with this name, without promises."""
    if name in catalog.plugins.versions:
        for kind in KINDS:
            if kind is not Promise:
                yield from (entry for entry in catalog.entries(kind).values() if entry.plugin == name)
        return
    for entry in catalog.named(name):
        if not isinstance(entry.part, Promise):
            yield catalog.find(type(entry.part), name)  # raises if two plugins provide it
