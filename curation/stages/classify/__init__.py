"""GPT-3's quality filter. The stage is in `stage.py`."""
