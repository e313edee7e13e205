"""Runs the notebooks from top to bottom, and keeps the pictures they draw.

    python run.py PICTURES [NOTEBOOK...]

A notebook in git has no outputs: else each run would be a change, and a
picture could be older than the code above it.
"""

import base64
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def is_stripped(notebook: nbformat.NotebookNode) -> bool:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return not any(cell.outputs or cell.execution_count for cell in cells)


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    drawn = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in drawn]


def run(path: Path, keep: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    if not is_stripped(notebook):
        raise SystemExit(f"{path.name} has outputs: clear them all, and save it again")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as nowhere:
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            resources={"metadata": {"path": nowhere}},
            # It warns of TCP on loopback.
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
        client.execute()
    drawn = pictures(notebook)
    for number, picture in enumerate(drawn, 1):
        (keep / f"{path.stem}-{number}.png").write_bytes(picture)
    skipped = any("**Skipped.**" in str(cell.get("outputs")) for cell in notebook.cells)
    if not drawn and not skipped:
        raise SystemExit(f"{path.name} has drawn nothing")
    what = "skipped: it says why" if skipped else f"{len(drawn)} pictures"
    print(f"{path.name}: {what}, {time.monotonic() - start:.1f} s", flush=True)


def main() -> None:
    keep = Path(sys.argv[1])
    keep.mkdir(parents=True, exist_ok=True)
    paths = [Path(name) for name in sys.argv[2:]] or sorted(HERE.glob("*.ipynb"))
    for path in paths:
        run(path, keep)


if __name__ == "__main__":
    main()
