"""The results of `curation evaluate` as one HTML page: figure 1.2 (scores over the number of
examples shown, with and without a description), figures 3.2 to 3.12 (scores over the size of the
model), table H.1, and, with a contamination report, table C.1 and figure 4.2.

Results are those of `curation.gpt3.evaluation.curves`, as they stand in the JSON file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curation.inspect.evidence.listing import Listing, listing
from curation.web.curves import Line, Point, line_chart, over_shots, point_chart
from curation.web.templating import standalone, svg

if TYPE_CHECKING:
    from markupsafe import Markup

Results = Sequence[dict[str, Any]]
SHOWN = {"accuracy": "accuracy", "f1": "F1", "bleu": "BLEU"}
# The figures of section 3, by the group of a task.
FIGURES = {
    "3.2": "LAMBADA",
    "3.3": "Closed-book questions",
    "3.4": "Translation",
    "3.5": "Winograd and Winogrande",
    "3.6": "Common sense",
    "3.7": "Reading comprehension",
    "3.8": "SuperGLUE",
    "3.9": "ANLI",
    "3.10": "Arithmetic",
    "3.11": "Words with their letters moved",
    "3.12": "SAT analogies",
    "H": "Others",
}


def evaluation_page(results: Results, overlap: Results = ()) -> str:
    """The whole page; `overlap` are the rows of table C.1."""
    return standalone(
        "evaluation.html",
        "curation evaluate",
        by_shots=[(_heading(rows), svg(figure_1_2(rows))) for rows in sets(results).values()],
        by_size=_by_size(results),
        scores=_table_h(results),
        overlap=_overlap(overlap) if overlap else None,
        first=next(iter(overlap), None),
        figure_4_2=svg(figure_4_2(overlap)) if overlap else "",
    )


def figure_1_2(of_task: Results) -> str:
    """One task's chart: a line for each model, with and without a description."""
    models = _models(of_task)
    lines = []
    for number, model in enumerate(models):
        for described in (True, False):
            rows = [r for r in of_task if r["model"] == model and r["described"] == described]
            points = tuple(
                _point(row, over_shots(row["shots_asked"]), f"K = {row['shots_asked']}")
                for row in sorted(rows, key=lambda row: row["shots_asked"])
            )
            words = "with a description" if described else "without a description"
            both = any(r["described"] != described for r in of_task)
            name = ", ".join([model] * (len(models) > 1) + [words] * both) or model
            if points:
                lines.append(Line(name, points, number, 0 if described else 1))
    ticks = [(over_shots(k), str(k)) for k in sorted({row["shots_asked"] for row in of_task})]
    label = "examples in the context (K)"
    return line_chart(_title(of_task), lines, ticks, label=label, level=of_task[0]["chance"])


def figure_3(of_task: Results) -> str:
    """One task's chart over the size of the model: K = 0, 1 and the most that were shown."""
    lines = []
    for number, shots in enumerate(_shots_shown(of_task)):
        rows = sorted(
            (row for row in of_task if row["shots_asked"] == shots and _main(row, of_task)),
            key=lambda row: row["parameters"],
        )
        points = tuple(_point(row, math.log10(row["parameters"]), row["model"]) for row in rows)
        lines.append(Line(_setting(shots), points, number))
    sizes = sorted({row["parameters"] for row in of_task})
    ticks = [(math.log10(size), short_size(size)) for size in sizes]
    level = of_task[0]["chance"]
    return line_chart(_title(of_task), lines, ticks, label="parameters", level=level)


def figure_4_2(overlap: Results) -> str:
    """How clean each set is, and what that changes."""
    points = [
        Point(row["clean_share"], row["relative_difference"], name=row["title"])
        for row in overlap
        if row["relative_difference"] is not None
    ]
    labels = ("share of the set that is clean", "clean against all, relative")
    return point_chart("Figure 4.2: clean examples against all", points, labels=labels)


def short_size(parameters: int) -> str:
    """A number of parameters as the paper writes it.

    >>> [short_size(n) for n in (9_979_040, 124_439_808, 1_300_000_000)]
    ['10M', '124M', '1.3B']
    """
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= size:
            value = parameters / size
            return f"{value:.2g}{unit}" if value < 10 else f"{value:.0f}{unit}"
    return str(parameters)


def sets(results: Results) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The results that have a score, by task and file, in their order."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in results:
        if row["score"]:
            found.setdefault((row["task"], row["file"]), []).append(row)
    return found


def _by_size(results: Results) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """The charts of each group that has a task, under its figure's number: (heading, chart) each."""
    groups = []
    for group in [*FIGURES, ""]:
        of_group = sets([row for row in results if row["group"] == group]).values()
        if not of_group:
            continue
        head = FIGURES.get(group, "Your own")
        number = f"Figure {group}: " if group[:1] == "3" else ""
        charts = [(_heading(rows), svg(figure_3(rows))) for rows in of_group]
        groups.append((number + head, charts))
    return groups


def _table_h(results: Results) -> Listing:
    """A row for each task and file, a column for each model with no example, one and K."""
    models = _models(results)
    settings = ("zero", "one", "few")
    head = ["task", "metric", "split", "K", *(f"{s}-shot, {m}" for s in settings for m in models)]
    rows = []
    for (_, file), of_task in sets(results).items():
        shown = [row for row in of_task if _main(row, of_task)]
        most = max(row["shots_asked"] for row in shown)
        cells = {(row["model"], row["shots_asked"]): _cell(row) for row in shown}
        columns = [
            cells.get((model, shots), "") if shots is not None else ""
            for shots in (0, 1, most if most > 1 else None)
            for model in models
        ]
        first = of_task[0]
        rows.append([first["title"], SHOWN[first["metric"]], split_of(file), str(most), *columns])
    return listing("All scores", head, rows, left=(0, 1, 2))


def _overlap(overlap: Results) -> Listing:
    """Table C.1."""
    head = (
        "task", "split", "metric", "N", "all", "examples", "dirty", "dirty examples", "clean",
        "clean examples", "not looked for", "clean share", "clean against all",
    )  # fmt: skip
    rows = [
        (
            row["title"],
            split_of(row["file"]),
            SHOWN[row["metric"]],
            str(row["n"] or ""),
            _percent(row["score"]),
            f"{row['examples']:,}",
            _percent(row["dirty_score"]),
            f"{row['dirty']:,}",
            _percent(row["clean_score"]),
            f"{row['clean']:,}",
            f"{row['unsearched']:,}",
            f"{100 * row['clean_share']:.1f} %",
            _relative(row["relative_difference"]),
        )
        for row in overlap
    ]
    return listing("Overlap with the training text", head, rows, left=(0, 1, 2))


def split_of(file: str) -> str:
    """The part of a benchmark that a file has, by its name.

    >>> split_of("piqa.val.jsonl"), split_of("rte2_dev.jsonl"), split_of("mine.jsonl")
    ('val', 'dev', '')
    """
    words = file.lower().replace("_", ".").replace("-", ".").split(".")
    return next((w for w in words if w in ("test", "dev", "val", "validation", "train")), "")


def _models(results: Results) -> list[str]:
    """The models by size."""
    sizes = {row["model"]: row["parameters"] for row in results}
    return sorted(sizes, key=lambda model: (sizes[model], model))


def _main(row: dict[str, Any], rows: Results) -> bool:
    """Whether a row is asked with the description, or its task never is."""
    return bool(row["described"]) or not any(other["described"] for other in rows)


def _shots_shown(rows: Results) -> list[int]:
    asked = {row["shots_asked"] for row in rows}
    return sorted({0, 1, max(asked)} & asked)


def _setting(shots: int) -> str:
    return {0: "zero-shot", 1: "one-shot"}.get(shots, f"few-shot, K = {shots}")


def _heading(rows: Results) -> str:
    return f"{rows[0]['title']} ({SHOWN[rows[0]['metric']]}), {rows[0]['file']}"


def _title(rows: Results) -> str:
    return f"{rows[0]['title']}, {SHOWN[rows[0]['metric']]} in percent"


def _point(row: dict[str, Any], x: float, name: str) -> Point:
    score = row["score"]
    return Point(x, score["value"], score["low"], score["high"], name)


def _cell(row: dict[str, Any]) -> str:
    score = row["score"]
    return f"{100 * score['value']:.1f}" if score else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _relative(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f} %"
