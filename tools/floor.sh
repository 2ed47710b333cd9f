#!/usr/bin/env bash
# Runs the tests on the oldest FiftyOne that requirements-dev.txt allows, beside .venv:
# that FiftyOne and its brain lie in .floor/packages, all other packages are .venv's, and
# the tests run in a copy of the checkout, whose home and database are their own.
# Arguments are pytest's: tools/floor.sh tests/operators -k form
set -euo pipefail
cd "$(dirname "$0")/.."

python=$PWD/.venv/bin/python
packages=$PWD/.floor/packages
copy=$PWD/.floor/checkout
floor=$(sed -n 's/^fiftyone>=//p' requirements-dev.txt)

install() { "$python" -m pip install --quiet --no-deps --upgrade --target "$packages" "$1"; }

if ! ls "$packages/fiftyone-$floor".*.dist-info >/dev/null 2>&1; then
    rm -rf .floor
    install "fiftyone==$floor.0"
    install "$(sed -n 's/^Requires-Dist: \(fiftyone-brain[^;]*\).*/\1/p' \
        "$packages"/fiftyone-"$floor".*.dist-info/METADATA | head -1)"
    database=$("$python" -c 'import fiftyone; print(fiftyone.__path__[0])')/db
    [ -d "$database" ] && ln -sfn "$database" "$packages/fiftyone/db"
fi
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --ignore-failed-read --files-from - | tar --extract -C "$copy"
ln -sfn "$PWD/.venv" "$copy/.venv"
cd "$copy"
export PYTHONPATH=$packages${PYTHONPATH:+:$PYTHONPATH}
"$python" -c 'import fiftyone, importlib.metadata as m
print("FiftyOne", fiftyone.__version__, "and its brain", m.version("fiftyone-brain"))'
exec "$python" -m pytest "$@"
