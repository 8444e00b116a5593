"""Bytes to documents: archives, pages, dumps, tables, the crawl's lists."""
