"""What a run will cost, from listings, the index and rates. The sum is in `estimate.py`."""
