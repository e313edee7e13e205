"""Objects with typed attributes, as a C++ struct has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Attribute(Generic[T]):
    """One of them: what is set goes through `convert`."""

    def __init__(self, convert: Callable[[object], T], default: T) -> None:
        self.convert = convert
        self.default = default

    def __set_name__(self, owner: type[Attributes], name: str) -> None:
        self.name = name
        owner._attributes = {**owner._attributes, name: self}

    @overload
    def __get__(self, holder: None, owner: type[Attributes]) -> Self: ...
    @overload
    def __get__(self, holder: Attributes, owner: type[Attributes]) -> T: ...
    def __get__(self, holder: Attributes | None, owner: type[Attributes]) -> Self | T:
        if holder is None:
            return self
        value: T = holder._values[self.name]
        return value

    def __set__(self, holder: Attributes, value: T) -> None:
        try:
            holder._values[self.name] = self.convert(value)
        except TypeError as error:
            raise TypeError(f"{type(holder).__qualname__}.{self.name}: {error}") from None


class Attributes:
    """The base. What is no attribute cannot be set."""

    __slots__ = ("_values",)
    _attributes: ClassVar[dict[str, Attribute[Any]]] = {}

    def __init__(self) -> None:
        self._values: dict[str, Any] = {
            name: attribute.default for name, attribute in self._attributes.items()
        }

    def __copy__(self) -> Self:
        return self._with(self._values)

    @classmethod
    def _with(cls, values: dict[str, Any]) -> Self:
        made = cls()
        made._values.update(values)
        return made

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Self], tuple[dict[str, Any]]]:
        return type(self)._with, (dict(self._values),)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"<{type(self).__qualname__}: {values}>"
