"""`harness ab` for functions: from references to a suite that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.api.made_suites import expected_claims, made_suite_name
from harness.errors import UserError
from harness.plugins.code_files import parse_reference
from harness.plugins.commits import commit_of
from harness.suite.values import SuiteValues


@dataclass(frozen=True)
class FunctionComparison:
    """What `harness ab` compares: functions by reference, the first of them is the baseline.

    `inputs` is the reference of a function that yields arguments. `commit` is where the baseline comes from: a branch,
    a tag or a hash. `gradients`: a call is forward and backward. `different`: the results may differ. `tolerance` is
    the largest error as a share of the largest value. `fresh`: every call gets new copies of its arguments. `expect` is
    what each other function is expected to be, such as "at most 5% slower". `why`: profile them, too."""

    functions: Sequence[str]
    inputs: str = ""
    commit: str = ""
    gradients: bool = False
    different: bool = False
    tolerance: float = 0.0
    fresh: bool = False
    expect: str = ""
    why: bool = False
    budget: str = ""
    margin: str = ""
    device: str = "cpu"

    @property
    def mode(self) -> str:
        """The mode of timing."""
        return "fresh" if self.fresh else "call"

    def references(self) -> list[tuple[str, str]]:
        """The reference and the commit of each function; the commit is empty for the files that are here. One function
        and a commit are the function there and here. Raises UserError if there is nothing to compare."""
        functions = list(self.functions)
        if self.commit and len(functions) == 1:
            functions *= 2
        if len(functions) < 2:
            fix = "Name a second one, or an older commit with --git."
            raise UserError("ab compares at least two functions.", fix=fix)
        commit = commit_of(Path(), self.commit, f"--git {self.commit}") if self.commit else ""
        found = [(text, commit if number == 0 else "") for number, text in enumerate(functions)]
        for text, _ in found:
            parse_reference(text)
        for number, one in enumerate(found):
            if one in found[:number]:
                raise UserError(f"{one[0]} is given twice.", fix="To compare it with itself, give it another name.")
        return found

    def suite(self) -> SuiteValues:
        """The suite. Raises UserError for a mistake in the options."""
        references = self.references()
        levels = level_names(references, self.commit)
        first, *others = levels
        shared = {"gradients": True} if self.gradients else {}
        base = {"name": "function", "code": references[0][0], **shared}
        if references[0][1]:
            base["commit"] = references[0][1]
        own: dict[str, Any] = {"different": True} if self.different else {}
        own |= {"tolerance": self.tolerance} if self.tolerance else {}
        axis: dict[str, Any] = {first: {}}
        for level, (code, _) in zip(others, references[1:], strict=True):
            axis[level] = {"model": {"code": code, **({"commit": ""} if references[0][1] else {}), **own}}
        speed: dict[str, Any] = {"of": self.mode}
        speed |= {"budget": self.budget} if self.budget else {}
        speed |= {"margin": self.margin} if self.margin else {}
        values: dict[str, Any] = {
            "question": f"Which is faster: {' or '.join(levels)}?",
            "base": {
                "model": base,
                "dataset": {"name": "inputs", "batch_size": 1, **({"code": self.inputs} if self.inputs else {})},
                "device": self.device,
            },
            "axes": {"function": axis},
            "compare": {"axis": "function", "baseline": first},
            "measure": {"speed": speed, "memory": {"of": self.mode}, **({"profile": {}} if self.why else {})},
        }
        if claims := expected_claims(others, self.mode, self.expect):
            values["claims"] = claims
        return SuiteValues(made_suite_name("ab", levels[-1]), values)


def level_names(references: Sequence[tuple[str, str]], commit: str) -> list[str]:
    """The shortest different names of functions: their own, with their file, or with their commit."""
    parsed = [parse_reference(text) for text, _ in references]
    short = [one.name for one in parsed]
    longer = [f"{Path(one.module).stem if one.is_file else one.module}.{one.name}" for one in parsed]
    whole = [text for text, _ in references]
    for names in (short, longer, whole):
        named = [f"{name} ({commit})" if hash_ else name for name, (_, hash_) in zip(names, references, strict=True)]
        if len(set(named)) == len(named):
            return named
    raise AssertionError("references are different")
