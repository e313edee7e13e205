"""Constructors that may be called in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIRED = object()


class Parameter(NamedTuple):
    """One parameter: `convert` raises TypeError for what does not fit."""

    name: str
    kind: str
    convert: Callable[[object], Any]
    default: Any = REQUIRED

    def __str__(self) -> str:
        default = "" if self.default is REQUIRED else " = …"
        return f"{self.name}: {self.kind}{default}"


def match(
    what: str,
    forms: list[list[Parameter]],
    positional: tuple[object, ...],
    keywords: dict[str, object],
) -> dict[str, Any]:
    """The arguments, by name, as the first form has them that they fit."""
    told = [f"{what}: the arguments fit none of its forms:"]
    for number, form in enumerate(forms, 1):
        try:
            return _fit(form, positional, keywords)
        except TypeError as error:
            told.append(f"  {number}. {what}({', '.join(map(str, form))}): {error}")
    raise TypeError("\n".join(told))


def _fit(
    form: list[Parameter], positional: tuple[object, ...], keywords: dict[str, object]
) -> dict[str, Any]:
    if len(positional) > len(form):
        raise TypeError(f"{len(positional)} arguments are too many")
    names = [parameter.name for parameter in form]
    given = dict(zip(names, positional, strict=False))
    for name, value in keywords.items():
        if name not in names:
            raise TypeError(f"there is no {name}")
        if name in given:
            raise TypeError(f"{name} is given twice")
        given[name] = value
    fitted: dict[str, Any] = {}
    for parameter in form:
        if parameter.name in given:
            try:
                fitted[parameter.name] = parameter.convert(given[parameter.name])
            except TypeError as error:
                raise TypeError(f"{parameter.name}: {error}") from None
        elif parameter.default is REQUIRED:
            raise TypeError(f"{parameter.name} is missing")
        else:
            fitted[parameter.name] = parameter.default
    return fitted
