#!/usr/bin/env bash
# Guess: if `name in file` is True for an h5py file, file[name] gives the object; get(name, default) and
# get(name, default, getclass=True) give the default for the same names.
# Really: `in` is True for a soft or external link whose target is missing. file[name] then raises KeyError and
# get(name, default) gives the default, but get(name, default, getclass=True) finds the name and raises RuntimeError,
# default or not. One step further, "link/x", `in` follows the link: for an external one it opens the other file. visititems()
# passes over all links, also those that lead somewhere, so that it walks fewer data sets than keys() lists.
# Versions: h5py 3.16.0, CPython 3.11.
# Source: h5py/_hl/group.py, Group.__contains__ and Group.get; h5py/h5g.pyx, _path_valid.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check h5py==3.16.0 2>/dev/null
cat > ask.py <<'PY'
import h5py

with h5py.File("main.h5", "w") as file:
    file["own"] = [1]
    file["soft"] = h5py.SoftLink("/own")
    file["lost"] = h5py.SoftLink("/nothing")
    file["far"] = h5py.ExternalLink("other.h5", "/")


def result(ask):
    try:
        return str(ask())
    except (KeyError, RuntimeError) as error:
        return type(error).__name__


def ask(file):
    for name in ("own", "soft", "lost", "far", "far/x"):
        inside, item = result(lambda: name in file), result(lambda: file[name].name)
        got, kind = result(lambda: file.get(name, "-")), result(lambda: file.get(name, "-", getclass=True))
        kind = kind.rpartition(".")[2].rstrip("'>")
        print(name, "in", inside, "item", item, "get", "-" if got == "-" else "object", "class", kind)
    seen = []
    file.visititems(lambda name, _: seen.append(name))
    print("keys", *file, "walked", *seen)


print(h5py.__version__)
with h5py.File("main.h5") as file:
    ask(file)
with h5py.File("other.h5", "w") as other:
    other["x"] = [2, 3]
with h5py.File("main.h5") as file:
    ask(file)
PY
venv/bin/python ask.py | tee seen
cat > expected <<'TXT'
3.16.0
own in True item /own get object class Dataset
soft in True item /soft get object class Dataset
lost in True item KeyError get - class RuntimeError
far in True item KeyError get - class RuntimeError
far/x in False item KeyError get - class -
keys far lost own soft walked own
own in True item /own get object class Dataset
soft in True item /soft get object class Dataset
lost in True item KeyError get - class RuntimeError
far in True item / get object class Group
far/x in True item /x get object class Dataset
keys far lost own soft walked own
TXT
cmp seen expected
