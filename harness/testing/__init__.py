"""The conformance kit: what a plugin's own tests can ask of its parts.

    import pytest
    from harness.testing import cases

    @pytest.mark.parametrize("case", cases("my_cell"), ids=str)
    def test_keeps_its_promises(case):
        case.check()

Each case is one promise, a sentence that `harness list promises` shows, asked of one part. `harness conform my_cell` is
the same on the command line. `assert_promises` holds a level of a suite against its baseline, as a run does before its
clock starts. Importing this module imports no torch.
"""

from harness.testing.against import assert_promises, find_out
from harness.testing.conformance import Case, Seen, cases
from harness.testing.subject import Broken, Subject

__all__ = ["Broken", "Case", "Seen", "Subject", "assert_promises", "cases", "find_out"]
