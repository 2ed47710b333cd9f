#!/usr/bin/env bash
# Makes .venv ready: environment, packages, a MongoDB for FiftyOne.
# Does nothing, in well under a second, when it was done for these requirements.
# PYTHON chooses the interpreter (default: python3).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
requirements=(requirements.txt requirements-dev.txt)
stamp=.venv/.setup-done
key=$(cat "${requirements[@]}" | cksum)

fail() {
    printf '\nsetup: %s\n' "$@" >&2
    exit 1
}

if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
    command -v "$python" >/dev/null ||
        fail "there is no '$python'; name a Python 3.10 or newer: make setup PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$python" --version) is too old; name a Python 3.10 or newer: make setup PYTHON=/path/to/python3"
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        echo "setup: making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv ||
            fail "could not make .venv (Debian and Ubuntu: apt-get install python3-venv)"
    fi
    echo "setup: installing packages into .venv (about 7 GB, some minutes the first time)"
    .venv/bin/python -m pip install --requirement requirements-dev.txt ||
        fail "the packages could not be installed (see above); the set-up needs a Python package registry: check the network, or point pip to a mirror with PIP_INDEX_URL"
fi
.venv/bin/python tools/ensure_mongod.py
echo "$key" >"$stamp"
