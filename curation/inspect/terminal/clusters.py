"""`curation clusters` on a terminal.

The first thing to look at after deduplication: a large cluster is a mirrored page, or a menu that
the extractor took for text.
"""

from __future__ import annotations

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from curation.inspect.evidence.clusters import Cluster, ClusterDocument
from curation.inspect.terminal.explain import clean


def cluster_panel(cluster: Cluster) -> Panel:
    """The kept document, three of its duplicates, and the words they share."""
    parts = [_head(f"kept: {cluster.kept.dataset}", cluster.kept, "bold")]
    parts.append(Text(clean(cluster.kept.text, 300)))
    for document in cluster.removed[:3]:
        parts.append(_head(f"removed, Jaccard {document.jaccard:.3f}:", document, "bold dim"))
        parts.append(Text(clean(document.text, 150)))
    if cluster.shingles:
        texts = 1 + len(cluster.removed)
        shared = "; ".join(f"“{clean(s)}” ({count} of {texts})" for s, count in cluster.shingles)
        parts.append(Text(f"most in common: {shared}", style="dim"))
    title = f"{cluster.documents:,} of {cluster.dataset} removed ({cluster.share:.1%} of it)"
    return Panel(Group(*parts), title=Text(title), title_align="left", border_style="dim")


def _head(label: str, document: ClusterDocument, style: str) -> Text:
    line = Text(f"{label} {clean(document.id)}", style=style)
    return line.append(f"  {clean(document.url)}", style="blue") if document.url else line
