"""The conformance kit checks that parts keep the promises of their kind. Plugins use it in their own tests.

    import pytest
    from harness.testing import cases

    @pytest.mark.parametrize("case", cases("my_cell"), ids=str)
    def test_keeps_its_promises(case):
        case.check()

A case is one promise and one part. `harness list promises` shows all promises; `harness conform my_cell` runs the same
cases on the command line. `assert_promises` verifies a level of a suite against its baseline, as a run does before
timing. Importing this module does not import torch.

In: the name of a part. Out: which of its promises it keeps. `cli` and every package above it may import this one.
"""

from harness.testing.conformance import Case, CaseResult, cases
from harness.testing.pairwise import assert_promises, verify_level, verify_levels
from harness.testing.part_under_test import Broken, PartUnderTest

__all__ = ["Broken", "Case", "CaseResult", "PartUnderTest", "assert_promises", "cases", "verify_level", "verify_levels"]
