"""Coverage-guided fuzzing of every reader: `python -m tests.fuzz`; tests/test_fuzz.py replays what it found."""
