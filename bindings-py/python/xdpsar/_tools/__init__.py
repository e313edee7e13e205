"""Console tools: `xdpsar-enumerate`, `xdpsar-libconf`, `xdpsar-open`; and all
of them, with `recv`, as `python -m xdpsar TOOL`.

With `--json` each prints one JSON document. Exit status: 0; 1 if something
failed, which standard error tells; 2 if the arguments make no sense.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .._errors import XdpsarError

Tool = Callable[[argparse.Namespace], int | None]
"""What a tool does; its exit status, if not 0."""


def parser(name: str, description: str) -> argparse.ArgumentParser:
    """Of a tool: each has `--json`."""
    made = argparse.ArgumentParser(name, description=description, allow_abbrev=False)
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def carry_out(tool: Tool, options: argparse.Namespace) -> int:
    """Errors of the library and of the system are messages, not tracebacks."""
    try:
        return tool(options) or 0
    except BrokenPipeError:
        # Whoever read has seen enough. Nor does the exit write any more.
        sys.stdout = None
        return 0
    except (XdpsarError, OSError, ValueError) as error:
        print(f"xdpsar: {error}", file=sys.stderr)
        return 1


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, default=str))


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
