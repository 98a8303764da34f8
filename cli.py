import sys

try:
    from fnnet.cli import launch
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed; run pip install -e . in the folder of fnnet")

launch()
