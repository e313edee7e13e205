#!/bin/sh
# Whether a wheel is what its name promises, and no more than that.
#
#   sh scripts/check-wheel.sh ENVIRONMENT WHEEL
#
# The environment has auditwheel and abi3audit.
set -eu
env=$1
wheel=$2

tag=$(expr "$wheel" : '.*-\(manylinux_[^-]*\)\.whl$') || {
    printf '%s\n' "$wheel: for this machine only; auditwheel found libraries that others lack" >&2
    exit 1
}
"$env/bin/auditwheel" show "$wheel" 2>/dev/null | tr '\n' ' ' | grep -q "following platform tag: \"$tag\"" || {
    "$env/bin/auditwheel" show "$wheel" >&2
    exit 1
}
"$env/bin/abi3audit" --strict --summary "$wheel"
"$env/bin/python" - "$wheel" <<'PY'
import io, os, sys, zipfile
from elftools.elf.elffile import ELFFile

wheel = sys.argv[1]
size = os.path.getsize(wheel)
assert size < 10_000_000, f"{wheel} has {size} bytes: more than 10 MB"
with zipfile.ZipFile(wheel) as files:
    names = files.namelist()
    (native,) = [name for name in names if name.startswith("xdpsar/_native.") and name.endswith(".so")]
    symbols = ELFFile(io.BytesIO(files.read(native))).get_section_by_name(".dynsym")
    exported = [symbol.name for symbol in symbols.iter_symbols()
                if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["bind"] != "STB_LOCAL"]
    assert exported == ["PyInit__native"], f"{native} exports {exported}"
for wanted in ("xdpsar/py.typed", "xdpsar/_native.pyi", "LICENSE-MIT", "LGPL-3.0.txt"):
    assert any(name.endswith(wanted) for name in names), f"no {wanted} in {names}"
print(f"{os.path.basename(wheel)}: {size} bytes, exports PyInit__native only")
PY
