"""Common Crawl to token shards by GPT-3's published procedure."""

__version__ = "0.1.0"
