"""What Python and the command line share: a run of a suite, from its plan to its report.

In: the path of a suite, overrides and options. Out: a `Result`. `cli` and every package above it may import
this one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api.python import open as open
    from harness.api.python import resume as resume
    from harness.api.python import run as run
    from harness.api.result import Result as Result


def __getattr__(name: str) -> Any:
    """Import at first use, since the command line has to start fast."""
    import harness

    if name in ("Result", "open", "resume", "run"):
        return getattr(harness, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
