"""`python -m fnnet`."""

from fnnet.cli import main

main()
