"""Flags: typed attributes that may be read from an INI file."""

from __future__ import annotations

import configparser
import os
from typing import TYPE_CHECKING, Self, TypeVar

from ._attributes import Attribute, Attributes
from ._enum import E2SARErrorc
from ._errors import refuse

if TYPE_CHECKING:
    from ._convert import Kind

T = TypeVar("T")


class Flag(Attribute[T]):
    """One of them: `setting` is its section and key in an INI file."""

    def __init__(self, kind: Kind[T], default: T, setting: str) -> None:
        super().__init__(kind.convert, default)
        self.parse = kind.parse
        self.section, self.key = setting.split(".")


class Flags(Attributes):
    """The base."""

    __slots__ = ()

    @classmethod
    def _read(cls, path: str) -> Self:
        """From an INI file. What is not there, or cannot be parsed, keeps its default."""
        given = read_ini(path)
        flags = cls()
        for name, flag in cls._attributes.items():
            assert isinstance(flag, Flag)
            try:
                flags._values[name] = flag.parse(given[flag.section, flag.key])
            except (KeyError, ValueError, TypeError):
                continue
        return flags


def read_ini(path: str) -> dict[tuple[str, str], str]:
    """The values of a file, by section and key.

    Comments are whole lines that begin with ";" or "#". `~` is the home
    directory.
    """
    if path == "~" or path.startswith("~/"):
        path = os.path.expanduser(path)
    reader = configparser.RawConfigParser(
        delimiters=("=",), default_section="", empty_lines_in_values=False
    )
    # Keys are as they are written.
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        with open(path, encoding="utf-8") as file:
            # An indented line is no continuation here.
            lines = [line.strip() for line in file]
        # Keys before the first section are read, and belong to none.
        reader.read_string("\n".join(["[\0]", *lines]))
    except (OSError, UnicodeError, configparser.Error) as error:
        refuse(
            E2SARErrorc.ParameterNotAvailable,
            f"Unable to parse the flags file {path}: {error}",
        )
    return {(name, key): value for name in reader.sections() for key, value in reader[name].items()}
