"""Tests of a finished run: ledgers, indexes, shards and mixture."""
