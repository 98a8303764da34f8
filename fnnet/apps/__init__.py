"""What is made of a trained network or a finished run."""
