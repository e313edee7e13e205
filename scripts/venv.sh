# Read by scripts in the root of the checkout that need Python packages.
#
#   target          cargo's
#   venv ENV PIP-ARGUMENT...
#                   sees to it that ENV is a virtual environment with what
#                   `pip install PIP-ARGUMENT...` installs; WANTED, if set, is
#                   what those arguments lead to

target=$(cargo metadata --format-version 1 --no-deps --locked |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

venv() {
    venv=$1
    shift
    # Made anew for another Python, or other packages.
    wanted=$(python3 --version; printf '%s\n' "$@" "${WANTED:-}")
    if [ "$(cat "$venv/made-for" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
        printf '%s\n' "$wanted" >"$venv/made-for"
    fi
}
