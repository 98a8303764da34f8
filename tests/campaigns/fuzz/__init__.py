"""Coverage-guided fuzzing of every reader: `python -m tests.campaigns.fuzz`.

tests/project/test_fuzz.py replays what it found.
"""
