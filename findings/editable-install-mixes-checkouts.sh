#!/usr/bin/env bash
# Guess: with PYTHONPATH naming an older checkout, `import demo` takes the older one, and a module that only the newer,
# editable-installed checkout has raises ModuleNotFoundError: a package has one folder.
# Really: the missing module is imported from the editable install, so that one process runs modules of two versions
# without a word. setuptools puts a finder on sys.meta_path that maps `demo` and everything below it to the installed
# checkout, whatever folder the parent package came from. An install in "compat" mode, a plain .pth file, does not.
# Versions: setuptools 80.9.0, wheel 0.45.1, CPython 3.11 to 3.13.
# Source: setuptools/command/editable_wheel.py, _EditableFinder.find_spec (it looks at the name alone, not at `path`).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'setuptools==80.9.0' 'wheel==0.45.1' 2>/dev/null

for version in old new; do
  mkdir -p "$version/demo"
  printf '[build-system]\nrequires = ["setuptools==80.9.0"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "demo"\nversion = "1.0"\n' >"$version/pyproject.toml"
  echo "VERSION = '$version'" >"$version/demo/__init__.py"
done
echo "from demo import VERSION; HERE = __file__" >new/demo/added.py

code='
import os, sys, demo
try:
    import demo.added
    print("package", demo.VERSION, "module", demo.added.HERE.split(os.sep)[-3])
except ModuleNotFoundError as error:
    print("package", demo.VERSION, "module missing:", error)
'
found=""
for mode in lenient compat; do
  venv/bin/pip install -q --disable-pip-version-check --no-build-isolation --no-deps \
    --config-settings editable_mode="$mode" -e new 2>/dev/null
  line="$mode: $(PYTHONPATH="$work/old" venv/bin/python -P -c "$code")"
  echo "$line"
  found="$found$line;"
done
venv/bin/python -c 'import setuptools, sys; print("setuptools", setuptools.__version__, "Python", sys.version.split()[0])'
[ "$found" = "lenient: package old module new;compat: package old module missing: No module named 'demo.added';" ]
