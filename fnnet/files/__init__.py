"""Models, checkpoints, logs and run directories on disk, written completely or not at all."""
