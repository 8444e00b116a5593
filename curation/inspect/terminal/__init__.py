"""What commands print about a run."""
