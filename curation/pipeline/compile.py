"""Compiles the kernels before the work begins, each once.

Numba compiles a kernel when it is first called, a minute in all, and keeps the result beside the
source. Left to the stages, every worker would compile the same kernel at the same moment, under the
label of another step. Later runs find them compiled. `python -m curation.pipeline.compile` does it
as part of a set-up.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.engine.base import Engine

_TEXT = "The miller wound the sluice at dawn, and by noon the yard smelled of flour, wet oak and horses."


_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("kernels", "blocks", "readers/wiki")


def compile_kernels(engine: Engine, stages: Sequence[str]) -> None:
    """Compile what the stages call and is not there yet, spread over the engine's workers."""
    forget_stale()
    needed = [
        name
        for name, (stage, kernel, _) in _PARTS.items()
        if stage in stages and not _is_compiled(kernel)
    ]
    engine.map_here("compile kernels", _compile, needed)


def forget_stale() -> None:
    """Remove what Numba compiled of a kernel before a module that it calls was changed. Numba itself
    looks at the kernel's own file only, and would keep the old form of what it calls."""
    newest = _newest_sources()
    for folder in _FOLDERS:
        for index in (_PACKAGE / folder / "__pycache__").glob("*.nbi"):
            module = f"{folder}/{index.name.partition('.')[0]}".replace("/", ".")
            with contextlib.suppress(OSError):  # another process, or another user's file
                if index.stat().st_mtime < newest.get(module, 0.0):
                    index.unlink()


def _newest_sources() -> dict[str, float]:
    """Module of the folders -> when it, or a module of them that it imports, was last written."""
    files = {
        f"{folder}/{file.stem}".replace("/", "."): file
        for folder in _FOLDERS
        for file in (_PACKAGE / folder).glob("*.py")
    }
    written = {name: file.stat().st_mtime for name, file in files.items()}
    # "from curation.blocks.scan import f" and "from curation.blocks import scan as s"
    pattern = re.compile(r"^from curation\.([\w.]+) import(?: (\w+))?", re.M)
    imports = {
        name: [
            module
            for package, word in pattern.findall(file.read_text("utf-8"))
            for module in (package, f"{package}.{word}")
        ]
        for name, file in files.items()
    }

    def reached(name: str, seen: set[str]) -> set[str]:
        for other in imports.get(name, ()):
            if other not in seen:
                seen.add(other)
                reached(other, seen)
        return seen

    return {
        name: max(written.get(other, 0.0) for other in reached(name, {name})) for name in written
    }


def _is_compiled(kernel: str) -> bool:
    """Whether Numba's index of a kernel is newer than all sources of the folders; no where Numba
    keeps it elsewhere."""
    indexes = [file.stat().st_mtime for file in _indexes(kernel)]
    sources = [
        file.stat().st_mtime for folder in _FOLDERS for file in (_PACKAGE / folder).glob("*.py")
    ]
    return max(indexes, default=0.0) > max(sources)


def _indexes(kernel: str) -> list[Path]:
    """Numba's index files of a kernel, given as folder/module.function."""
    folder, _, name = kernel.rpartition("/")
    return list((_PACKAGE / folder / "__pycache__").glob(f"{name}-*.nbi"))


def _compile(part: str) -> None:
    """Numba leaves a file that is still good as it is; touched, it says so the next time."""
    _, kernel, run = _PARTS[part]
    run()
    with contextlib.suppress(OSError):  # the file may belong to another user
        for file in _indexes(kernel):
            os.utime(file)


def _pages() -> None:
    from curation.readers.html import Form, text_and_rights
    from curation.readers.records import Page

    page = f"<html><title>Mill</title><meta name=robots><p>{_TEXT}</p>".encode()
    text_and_rights(Page(page, None, None, None, None, 0), "blocks", Form())


def _languages() -> None:
    from curation.readers.language import _by_kernel

    list(_by_kernel([_TEXT]))


def _wikitext() -> None:
    from curation.readers.wikitext import wikitext_text

    wikitext_text(_TEXT)


def _features() -> None:
    from curation.kernels.buffers import text_buffers
    from curation.kernels.elementary import powers, sigmoid
    from curation.kernels.feature_tokens import feature_tokens
    from curation.kernels.hashingtf import NUM_FEATURES, logits, term_counts

    texts = text_buffers(pa.array([_TEXT]))
    term_counts(*texts)
    powers(sigmoid(logits(*texts, np.zeros(NUM_FEATURES), 0.0, "log-l2")), 1.0)
    feature_tokens(*texts, [1])


def _signatures() -> None:
    from curation.kernels.buckets import bucket_pairs, leaving
    from curation.kernels.buffers import text_buffers
    from curation.kernels.minhash import feature_sets, intersections, permutations, signatures
    from curation.kernels.repeats import repeated_chars

    texts, none = text_buffers(pa.array([_TEXT])), np.zeros(0, np.int64)
    repeated_chars(*texts)
    indptr, values = feature_sets(*texts, "shingle")
    feature_sets(*texts, "unigram")
    signatures(indptr, values, *permutations(0, 4))
    intersections(indptr, values, np.array([-1]), values)
    leaving(none, none, 0)
    bucket_pairs(none, none, none, np.zeros(0, np.int8))


def _grams() -> None:
    from curation.kernels.buffers import text_buffers
    from curation.kernels.grams import build_table, scan
    from curation.kernels.ngrams import build_ngrams, mark_seen, normalised_texts

    texts = text_buffers(pa.array([_TEXT]))
    scan(*texts, build_table([_TEXT], [0], 5))
    table, _, _ = build_ngrams(normalised_texts([_TEXT]), [5])
    mark_seen(*texts, table, np.zeros(len(table), bool))


def _quality_signals() -> None:
    from curation.kernels.quality import measure

    measure(pa.array([_TEXT]), ["gopher", "gopher_repetition", "c4", "c4_any_ending", "fineweb"])


def _spans_and_addresses() -> None:
    from curation.kernels import pii
    from curation.kernels.masks import masked, merged
    from curation.kernels.urls import url_signals
    from curation.readers.blocklists import url_lists

    texts = pa.array([f"{_TEXT} miller@sluice.example"])
    spans = pii.measure(texts, pii.KINDS)
    masked(texts, merged(spans, ["email"]), [""])
    url_signals(pa.array(["https://sluice.example/flour"]), url_lists())


def _letters() -> None:
    from curation.kernels.encoding import rows_with_newer

    rows_with_newer(pa.array([_TEXT]))


# Stage, the kernel compiled last, how; what takes longest first.
_PARTS: dict[str, tuple[str, str, Callable[[], None]]] = {
    "pages": ("extract", "blocks/scoring.page_text", _pages),
    "wikitext": ("extract", "readers/wiki/blanks.tidy", _wikitext),
    "languages": ("extract", "kernels/ngram_labels.labels", _languages),
    "quality signals": ("filter", "kernels/quality_counts.count_texts", _quality_signals),
    "spans": ("filter", "kernels/url_words.count_parts", _spans_and_addresses),
    "features": ("classify", "kernels/feature_tokens._feature_tokens", _features),
    "grams": ("decontaminate", "kernels/gram_scan._find", _grams),
    "signatures": ("dedup", "kernels/buckets._pairs", _signatures),
    "letters": ("tokenize", "kernels/encoding._rows_with", _letters),
}


if __name__ == "__main__":
    from curation.engine.local import LocalEngine

    local = LocalEngine(2)
    try:
        compile_kernels(local, [stage for stage, _, _ in _PARTS.values()])
    finally:
        local.close()
