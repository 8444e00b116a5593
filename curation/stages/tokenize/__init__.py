"""Documents to tokens. The stage is in `stage.py`."""
