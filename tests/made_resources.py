"""Helpers of the tests."""

from __future__ import annotations


def memory(peak: list[int], kept: list[int], **more) -> dict:
    counts = {"points": [4.0] * len(peak)}
    held = {"parameters": 10, "parameter_bytes": 40, "optimizer_bytes": 80}
    return {**held, "peak": {"forward": peak, "step": peak}, "kept": kept, "counts": counts, "device": "cpu", **more}
