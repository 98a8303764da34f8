#!/usr/bin/env bash
# Guess: load_dataset("parquet", data_files=...) of files written by to_parquet, whose ClassLabel columns name the classes
# in different orders, finds each label by its name, or raises, as concatenate_datasets does for the same two sets.
# Really: the names of the first file are given to the numbers of all, also of another split, without a warning: a dog in
# the test file becomes a cat. cast_column to the names in another order does the same: it keeps the numbers.
# Versions: datasets 5.2.0, pyarrow 26.0.1, CPython 3.11.
# Source: datasets/packaged_modules/parquet/parquet.py, _split_generators (the first file with features gives them), and
# datasets/features/features.py, ClassLabel.cast_storage (numbers are kept).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'datasets==5.2.0' 'pyarrow==26.0.1' 2>/dev/null

cat >show.py <<'PYTHON'
import sys

import datasets
import pyarrow
from datasets import ClassLabel, Dataset, Features, concatenate_datasets, load_dataset

datasets.disable_progress_bars()


def animals(*names):
    features = Features({"label": ClassLabel(names=list(names))})
    return Dataset.from_dict({"label": [names.index("cat"), names.index("dog")]}, features=features)


def shown(found):
    return [found.features["label"].int2str(number) for number in found["label"][:]]


print("datasets", datasets.__version__, "pyarrow", pyarrow.__version__, "Python", sys.version.split()[0])
train, test = animals("cat", "dog"), animals("dog", "cat")
train.to_parquet("train.parquet")
test.to_parquet("test.parquet")
print("written:", shown(train), shown(test))
found = load_dataset("parquet", data_files={"train": "train.parquet", "test": "test.parquet"}, cache_dir="cache")
print("loaded:", shown(found["train"]), shown(found["test"]))
print("alone:", shown(load_dataset("parquet", data_files="test.parquet", split="train", cache_dir="cache")))
print("cast:", shown(test.cast_column("label", ClassLabel(names=["cat", "dog"]))))
try:
    print("concatenated:", shown(concatenate_datasets([train, test])))
except ValueError:
    print("concatenated: ValueError")
PYTHON
found=$(HF_HUB_OFFLINE=1 HF_HOME="$work/home" venv/bin/python show.py 2>/dev/null)
echo "$found"
grep -qF "written: ['cat', 'dog'] ['cat', 'dog']" <<<"$found"
grep -qF "loaded: ['cat', 'dog'] ['dog', 'cat']" <<<"$found"
grep -qF "alone: ['cat', 'dog']" <<<"$found"
grep -qF "cast: ['dog', 'cat']" <<<"$found"
grep -qF "concatenated: ValueError" <<<"$found"
