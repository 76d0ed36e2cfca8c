"""``harness vary``: compare a training script with changes of it, without a suite."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    as_json_option,
    budget_option,
    expect_option,
    new_device_option,
    quick_option,
    results_option,
)
from harness.cli.plugin_options import plugin_option, plugins_of
from harness.errors import UserError

EPILOG = """\b
Examples:
  harness vary train.py:build pooling=mean packing=true
  harness vary train.py:build pooling=mean --seeds 10 --steps 600 --metric accuracy
  harness vary train.py:build use=flush_denormal use.threads.count=2 --also memory
  harness vary train.py:build pooling=mean --context batch_size=16,64

\b
The function returns its parts; docs/experiments.md has a whole script:
  def build(pooling="attention", packing=False):
      ...
      return harness.Experiment(model, optimizer, train_loader, test_loader, loss)
"""


@click.command(epilog=EPILOG)
@plugin_option
@click.argument("function", metavar="FILE:NAME")
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE...")
@click.option("--base", multiple=True, metavar="NAME=VALUE", help="A parameter of all levels, also of the baseline.")
@click.option(
    "--context", multiple=True, metavar="NAME=VALUE,..",
    help="Values of a parameter that are measured apart from each other, such as batch_size=16,64.",
)  # fmt: skip
@click.option(
    "--of", type=click.Choice(["train", "inference"]), multiple=True, default=("train",), show_default=True,
    help="What is timed: a training step, or a prediction.",
)  # fmt: skip
@click.option("--also", multiple=True, metavar="KIND", help="Measure this too: memory, cost or profile.")
@click.option("--seeds", type=click.IntRange(0), default=0, metavar="N", help="Train under so many seeds, too.")
@click.option("--steps", type=click.IntRange(1), metavar="M", help="The training steps of a run.")
@click.option("--epochs", type=float, metavar="E", help="The epochs of a run, in place of its steps.")
@click.option("--metric", default="loss", show_default=True, help="The score that decides: loss, or one of the script.")
@click.option("--better", type=click.Choice(["higher", "lower"]), help="Which metric is better.")
@budget_option
@new_device_option
@expect_option
@quick_option
@results_option
@as_json_option
@click.pass_context
def vary(
    context: click.Context,
    /,
    function: str,
    changes: Sequence[str],
    base: Sequence[str],
    results: Path,
    quick: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare a training script with changes of it: each alone, and all together.

    FILE:NAME is a function of your script that returns a harness.Experiment. Each NAME=VALUE sets one of its
    parameters; use=NAME adds an optimization, such as flush_denormal (see `harness list optimizations`). The baseline
    has the parameters' defaults, or those of --base. All levels are measured on the same examples, in fresh processes,
    in turns.

    A run is stored like that of a suite: `harness report`, `explain`, `compare` and `run --resume` work on it, and its
    folder has the suite.
    """
    from harness.api.vary import Variation, parse_change, parse_context
    from harness.cli.ab_output import measure

    if options["expect"] and quick:
        raise UserError("a first look (--quick) decides no claim.", where="--expect", fix="Leave out one of them.")
    contexts = dict(map(parse_context, options.pop("context")))
    variation = Variation(function, [*map(parse_change, changes)], dict(map(parse_change, base)), contexts, **options)
    gate = bool(variation.expect)
    sys.exit(measure(variation.suite(), plugins_of(context), results, gate=gate, as_json=as_json, quick=quick))
