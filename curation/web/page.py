"""The report as one HTML page: no script, nothing fetched, light and dark, readable on a phone.

Trap: URLs, texts and names come from pages and recipes. Every string goes through `escape`; links are never made clickable.
"""

from __future__ import annotations

from html import escape
from typing import Any

from curation.inspect.evidence.contamination import HEAD, cells
from curation.inspect.format import compact
from curation.web import charts, markup
from curation.web.blocks import BLOCK_STYLE, block_row
from curation.web.duplicates import duplicates_section, repeats_section
from curation.web.fit import alpha_section, fit_section, scores_section

Data = dict[str, Any]

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --dim: #667080; --paper: #fff; --card: #f5f6f8; --grid: #dfe3e8;
  --a: #9db4d0; --b: #1f5fae; --curve: #c2511d; --warn: #9a5b00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a2b0; --paper: #14181d; --card: #1e242c; --grid: #333b46;
  --a: #47607f; --b: #76adf0; --curve: #f0935f; --warn: #e3a64a } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 72rem; font: 16px/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { margin: 0; font-size: 1.6rem } h2 { margin: 2.4rem 0 .4rem; font-size: 1.2rem } h3 { margin: 1rem 0 .2rem; font-size: 1rem }
section > .card { margin: .5rem 0 }
p { max-width: 48rem; margin: .3rem 0 } .dim { color: var(--dim) } .warn { color: var(--warn) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .18rem .7rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
thead th { border-bottom: 1px solid var(--grid) } tr.stay { font-weight: 600; background: var(--card) } tr.left { color: var(--dim) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem }
.card h3 { margin-top: 0 } .card { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; min-width: 0;
  overflow-wrap: anywhere }
.card p.text { white-space: pre-line; font-size: .85rem; max-height: 11rem; overflow: auto }
.kept { border-left: 4px solid var(--b) } .removed { border-left: 4px solid var(--curve) }
svg { width: 100%; max-width: 40rem; height: auto; display: block; font: 12px system-ui, sans-serif } svg text { fill: var(--dim) }
svg .a { fill: var(--a) } svg .b { fill: var(--b) } svg .curve { fill: none; stroke: var(--curve); stroke-width: 2 }
svg .grid { stroke: var(--grid) } svg .base { stroke: var(--dim) }
i.a, i.b, i.c { display: inline-block; width: .8em; height: .8em; border-radius: .15em; background: var(--a) }
i.b { background: var(--b) } i.c { background: var(--curve); height: .2em; vertical-align: middle }
"""


def page(data: Data) -> str:
    """The whole page from `report`'s dictionary."""
    parts = [
        _head(data),
        _funnel(data["funnel"]),
        _scores(data["scores"], data["model"]),
        fit_section(data["model"]),
        alpha_section(data["alpha"]),
        scores_section(data["by_score"]),
        duplicates_section(data["duplicates"]),
        repeats_section(data["repeats"]),
        _benchmarks(data["benchmarks"]),
        _contamination(data["contamination"]),
        _mixture(data["mixture"]),
        _languages(data["languages"]),
        _lengths(data["lengths"]),
        _samples(data["samples"]),
        _extracted(data["extracted"]),
        _recipe(data),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>curation report</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{BLOCK_STYLE}</style></head><body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def _head(data: Data) -> str:
    total = data["funnel"][-1]
    kept = next((x for x in reversed(total["lines"]) if x["outcome"] == "kept"), None)
    line = ""
    if kept is not None:
        records = next((x["documents"] for x in total["lines"] if x["outcome"] == "in"), 0)
        tokens = f", {kept['tokens']:,} tokens" if kept["tokens"] and kept["exact"] else ""
        line = f"{records:,} records came in; {kept['documents']:,} documents{tokens} stay."
    warnings = "".join(f"<p class='warn'>&#9888; {escape(text)}</p>" for text in data["warnings"])
    return f"<h1>Curation report</h1><p>{line}</p>{warnings}"


def _funnel(flows: list[Data]) -> str:
    stages = list(dict.fromkeys(line["stage"] for flow in flows for line in flow["lines"]))
    order = ("extract", "classify", "dedup", "decontaminate", "tokenize")
    rows, classes = [], []
    for stage in sorted(stages, key=order.index):
        outcomes = dict.fromkeys(
            x["outcome"] for f in flows for x in f["lines"] if x["stage"] == stage
        )
        middle = [outcome for outcome in outcomes if outcome not in ("in", "kept")]
        for outcome in [*(["in"] if stage == "extract" else []), *middle, "kept"]:
            stays = outcome in ("in", "kept")
            name = {"in": "records", "kept": f"after {stage}", "cut": "- text cut out"}.get(
                outcome, f"- {outcome}"
            )
            rows.append(
                [name, *(cell for flow in flows for cell in _flow_cells(flow, stage, outcome))]
            )
            classes.append("stay" if stays else "left")
    head = ["", *(cell for flow in flows for cell in (flow["dataset"], "tokens"))]
    if not rows:
        return ""
    intro = (
        "Documents and tokens, from top to bottom through the line. Before tokenize, tokens are estimated from "
        "characters and marked with ~. Exact numbers are in report.json."
    )
    return markup.section("Funnel", intro, markup.table(head, rows, classes))


def _flow_cells(flow: Data, stage: str, outcome: str) -> tuple[str, str]:
    """Documents and tokens of one dataset; where classify does not filter it, it keeps what it had."""
    own = [x for x in flow["lines"] if x["stage"] == stage]
    if not own and stage == "classify":
        own = [x for x in flow["lines"] if (x["stage"], x["outcome"]) == ("extract", "kept")]
    line = next((x for x in own if x["outcome"] == outcome), None)
    if line is None:
        return "", ""
    sign = "" if outcome in ("in", "kept") else "-"
    documents = f"{sign}{line['documents']:,}" if line["documents"] or not sign else ""
    if line["tokens"] is None or not line["chars"] or outcome == "in":
        return documents, ""
    return documents, ("" if line["exact"] else "~") + compact(line["tokens"])


def _scores(scores: Data | None, model: Data | None) -> str:
    if scores is None:
        return ""
    cards = []
    for name, own in scores["datasets"].items():
        curve = scores["keep_chance"] if own["filtered"] else None
        label = f"P(keep | score) = (2 - score)^-{scores['alpha']:g}"
        chart = charts.histogram(
            f"Documents of {name} by score",
            scores["edges"],
            own["counts"],
            part=own.get("kept"),
            curve=curve,
            labels=("score", label),
            log=True,
        )
        key = (
            f"<p class='dim'><i class='a'></i> documents <i class='b'></i> kept <i class='c'></i> {escape(label)}</p>"
            if own["filtered"]
            else "<p class='dim'>not filtered</p>"
        )
        cards.append(markup.card(name, chart + key))
        if own["filtered"]:
            cards.append(markup.card(f"{name}: keep rate by score", _bands(own["bands"])))
    intro = (
        "How much each document is like the trusted corpora (1) or like raw crawl (0). "
        "Heights are logarithmic; the curve rises from 0 to 1."
    )
    return markup.section("Quality", intro, _model(model), markup.cards(*cards))


def _bands(bands: list[Data]) -> str:
    rows = [
        [
            f"{band['from']:.1f} to {band['to']:.1f}",
            f"{band['documents']:,}",
            f"{band['kept']:,}",
            f"{band['kept'] / band['documents']:.1%}" if band["documents"] else "",
            f"{band['expected'] / band['documents']:.1%}" if band["documents"] else "",
        ]
        for band in bands
    ]
    return markup.table(["score", "documents", "kept", "rate", "expected"], rows)


def _model(model: Data | None) -> str:
    if model is None:
        return ""
    training = model.get("training", {})
    heldout = model.get("heldout", {})
    sizes = ", ".join(
        f"{part['documents']:,} {name}s ({', '.join(part['datasets'])})"
        for name, part in training.items()
    )
    auc = heldout.get("auc")
    measured = (
        f"AUC {auc:.3f} on {heldout['documents']:,} documents of held-out sites"
        if auc is not None
        else "no held-out sites"
    )
    how = f"{model['kind']}; scaling {model['scaling']}, C {model.get('C')}, classes {model.get('class_weight')}"
    return f"<p>Model: {escape(how)}. Fitted on {escape(sizes)}: <strong>{escape(measured)}</strong>.</p>"


def _benchmarks(found: list[Data] | None) -> str:
    if found is None:
        return ""
    keys = ("examples", "hits", "documents", "cuts")
    hit = [row for row in found if row["hits"]]
    rows = [[row["benchmark"], *(f"{row[key]:,}" for key in keys)] for row in hit]
    clean = [row["benchmark"] for row in found if not row["hits"]]
    intro = "What the training text shares with benchmarks, and was cut. A gram that several benchmarks hold counts for each."
    rest = f"<p class='dim'>Nothing shared with: {escape(', '.join(clean))}.</p>" if clean else ""
    return markup.section(
        "Benchmarks", intro, markup.table(["benchmark", *keys], rows) if rows else "", rest
    )


def _contamination(found: list[Data] | None) -> str:
    if found is None:
        return ""
    dirty = sorted(
        (r for r in found if r["dirty_before"]),
        key=lambda r: (-r["dirty_before"] / r["examples"], r["benchmark"]),
    )
    intro = (
        "Examples that share N words in a row with any training document, before and after the cuts. N is the 5th percentile "
        "of a benchmark's example lengths, from 8 to 13. The ids are in decontaminate/dirty.jsonl."
    )
    clean = (
        f"<p class='dim'>Every example of {len(found) - len(dirty)} other benchmarks is clean.</p>"
    )
    return markup.section(
        "Dirty examples",
        intro,
        markup.table(HEAD, [cells(row) for row in dirty]) if dirty else "",
        clean,
    )


def _mixture(found: Data | None) -> str:
    if found is None:
        return ""
    rows = []
    for d in found["datasets"]:
        rows.append(
            (d["dataset"], d["weight"], d["share"], f"{d['share']:.2%}, planned {d['weight']:.2%}")
        )
    chart = charts.bars("Planned and achieved share of each dataset", rows)
    key = "<p class='dim'><i class='a'></i> planned <i class='b'></i> achieved</p>"
    head = [
        "dataset",
        "tokens there are",
        "validation",
        "epochs",
        "placed",
        "share",
        "planned",
        "in single shards",
    ]
    table = [
        [
            d["dataset"],
            f"{d['tokens']:,}",
            f"{d['validation_tokens']:,}",
            f"{d['epochs']:,.2f}",
            f"{d['placed']:,}",
            f"{d['share']:.2%}",
            f"{d['weight']:.2%}",
            f"{d['lowest_share']:.1%} to {d['highest_share']:.1%}",
        ]
        for d in found["datasets"]
    ]
    train = [shard for shard in found["shards"] if shard["split"] == "train"]
    intro = f"{sum(shard['tokens'] for shard in train):,} tokens in {len(train):,} training shards."
    return markup.section(
        "Mixture", intro, f"<div class='card'>{chart}{key}</div>", markup.table(head, table)
    )


def _languages(found: Data) -> str:
    cards = []
    for name, rows in found.items():
        if rows:
            lines = [
                (
                    r["language"],
                    float(r["documents"]),
                    float(r["kept"]),
                    f"{r['documents']:,}, {r['kept']:,} kept",
                )
                for r in rows
            ]
            cards.append(markup.card(name, charts.bars(f"Languages of {name}", lines)))
    key = "<i class='a'></i> documents <i class='b'></i> kept at the end"
    return markup.section("Languages", key, markup.cards(*cards))


def _lengths(found: Data) -> str:
    cards = []
    for name, counts in found["datasets"].items():
        first = next(i for i, count in enumerate(counts) if count)
        names = [
            charts.short(2**i) if i < 10 else f"{2 ** (i - 10)}Ki"
            for i in range(first, len(counts))
        ]
        label = f"{found['unit']} (each bar: up to twice its number)"
        cards.append(
            markup.card(
                name,
                charts.columns(
                    f"Documents of {name} by length", names, counts[first:], label=label
                ),
            )
        )
    return markup.section(
        "Lengths", f"Kept documents by length in {found['unit']}.", markup.cards(*cards)
    )


def _samples(found: Data | None) -> str:
    if not found:
        return ""
    cards = []
    for rows in found.values():
        for row in rows:
            said = f"draw {row['draw']:.4f}, more than {row['needed']:.4f} needed (score {row['score']:.4f})"
            where = escape(row["url"] or row["id"])
            word = "kept" if row["kept"] else "removed"
            cards.append(
                f"<div class='card {word}'><strong>{word}</strong> <span class='dim'>{escape(said)}<br>{where}</span>"
                f"<p class='text'>{escape(row['text'] or '')}</p></div>"
            )
    intro = "Random documents that just stayed and just left."
    return markup.section("Near the threshold", intro, markup.cards(*cards))


def _extracted(found: list[Data] | None) -> str:
    if not found:
        return ""
    from curation.blocks.extractor import Block

    parts = []
    for one in found:
        word = "kept" if one["kept"] else "removed later"
        head = f"{word}: {escape(one['url'] or one['id'])}"
        if one["blocks"] is None:
            parts.append(
                f"<p class='dim'>{head}. The page is not to be found in its archive again.</p>"
            )
            continue
        blocks = [Block(**block) for block in one["blocks"]]
        more = f"<p class='dim'>and {one['more']} more</p>" if one["more"] else ""
        said = f"{sum(block.kept for block in blocks)} of {len(blocks)} blocks are text"
        parts.append(
            f"<details><summary>{head} ({said})</summary>{''.join(map(block_row, blocks))}{more}</details>"
        )
    intro = "Random pages as the extractor saw them: each block with its score, blue where it was taken for main text, orange where not."
    return markup.section("Pages, block by block", intro, "".join(parts))


def _recipe(data: Data) -> str:
    recipe = data["recipe"]
    rows = [["seed", str(recipe["seed"])]]
    for table in recipe["stages"]:
        for key, value in recipe.get(table, {}).items():
            rows.append([f"{table}.{key}", str(value)])
    intro = f"Every setting, defaults included. curation {escape(data['curation'])}."
    return markup.section(
        "Recipe",
        intro,
        f"<details><summary>Show</summary>{markup.table(['key', 'value'], rows)}</details>",
    )
