"""Training on processes that share the shards of each batch, by MPI."""
