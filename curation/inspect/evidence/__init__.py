"""What a run's tables say, as dataclasses. Nothing here prints or changes a run."""
