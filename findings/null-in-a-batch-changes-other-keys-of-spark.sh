#!/usr/bin/env bash
# Guess: mapInPandas with a function that gives back the frames that it gets, as the same column "key bigint", gives back
# the same rows.
# Really: keys above 2^53 come back as other keys, without a warning, wherever one row of their Arrow batch has no key:
# pandas has no missing integers, so the whole batch of that column becomes float64, and afterwards bigint again. Of the
# same three rows 9007199254740993, 9007199254740995 and null, the first two come back as ...992 and ...996 in one batch
# (the default), but as they were with one row in a batch (spark.sql.execution.arrow.maxRecordsPerBatch), and by
# mapInArrow. So hashes and snowflake ids are changed by a null in another row, and which ones, by how the rows lie.
# Versions: pyspark 4.3.0, pandas 2.3.3, pyarrow 26.0.1, numpy 2.4.6, Java 17 (default-jre-headless of Debian).
# Source: pyspark/sql/conversion.py, ArrowArrayToPandasConversion; pandas' Series.astype where it converts back.
set -euo pipefail

command -v java >/dev/null || { apt-get update -qq && apt-get install -qq -y default-jre-headless; } >/dev/null 2>&1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check \
  pyspark==4.3.0 pandas==2.3.3 pyarrow==26.0.1 numpy==2.4.6 2>/dev/null
cat >keys.py <<'PROGRAM'
import pandas, pyspark
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
rows = spark.createDataFrame([(2**53 + 1,), (2**53 + 3,), (None,)], "key bigint").coalesce(1)
print("pyspark", pyspark.__version__, "pandas", pandas.__version__, "given", *[row.key for row in rows.collect()])
for size in (10_000, 1):
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", size)
    for way in (rows.mapInPandas, rows.mapInArrow):
        print(way.__name__, size, *[row.key for row in way(lambda frames: frames, "key bigint").collect()])
PROGRAM
SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=venv/bin/python venv/bin/python keys.py 2>/dev/null | tee found
diff found - <<'EXPECTED'
pyspark 4.3.0 pandas 2.3.3 given 9007199254740993 9007199254740995 None
mapInPandas 10000 9007199254740992 9007199254740996 None
mapInArrow 10000 9007199254740993 9007199254740995 None
mapInPandas 1 9007199254740993 9007199254740995 None
mapInArrow 1 9007199254740993 9007199254740995 None
EXPECTED
