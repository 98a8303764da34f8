"""Run the command line: `python -m fnnet`."""

from fnnet.cli import launch

launch()
