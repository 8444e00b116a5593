"""Near duplicates. The stage is in `stage.py`."""
