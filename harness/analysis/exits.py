"""What to do about a variant that verification refuses: correct it, or declare that it computes something else."""

from __future__ import annotations

from harness.records.plan import Block, Trial


def exits_of(block: Block, level: str) -> str:
    """Both exits for a level that breaks its promise, as a sentence; empty if the level is not in the block."""
    trial = next((trial for trial in block.trials if trial.level == level), None)
    if trial is None or trial is block.baseline:
        return ""
    does = "return" if trial.is_function else "compute"
    return f"Correct {level}. Or, if it is meant to {does} something else, {declared(trial, block.baseline)}."


def declared(trial: Trial, baseline: Trial) -> str:
    """What to write where, so that a trial is another model and only its time and its learning are compared."""
    used = [spec for spec in (*trial.use, *baseline.use) if (spec in trial.use) != (spec in baseline.use)]
    if used:
        name, plugin = used[0].name, used[0].plugin
        return f'write changes="model" in harness.Optimization("{name}") of the plugin {plugin}'
    if trial.is_function:
        return "use the option --different, or --tolerance for a larger error"
    name, plugin = trial.model.name, trial.model.plugin
    if trial.model.name != baseline.model.name:
        return f'give harness.Model("{name}") of the plugin {plugin} another `computes`, or none'
    changed = [name for name, value in trial.model.parameters.items() if value != baseline.model.parameters.get(name)]
    parameters = " and ".join(changed) or "the parameter"
    return f'remove {parameters} from `implementation` of harness.Model("{name}") of the plugin {plugin}'
