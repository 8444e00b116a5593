"""Tokens to training shards. The stage is in `stage.py`."""
