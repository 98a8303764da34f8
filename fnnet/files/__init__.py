"""Files: models, checkpoints, run directories, written whole or not at all."""
