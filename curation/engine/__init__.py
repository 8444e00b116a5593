"""Where work is done: worker processes, or Spark."""
