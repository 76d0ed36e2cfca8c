"""Promises and parts make cases: which sentence is asked of what, and how it went."""

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
from harness.testing.subject import Broken, Subject

Outcome = Literal["kept", "broken", "unknown"]


@dataclass(frozen=True)
class Seen:
    """How a promise went: kept, broken, or unknown where it cannot be told here. `what` says what was seen."""

    outcome: Outcome
    what: str = ""


@dataclass(frozen=True)
class Case:
    """One promise asked of one part."""

    promise: Promise
    subject: Subject

    def __str__(self) -> str:
        return f"{self.subject.part.kind} {self.subject.part.name}: {self.promise.name}"

    def look(self) -> Seen:
        """Find out whether the promise is kept; whatever the part raises breaks it."""
        from harness.measure.runtime.failure import reason_of
        from harness.testing.leaving import restored

        check = self.subject.catalog.code(self.subject.catalog.find(Promise, self.promise.name))
        try:
            with restored():
                how = check(self.subject)
        except (Skip, unittest.SkipTest) as skip:
            return Seen("unknown", str(skip))
        except AssertionError as broken:
            return Seen("broken", str(broken) or reason_of(broken))
        except UserError as error:
            return Seen("broken", str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a part may raise anything
            return Seen("broken", f"it raised {reason_of(error)}")
        return Seen("kept", how or "")

    def check(self) -> None:
        """Raise Broken with the sentence and what was seen; unittest.SkipTest, which pytest takes for a skip, where it
        cannot be told here."""
        seen = self.look()
        if seen.outcome == "unknown":
            raise unittest.SkipTest(seen.what)
        if seen.outcome == "broken":
            raise Broken(
                f"{self.subject.owner} does not keep '{self.promise.name}': {self.promise.summary} {seen.what}"
            )


def cases(
    part: str | dict[str, Any],
    plugins: Iterable[Path | str] = (),
    using: Sequence[Any] = (),
    *,
    only: Collection[str] = (),
    device: str = "cpu",
    catalog: Catalog | None = None,
) -> list[Case]:
    """Every promise that the parts of this name are held to.

    `part` is written as in a suite: a name, or a mapping with parameters. The name of a plugin stands for all its
    parts. `plugins` are plugin files, `using` are parts to go with it where the kit's own choice will not do, `only`
    are names of promises. Raises UserError for a name that there is not.
    """
    catalog = catalog or Catalog(load_plugins([Path(file) for file in plugins]))
    written = {"name": part} if isinstance(part, str) else dict(part)
    name = written.pop("name")
    promises = {name: entry.part for name, entry in catalog.entries(Promise).items()}
    for wanted in only:
        if wanted not in promises:
            raise UserError(f"there is no promise {wanted!r}.", fix=did_you_mean(wanted, promises))
    for one in using:
        catalog.named(one if isinstance(one, str) else one["name"])
    found = []
    for entry in parts_of(catalog, name):
        subject = Subject(catalog, entry, written, using, device)
        asked = [promise for promise in promises.values() if promise.applies_to(entry.part)]
        found += [Case(promise, subject) for promise in asked if not only or promise.name in only]
    return found


def parts_of(catalog: Catalog, name: str) -> Iterator[Entry]:
    """The parts of this name that are held to promises, or those of the plugin of this name."""
    if name in catalog.plugins.versions:
        for kind in KINDS:
            if kind is not Promise:
                yield from (entry for entry in catalog.entries(kind).values() if entry.plugin == name)
        return
    for entry in catalog.named(name):
        if not isinstance(entry.part, Promise):
            yield catalog.find(type(entry.part), name)  # which says so where two plugins bring it
