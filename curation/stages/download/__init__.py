"""Fetches what is at addresses. The stage is in `stage.py`."""
