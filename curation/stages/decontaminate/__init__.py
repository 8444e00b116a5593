"""Benchmark overlap. The stage is in `stage.py`."""
