"""`curation model` and `curation alpha` on a terminal. Trap: tokens and URLs come from pages; all are cleaned before they are printed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from curation.inspect.format import measure, plain_table

Data = dict[str, Any]
BAR = 40  # characters of the longest bar
TOKENS = 15  # strongest features shown each way


def show_model(model: Data, console: Console) -> None:
    """Print a model's card and how its fit went."""
    console.print(f"[bold]{escape(str(model.get('kind', 'model')))}[/]", highlight=False)
    for key in ("scaling", "C", "class_weight", "window_chars", "sha256"):
        console.print(f"  {key} {model.get(key)}", highlight=False)
    _training(model, console)
    report = model["report"]
    if report is None:
        console.print("There is no report.json beside the card: how the fit went is not known.")
        return
    figures = "  ".join(
        f"{key} {measure(report[key])}" for key in ("auc", "average_precision", "f1", "log_loss")
    )
    console.print(
        f"On {report['documents']:,} documents of held-out sites: [bold]{figures}[/]",
        highlight=False,
    )
    _fit_tables(report, console)


def _fit_tables(report: Data, console: Console) -> None:
    _lines(
        console,
        "Held-out scores by dataset",
        ("dataset", "documents", "sites", "AUC", "scores 0 to 1"),
        [
            (
                name,
                f"{own['documents']:,}",
                f"{own['sites']:,}",
                measure(own["auc"]),
                _sparks(own["scores"]),
            )
            for name, own in report["datasets"].items()
        ],
    )
    _lines(
        console,
        "Calibration: mean score and share of positives, classes weighed as in the fit",
        ("score", "documents", "mean score", "positive"),
        [
            (
                f"{b['from']:.2f} to {b['to']:.2f}",
                f"{b['documents']:,}",
                f"{b['score']:.3f}",
                f"{b['positive']:.3f}",
            )
            for b in report["calibration"]
        ],
    )
    if report["tried"]:
        _lines(
            console,
            "C, on the other half of the held-out sites",
            ("C", "AUC", "log loss"),
            [
                (f"{one['C']:g}", measure(one["auc"]), measure(one["log_loss"]))
                for one in report["tried"]
            ],
        )
    _lines(
        console,
        "Learning curve",
        ("training documents", "AUC", "log loss"),
        [
            (f"{one['documents']:,}", measure(one["auc"]), measure(one["log_loss"]))
            for one in report["curve"]
        ],
    )
    _strongest(report, console)


def _strongest(report: Data, console: Console) -> None:
    for side, rows in report["strongest"].items():
        _lines(
            console,
            f"Strongest features of the {side}s, and the tokens that share each",
            ("weight", "in positives", "in negatives", "tokens"),
            [
                (
                    f"{row['weight']:+.2f}",
                    f"{row['positive_documents']:,}",
                    f"{row['negative_documents']:,}",
                    token_list(row),
                )
                for row in rows[:TOKENS]
            ],
        )


def show_alpha(found: Data, console: Console) -> None:
    """Print the fit of alpha with its misfit, and what each alpha would keep."""
    fit = found["fit"]
    if "refused" in fit:
        console.print(
            f"No alpha fits {fit['dataset']}: {fit['refused']}.", highlight=False, soft_wrap=True
        )
    else:
        console.print(
            f"[bold]alpha {fit['alpha']:.2f}[/] (95 % interval {fit['low']:.2f} to {fit['high']:.2f}) fits {fit['dataset']}: "
            f"{fit['documents']:,} {fit['which']}. Widest gap to the law: {fit['distance']:.3f}.",
            highlight=False,
            soft_wrap=True,
        )
        top = max([1.0, *fit["counts"], *fit["expected"]])
        rows = zip(fit["edges"][:-1], fit["edges"][1:], fit["counts"], fit["expected"], strict=True)
        _lines(
            console,
            "Misfit: scores found (#) against the law (|)",
            ("score", "found", "law", ""),
            [
                (f"{a:.2f} to {b:.2f}", f"{count:,}", f"{law:,.1f}", _bar(count / top, law / top))
                for a, b, count, law in rows
            ],
        )
    edges = found["edges"]
    for name, own in found["datasets"].items():
        bands = [f"{a:.1f}-{b:.1f}" for a, b in itertools.pairwise(edges)]
        rows_ = [
            ("documents", f"{sum(own['counts']):,}", "", *(f"{count:,}" for count in own["counts"]))
        ]
        for alpha, kept in zip(found["alphas"], own["kept"], strict=True):
            mark = " *" if alpha == found["alpha"] else ""
            share = sum(kept) / max(1, sum(own["counts"]))
            rows_.append(
                (
                    f"{alpha:g}{mark}",
                    f"{sum(kept):,}",
                    f"{share:.2%}",
                    *(f"{count:,}" for count in kept),
                )
            )
        _lines(
            console,
            f"What each alpha keeps of {name}, by score",
            ("alpha", "kept", "share", *bands),
            rows_,
        )


def token_list(row: Data) -> str:
    """The tokens of a feature, the commonest first, with their counts.

    >>> token_list({"tokens": [{"token": "a", "count": 2}, {"token": "", "count": 1}], "distinct_tokens": 7})
    "'a' 2, '' 1 and 5 more"
    """
    shown = ", ".join(f"{one['token']!r} {one['count']:,}" for one in row["tokens"])
    more = row["distinct_tokens"] - len(row["tokens"])
    return f"{shown} and {more} more" if more > 0 else shown


def _training(model: Data, console: Console) -> None:
    rows = [
        (
            side,
            name,
            f"{own['documents']:,}",
            f"{own['fitted']:,}",
            f"{own['sites']:,}",
            f"{own['weight']:.3f}",
            own["sha256"][:16],
        )
        for side, part in model["training"].items()
        for name, own in part["datasets"].items()
    ]
    _lines(
        console,
        "Training sets",
        ("class", "dataset", "documents", "fitted", "sites", "weight", "sha256"),
        rows,
    )


def _lines(
    console: Console, title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    text = ("tokens", "", "dataset", "scores 0 to 1")
    left = {i for i, name in enumerate(head) if i == 0 or name in text}
    console.print()
    console.print(plain_table(head, rows, title=title, left=left))


def _bar(found: float, law: float) -> str:
    cells = ["#" if i < round(BAR * found) else " " for i in range(BAR + 1)]
    cells[round(BAR * law)] = "|"
    return "".join(cells).rstrip()


def _sparks(counts: list[int]) -> str:
    """A histogram in one line, heights by the logarithm.

    >>> _sparks([0, 1, 10, 1000])
    ' ▁▃█'
    """
    top = math.log1p(max([1, *counts]))
    return "".join(" ▁▂▃▄▅▆▇█"[math.ceil(8 * math.log1p(count) / top)] for count in counts)
