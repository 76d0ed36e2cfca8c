"""The chat message is valid and contains no mentions."""

import pytest
from guest_reporter.chat import shown

from harness.testing import cases


def test_mentions_are_escaped():
    assert shown("<!channel> a & b") == "&lt;!channel&gt; a &amp; b"


@pytest.mark.parametrize("case", cases("guest-reporter"), ids=str)
def test_keeps_its_promises(case):
    case.check()
