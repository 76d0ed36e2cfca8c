"""The values that are stored: plans, trials, records, and the folder that holds a run.

In: JSON values. Out: frozen values, and the same JSON again. Every package may import this one.
"""

from harness.records.plan import Block, Claim, Plan, Trial
from harness.records.record import Record
from harness.records.store import Store

__all__ = ["Block", "Claim", "Plan", "Record", "Store", "Trial"]
