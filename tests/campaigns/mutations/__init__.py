"""Mutations: small errors planted one at a time into core, data and files, and whether a test fails.

python -m tests.campaigns.mutations [--count N] [--seconds S] [--seed N] [--list]
"""
