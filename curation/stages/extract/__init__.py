"""Input files to documents. The stage is in `stage.py`."""
