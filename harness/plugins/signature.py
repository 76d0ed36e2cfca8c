"""The signature of a part is its schema: its keyword-only parameters, and values checked against them."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic

from harness.errors import UserError, did_you_mean
from harness.plugins.file_paths import FilePath
from harness.plugins.isolation import error_text

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """A parameter of a part that a suite may set."""

    name: str
    annotation: Any
    default: Any

    @property
    def type_name(self) -> str:
        """The annotation as a reader would write it."""
        return type_in_words(self.annotation)

    @property
    def choices(self) -> list[Any] | None:
        """The values that it accepts, if its type lists them; else None."""
        return choices_of(self.annotation)

    def meaning(self, doc: str) -> str:
        """Its meaning: the description in its annotation, or else the clauses of the docstring that name it in
        backquotes. Empty if there are none."""
        for said in getattr(self.annotation, "__metadata__", ()):
            text = getattr(said, "description", None) or getattr(said, "documentation", None)
            if isinstance(text, str):
                return text
        named = re.compile(rf"`{re.escape(self.name)}`")
        return " ".join(clause for clause in clauses_of(doc) if named.search(clause)).rstrip(";")


def type_in_words(annotation: Any) -> str:
    """A type as a reader would write it, or the values that it lists."""
    if annotation is None or annotation is type(None):
        return "None"
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation == FilePath:
        return "path"
    if origin is typing.Annotated:
        return type_in_words(inner[0])
    if origin is typing.Literal:
        return " | ".join(map(str, inner))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(type_in_words, inner))
    if origin is not None and inner:
        words = ", ".join("..." if one is ... else type_in_words(one) for one in inner)
        return f"{getattr(origin, '__name__', origin)}[{words}]"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def choices_of(annotation: Any) -> list[Any] | None:
    """The values of a type that lists them, including None; None for other types."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return choices_of(inner[0])
    if origin is typing.Literal:
        return list(inner)
    if annotation is bool:
        return [True, False]
    if origin in (typing.Union, types.UnionType):
        each = [[None] if one is type(None) else choices_of(one) for one in inner]
        return None if None in each else [value for found in each for value in found or ()]
    return None


def clauses_of(doc: str) -> list[str]:
    """The clauses of a docstring, each with its full stop or semicolon."""
    paragraphs = (" ".join(text.split()) for text in re.split(r"\n\s*\n", doc))
    return [clause for text in paragraphs for clause in re.split(r"(?<=[;.!?])\s+(?=[A-Z`*\"(])|(?<=;)\s+", text)]


#: A parameter of every dataset; the core uses it.
BATCH_SIZE = Parameter("batch_size", Annotated[int, pydantic.Field(description="number of examples in a batch")], 32)


def parameters_of(code: Callable[..., Any], given: int, owner: str) -> dict[str, Parameter]:
    """The keyword-only parameters of `code` after its `given` positional ones.

    Raises UserError, which names the `owner`, for a signature that cannot be a schema: a parameter without annotation,
    an additional positional parameter, or ``**anything``.
    """
    try:
        signature = inspect.signature(code)
    except (TypeError, ValueError) as error:
        raise UserError(f"{owner}: its signature cannot be read: {error_text(error)}.") from error
    target = code.__init__ if inspect.isclass(code) else code
    try:
        hints = typing.get_type_hints(target, include_extras=True)
    except Exception as error:
        raise UserError(f"{owner}: its annotations cannot be read: {error_text(error)}.") from error
    positional = 0
    found = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) and positional < given:
            positional += 1
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            raise UserError(
                f"{owner}: parameter {name!r} is not keyword-only.", fix="Put it after a bare * in the signature."
            )
        elif name not in hints:
            raise UserError(
                f"{owner}: parameter {name!r} has no annotation.",
                fix="Add one: values in suites are checked against it.",
            )
        else:
            found[name] = Parameter(name, hints[name], parameter.default)
    if positional < given:
        raise UserError(f"{owner}: expected {given} positional parameters in its signature, found {positional}.")
    return found


class ParameterError(UserError):
    """A wrong value of a parameter. `parameter` is its name, by which the caller finds its place in the suite."""

    def __init__(self, parameter: str, what: str, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.parameter = parameter


def check_values(
    schema: Mapping[str, Parameter], values: Mapping[str, Any], owner: str
) -> tuple[dict[str, Any], list[ParameterError]]:
    """`values` with all defaults, and what is wrong with them. The only conversion is from int to float."""
    errors = []
    for name in values:
        if name not in schema:
            errors.append(ParameterError(name, f"{owner} has no parameter {name!r}.", did_you_mean(name, schema)))
    resolved = {}
    for name, parameter in schema.items():
        if name in values:
            adapter = pydantic.TypeAdapter(parameter.annotation, config=pydantic.ConfigDict(strict=True))
            try:
                resolved[name] = adapter.validate_python(values[name])
            except pydantic.ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
                what = f"{owner}.{name}: expected {message}, got {values[name]!r}."
                errors.append(ParameterError(name, what, f"Its type is {parameter.type_name}."))
        elif parameter.default is REQUIRED:
            errors.append(
                ParameterError(name, f"{owner} needs a value for {name}.", f"Its type is {parameter.type_name}.")
            )
        else:
            resolved[name] = parameter.default
    return resolved, errors
