"""A suite with learning, for tests."""

from __future__ import annotations

TEXT = """\
question: Which learns?
base:
  model: mlp
  dataset: {name: cloud, batch_size: 8}
  use: [{name: descent, lr: 0.05}]
axes:
  what:
    plain: {}
    other: {use: [shuffled]}
compare: {axis: what, baseline: plain}
measure:
  learning: {steps: 20, evaluations: 4, seeds: 5, metric: close, margin: 30 points, target: 0.3}
"""
