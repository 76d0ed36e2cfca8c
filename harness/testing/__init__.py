"""The conformance kit: what a plugin's own tests can ask of its parts.

from harness.testing import assert_promises

def test_my_cell_computes_what_lstm_computes():
    base = {"model": "lstm", "dataset": "lengths", "use": ["adam"]}
    assert_promises(base, {"model": "my_cell"})
"""

from harness.testing.promises import assert_promises, find_out

__all__ = ["assert_promises", "find_out"]
