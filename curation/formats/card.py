"""README.md of a data set, made from the recipe, the funnel and the figures of a run.

Cost: the footers of every shard, and two small columns of the kept documents.

Trap: names and addresses in it were written by others: they are shown as code, cut short.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from curation import store
from curation.inspect.evidence.flow import TOTAL, Flow, Line, funnel, funnel_rows
from curation.recipe.line import STAGES
from curation.rundir import kept, ledger
from curation.rundir.schema import REASONS
from curation.shown import masked, printable
from curation.version import __version__

if TYPE_CHECKING:
    from curation.formats.parts import Job
    from curation.recipe.tables import Dataset
    from curation.rundir.plan import Plan

SHOWN = 20  # languages, licences and files of a dataset that are listed
MOST_CHARS = 200  # of a name that others wrote
LEAST_SHARE = 0.01  # of the documents: a language with less is not one of the data set's
# What the Hub calls sizes, by the number of rows below which each holds.
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"),
         (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"),
         (1_000_000_000, "100M<n<1B"))  # fmt: skip


def card(job: Job, plan: Plan, names: Sequence[str], license: str) -> str:
    """The card of an export whose files are `names`."""
    flows = funnel(job.rundir, plan)
    counts = {name: _counted(job, plan, name) for name in ("language", "license")}
    documents = sum(counts["language"].values())
    parts = [
        _front_matter(names, counts["language"], documents, license),
        f"# {_title(job)}\n",
        f"{documents:,} texts, made with curation {__version__} by the recipe below. A document from "
        "which benchmark text was cut is several texts. Every document that was removed has a "
        "reason.\n",
        "## What was removed, and why\n",
        _funnel_table(flows),
        _reasons(flows),
        "## Sources\n",
        *(_source(dataset) for dataset in job.rundir.recipe.dataset),
        "## Licences\n",
        _licences(counts["license"], license),
        "## Languages\n",
        _counts_table("language", counts["language"]),
        "## Columns\n",
        *_columns(job),
        "\n## Recipe\n",
        _recipe(job),
    ]
    return "\n".join(parts) + "\n"


def _counted(job: Job, plan: Plan, column: str) -> Counter[str]:
    """How many kept documents have each value of a column; empty where there is none."""
    import pyarrow.compute as pc

    known = kept.kept_schema(job.rundir, plan)
    names = [column] if column in known.names else []
    counts: Counter[str] = Counter()
    if not names:
        return counts
    for batch in kept.kept_documents(job.rundir, plan, names):
        for pair in pc.value_counts(batch.column(0)).to_pylist():
            counts[str(pair["values"] or "unknown")] += pair["counts"]
    return counts


def _front_matter(
    names: Sequence[str], languages: Counter[str], documents: int, license: str
) -> str:
    """What the Hub reads: JSON values are YAML values."""
    usual = [
        code
        for code, n in languages.most_common(SHOWN)
        if n >= LEAST_SHARE * documents and 2 <= len(code) <= 3 and code.isalpha() and code != "und"
    ]
    size = next((name for most, name in SIZES if documents < most), "n>1B")
    lines = ["---", "task_categories:", "- text-generation", "tags:", "- curation"]
    if license:
        lines.append(f"license: {_yaml(license)}")
    if usual:
        lines += ["language:", *(f"- {_yaml(code)}" for code in usual)]
    lines += ["size_categories:", f"- {_yaml(size)}", "configs:"]
    folders = sorted({posixpath.dirname(name) for name in names})
    lines += _config("default", "data/*", names)
    for folder in folders if len(folders) > 1 else ():
        name = posixpath.basename(folder)
        if name != "default":
            lines += _config(name, folder, [n for n in names if posixpath.dirname(n) == folder])
    return "\n".join([*lines, "---\n"])


def _config(name: str, folder: str, names: Sequence[str]) -> list[str]:
    lines = [f"- config_name: {_yaml(name)}", "  data_files:"]
    for split in ("train", "validation"):
        if any(posixpath.basename(file).startswith(split + "-") for file in names):
            lines += [f"  - split: {split}", f"    path: {_yaml(f'{folder}/{split}-*.parquet')}"]
    return lines


def _yaml(text: str) -> str:
    return orjson.dumps(text).decode()


def _title(job: Job) -> str:
    names = [d.name for d in job.rundir.recipe.dataset if d.role != "reference"]
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


def _funnel_table(flows: Sequence[Flow]) -> str:
    """Documents by stage and dataset, as `curation run` shows them."""
    shown = flows if len(flows) > 2 else flows[:1]
    rows = funnel_rows(list(shown))
    head = ["", *(_code(f.dataset) if f.dataset != TOTAL else TOTAL for f in shown)]
    lines = [_row(head), _row(["---", *["---:"] * len(shown)])]
    for row in rows:
        is_cut = row.outcome == ledger.CUT
        cells = ["" if line is None else _cell(line, is_cut) for line in row.lines]
        lines.append(_row([row.name, *cells]))
    return "\n".join(lines) + "\n"


def _cell(line: Line, is_cut: bool) -> str:
    return f"{line.chars:,} characters" if is_cut else f"{line.documents:,}"


def _reasons(flows: Sequence[Flow]) -> str:
    names = dict.fromkeys(row.outcome for row in funnel_rows(list(flows)))
    lines = [f"- `{name}`: {REASONS[name]}" for name in names if name in REASONS]
    return "\n".join(lines) + "\n"


def _source(dataset: Dataset) -> str:
    """One dataset: what it is and where it is from. Local paths are named by their last part."""
    places = [*dataset.crawls]
    if dataset.crawls:
        places = [f"Common Crawl {crawl} ({dataset.kind})" for crawl in dataset.crawls]
    for path in dataset.files:
        place = masked(path) if store.is_remote(path) else posixpath.basename(path.rstrip("/"))
        places.append(_code(place))
    if dataset.urls:
        places.append("a list of addresses, from Common Crawl")
    if dataset.selects:
        share = f", {100 * dataset.sample:.1f} % of the pages" if dataset.sample < 1 else ""
        chosen = f" chosen by {_code(dataset.select)}" if dataset.select else ""
        places[-1] += f"{chosen}{share}"
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    use = ", only compared with, not part of the data" if dataset.role == "reference" else ""
    return f"- {_code(dataset.name)} ({dataset.role}{use}): {', '.join(places[:SHOWN])}{more}\n"


def _licences(counts: Counter[str], license: str) -> str:
    rights = "The texts are those of their authors; each has the rights and terms of its source."
    given = f" The collection is given under {_code(license)}." if license else ""
    if not counts:
        return f"{rights}{given} The licences of single pages were not read.\n"
    return f"{rights}{given} What pages say of their own licence:\n\n" + _counts_table(
        "licence", counts
    )


def _counts_table(name: str, counts: Counter[str]) -> str:
    lines = [_row([name, "documents"]), _row(["---", "---:"])]
    lines += [_row([_code(value), f"{n:,}"]) for value, n in counts.most_common(SHOWN)]
    if rest := sum(counts.values()) - sum(n for _, n in counts.most_common(SHOWN)):
        lines.append(_row(["others", f"{rest:,}"]))
    return "\n".join(lines) + "\n"


def _columns(job: Job) -> list[str]:
    from curation.rundir.schema import DOCUMENTS

    told = {field.name: (field.metadata or {}).get(b"meaning", b"").decode() for field in DOCUMENTS}
    told |= {
        "dataset": "the source, as named above",
        "piece": "number of the piece, where benchmark text was cut out; else null",
        "quality": "probability of being like the trusted corpora",
    }
    return [
        f"- {_code(name)}: {told.get(name) or 'as in the source'} ({job.schema.field(name).type})"
        for name in job.columns
    ]


def _recipe(job: Job) -> str:
    """What the recipe says, as JSON: keys that have another value than their default, and of local
    paths the last part."""
    from curation.recipe.reading import as_dict
    from curation.recipe.tables import Dataset, Recipe

    recipe = job.rundir.recipe
    data = as_dict(recipe)
    plain = as_dict(Recipe(dataset=(Dataset(name="x", files=("x",)),), stages=("extract",)))
    datasets = [_differing(row, plain["dataset"][0]) for row in data["dataset"]]
    changed = {**_differing(data, plain), "dataset": datasets, "stages": data["stages"]}
    names = [key for key in changed if key not in STAGES or key in recipe.stages]
    shown = _without_paths({key: changed[key] for key in names})
    text = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
    return f"Keys that are not named have their default.\n\n```json\n{text.replace('```', '')}\n```"


def _differing(data: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    out = {}
    for key, value in data.items():
        if isinstance(value, dict) and isinstance(plain.get(key), dict):
            if inner := _differing(value, plain[key]):
                out[key] = inner
        elif value != plain.get(key):
            out[key] = value
    return out


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return posixpath.basename(value.rstrip("/"))
    return value


def _code(text: str) -> str:
    """Text that others wrote, as code in a table."""
    shown = printable(text[:MOST_CHARS]).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
