"""What pydantic finds wrong in a suite, as messages with file, line, column and advice."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic

from harness.errors import UserError, did_you_mean
from harness.suite.schema import SuiteSchema, forms_at
from harness.suite.yaml_source import Source


def schema_errors(error: pydantic.ValidationError, schema: type[SuiteSchema], source: Source) -> Iterator[UserError]:
    """A UserError for each problem."""
    for problem in error.errors():
        path = list(problem["loc"])
        if path[:1] == ["axes"] and len(path) > 2:
            del path[2]  # pydantic's name of the form of an axis
        kind, message = problem["type"], problem["msg"].removeprefix("Value error, ")
        name = next((part for part in reversed(path) if isinstance(part, str)), "value")
        if kind == "extra_forbidden":
            known = [
                field.alias or field_name
                for form in forms_at(schema, path[:-1])
                for field_name, field in form.model_fields.items()
            ]
            where = source.place(tuple(path), key=True)
            yield UserError(f"there is no field {name!r} here.", where=where, fix=did_you_mean(name, known))
        elif kind == "missing":
            holder = ".".join(map(str, path[:-1])) or "the suite"
            fix = "docs/suites.md lists the fields of a suite."
            yield UserError(f"{holder} lacks {name!r}.", where=source.place(tuple(path[:-1])), fix=fix)
        else:
            yield UserError(f"{name}: {message[0].lower()}{message[1:]}.", where=source.place(tuple(path)))
