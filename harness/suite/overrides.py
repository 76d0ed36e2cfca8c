"""Changes to a suite from outside: a preset, and ``--set path=value``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import Place, UserError, did_you_mean
from harness.plugins.experiment import EXPERIMENT, FROM
from harness.suite.names import composed
from harness.suite.yaml_source import Path_, Source, read_text


def apply_preset(source: Source, preset: str) -> None:
    """Apply the values of a preset of the suite."""
    presets, preset = source.value.get("presets") or {}, composed(preset)
    if not isinstance(presets, dict) or not isinstance(presets.get(preset), dict):
        known = presets if isinstance(presets, dict) else {}
        fix = did_you_mean(preset, known) if known else "This suite has no presets."
        raise UserError(f"there is no preset {preset!r}.", where=Place(f"--preset {preset}"), fix=fix)
    for path, value in presets[preset].items():
        at = ("presets", preset, path)
        _override(source, str(path), value, _texts_below(source, at), source.place(at))


def apply_setting(source: Source, setting: str) -> None:
    """Set one field of the suite: ``path=value``."""
    where = Place(f"--set {setting}")
    path, equals, text = setting.partition("=")
    if not equals or not all(path.split(".")):
        raise UserError("expected path=value.", where=where, fix="For example --set base.model.hidden_size=64.")
    given = read_text(text, str(where)) if text.strip() else Source(str(where))
    _override(source, path, given.value, given.texts, where)


def _texts_below(source: Source, at: Path_) -> dict[Path_, str]:
    return {path[len(at) :]: text for path, text in source.texts.items() if path[: len(at)] == at}


def _override(source: Source, dotted: str, value: Any, texts: Mapping[Path_, str], where: Place) -> None:
    """Set the value at a path such as base.model.hidden_size. Entries of `use` are found by name, all others by key.
    `texts` are the texts of its scalars, as in `Source`."""
    keys = composed(dotted).split(".")
    path: Path_ = ()
    inside = source.value
    for index, key in enumerate(keys):
        last = index == len(keys) - 1
        if isinstance(inside, list):
            names = [entry if isinstance(entry, str) else entry.get("name") for entry in inside]
            if key not in names:
                inside.append({"name": key})
                names.append(key)
            position = names.index(key)
            if not isinstance(inside[position], dict):
                inside[position] = {"name": key}
            if last:
                if not isinstance(value, dict):
                    fix = f"For example {dotted}.lr=0.1."
                    raise UserError(f"expected a mapping of {key}'s parameters, found {value!r}.", where=where, fix=fix)
                inside[position] = {**value, "name": key}
                for name in value:
                    source.places[(*path, position, name)] = source.keys[(*path, position, name)] = where
            path, inside = (*path, position), inside[position]
            continue
        if not isinstance(inside, dict):
            raise UserError(f"{'.'.join(keys[:index])} is a single value and has no fields.", where=where)
        if last:
            inside[key] = value
            for found in (source.places, source.keys, source.texts):
                for known in [known for known in found if known[: len(path) + 1] == (*path, key)]:
                    del found[known]
            source.texts |= {(*path, key, *below): text for below, text in texts.items()}
            source.places[(*path, key)] = source.keys[(*path, key)] = where
            return
        if isinstance(inside.get(key), str) and key in ("model", "dataset", EXPERIMENT):
            inside[key] = {FROM if key == EXPERIMENT else "name": inside[key]}
        if inside.get(key) is None:
            inside[key] = {}
            source.places.setdefault((*path, key), where)
        path, inside = (*path, key), inside[key]
