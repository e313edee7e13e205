"""`python -m xdpsar TOOL`: the console tools, and `recv`."""

import sys

from ._tools import carry_out, enumerate, libconf, open, recv

TOOLS = {"enumerate": enumerate, "libconf": libconf, "open": open, "recv": recv}


def main() -> int:
    asked = sys.argv[1] if len(sys.argv) > 1 else None
    if asked not in TOOLS:
        print("usage: python -m xdpsar TOOL [--help]\n")
        for name, tool in TOOLS.items():
            print(f"  {name:11}{tool.options().description}")
        return 0 if asked in ("-h", "--help") else 2
    tool = TOOLS[asked]
    options = tool.options()
    options.prog = f"python -m xdpsar {asked}"
    return carry_out(tool.tool, options.parse_args(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
