"""Programs on top of training: reports on networks and runs."""
