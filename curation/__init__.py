"""Common Crawl to token shards by GPT-3's published procedure."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.readers.html import extract_blocks, extract_text

__version__ = "0.1.0"
__all__ = ["__version__", "extract_blocks", "extract_text"]


def __getattr__(name: str) -> Any:
    """The two functions for single pages, loaded when they are first asked for."""
    if name in ("extract_blocks", "extract_text"):
        from curation.readers import html

        return getattr(html, name)
    raise AttributeError(f"module 'curation' has no attribute {name!r}")
