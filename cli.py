from fnnet.cli import launch

launch()
