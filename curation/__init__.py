"""Common Crawl to token shards by GPT-3's published procedure."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curation.readers.html import extract_blocks, extract_text
    from curation.stages.filter.own import signal

__version__ = "0.1.0"
__all__ = ["__version__", "extract_blocks", "extract_text", "signal"]


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first asked for."""
    if name in ("extract_blocks", "extract_text"):
        from curation.readers import html

        return getattr(html, name)
    if name == "signal":
        from curation.stages.filter.own import signal

        return signal
    raise AttributeError(f"module 'curation' has no attribute {name!r}")
