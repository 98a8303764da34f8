#!/usr/bin/env bash
# Guess: spark.createDataFrame of a pandas frame keeps a column of uint64, such as the hashes of hash_pandas_object, or
# refuses it: Spark has no unsigned integers, and what a pandas UDF returns is refused where it does not fit.
# Really: the column becomes bigint, and every number from 2^63 on becomes null, without an error: half of all hashes.
# With Arrow a warning speaks of conversion that falls back; without it nothing does, and by both ways the nulls are the
# same. mapInPandas refuses the same numbers.
# Versions: pyspark 4.3.0, pandas 2.3.3, pyarrow 26.0.1, numpy 2.4.6, Java 17 (default-jre-headless of Debian).
# Source: pyspark/sql/pandas/conversion.py, _convert_from_pandas; core/.../sql/execution/python/EvaluatePython.scala,
# makeFromJava: for LongType it takes Java's Byte, Short, Int and Long; a BigInteger is none of them, and so null.
set -euo pipefail

command -v java >/dev/null || { apt-get update -qq && apt-get install -qq -y default-jre-headless; } >/dev/null 2>&1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check \
  pyspark==4.3.0 pandas==2.3.3 pyarrow==26.0.1 numpy==2.4.6 2>/dev/null
cat >hashes.py <<'PROGRAM'
import numpy as np
import pandas as pd
import pyspark
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
numbers = pd.DataFrame({"key": np.array([2**63 - 1, 2**63, 2**64 - 1], np.uint64)})
hashes = pd.DataFrame({"key": pd.util.hash_pandas_object(pd.Series(range(1000)), index=False)})
print("pyspark", pyspark.__version__, "pandas", pd.__version__, hashes["key"].dtype, hashes["key"].isna().sum(), "null")
for arrow in ("true", "false"):
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", arrow)
    given, more = spark.createDataFrame(numbers), spark.createDataFrame(hashes)
    print("arrow", arrow, given.dtypes, [row.key for row in given.collect()], more.filter("key is null").count(), "null")
try:
    print(spark.range(1).mapInPandas(lambda frames: iter([numbers]), "key bigint").collect())
except Exception as error:
    print("mapInPandas: refused", "uint64" in str(error))
PROGRAM
SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=venv/bin/python venv/bin/python hashes.py 2>/dev/null | tee found
diff found - <<'EXPECTED'
pyspark 4.3.0 pandas 2.3.3 uint64 0 null
arrow true [('key', 'bigint')] [9223372036854775807, None, None] 500 null
arrow false [('key', 'bigint')] [9223372036854775807, None, None] 500 null
mapInPandas: refused True
EXPECTED
