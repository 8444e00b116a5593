"""The reasons of ledgers and tables. The names of the rules of a recipe are reasons too."""

from __future__ import annotations

# Why a record never became a document, or a document was removed: every reason that any stage may
# write.
REASONS: dict[str, str] = {
    # extract: records that never became documents (listed in rejects/)
    "not_a_page": "a record that holds no page: warcinfo, request, metadata, DNS ... (counted, not "
    "listed)",
    "not_html": "the record's content type is neither HTML nor plain text",
    "http_status": "the server answered with a status other than 200",
    "undecodable": "the bytes are not text in any encoding that fits",
    "empty": "no text was left after extraction",
    "too_large": "larger than the limit on a page or line",
    "too_slow": "the extractor took longer than max_page_s",
    "too_heavy": "the extractor took more memory than a page may",
    "crashed": "the extractor's process died on it",
    "malformed": "the record or line does not follow its format",
    "truncated": "the file ends in the middle of the record, or segments of it are missing",
    "revisit": "a revisit record: the crawler met the same page before and stored no body",
    "redirect_page": "a MediaWiki redirect",
    "stub": "a MediaWiki page with too little text",
    "namespace": "a MediaWiki page that is no article",
    "missing_text": "the row has no text",
    "unreachable": "the file, or the rest of it, or the record, could not be read from its address "
    "(asked for again by the next run)",
    "not_in_index": "no successful capture of the address in the index",
    "repeated_url": "another address of the list is the same page",
    "language": "the language is not one that the recipe keeps, by the model or by the crawl's own "
    "verdict, or not surely one",
    # classify
    "low_quality": "chance decides, by the score: the Pareto draw was not above 1 - score (GPT-3, "
    "appendix A)",
    # dedup
    "exact_duplicate": "the same text as a document that stays",
    "duplicate": "Jaccard similarity of at least min_jaccard with a document that stays",
    "repetitive": "more of its characters than the recipe allows stand in repeated lines or "
    "paragraphs",
    # decontaminate
    "too_many_pieces": "benchmark overlap cut it into more than max_pieces pieces (appendix C)",
    "no_piece_left": "after cutting benchmark overlap every piece is shorter than min_piece_chars",
    # tokenize and mix
    "no_tokens": "no text to encode",
}
