"""Is the message what it is to be?"""

import pytest
from guest_reporter.chat import shown

from harness.testing import cases


def test_nothing_in_it_is_a_mention():
    assert shown("<!channel> a & b") == "&lt;!channel&gt; a &amp; b"


@pytest.mark.parametrize("case", cases("guest-reporter"), ids=str)
def test_keeps_its_promises(case):
    case.check()
