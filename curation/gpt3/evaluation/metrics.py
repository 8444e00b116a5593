"""How written answers are compared, and figures with their 95 % intervals.

A row has the figures of one example; `metrics` makes those of a set. BLEU is a figure of the whole
set: its rows are counts, which add up. All figures are shares of one; a BLEU of 0.25 is usually
printed as 25.

Trap: SQuAD's normalisation takes away signs, so that -6 and 6 are equal; answers to arithmetic are
compared by `normalised`.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Row = dict[str, float]
Rows = list[Row]
Interval = dict[str, float]
Table = npt.NDArray[np.float64]
_Z = 1.96
ORDER = 4  # BLEU's longest n-grams
_RESAMPLES = 1000
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """An answer as it is compared: lower case, one space between words, no full stop at the end, no
    commas within numbers.

    >>> normalised(" 1,053.") == normalised("1053"), normalised("-6") == normalised("6")
    (True, False)
    """
    text = re.sub(r"(?<=\d),(?=\d{3})", "", " ".join(answer.lower().split()))
    return text.rstrip(".").rstrip()


def squad_normalised(answer: str) -> str:
    """SQuAD's: lower case, without ASCII punctuation and articles, one space between words.

    >>> squad_normalised(" The  Chicago Bears!")
    'chicago bears'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, right: str) -> float:
    """1.0 where both are equal after SQuAD's normalisation."""
    return float(squad_normalised(answer) == squad_normalised(right))


def f1(answer: str, right: str) -> float:
    """The harmonic mean of precision and recall of words, as SQuAD 2 counts them.

    >>> round(f1("in the year 1985", "1985"), 4)
    0.5
    """
    words, wanted = squad_normalised(answer).split(), squad_normalised(right).split()
    if not words or not wanted:
        return float(words == wanted)
    common = sum((Counter(words) & Counter(wanted)).values())
    return 2 * common / (len(words) + len(wanted))


def referent(answer: str, noun: str) -> float:
    """1.0 where the words of one are among those of the other, without articles.

    >>> referent("The old Mr. Moncrieff", "mr. moncrieff"), referent("Edward", "mr. moncrieff")
    (1.0, 0.0)
    """
    words, wanted = set(squad_normalised(answer).split()), set(squad_normalised(noun).split())
    return float(bool(words and wanted) and (words <= wanted or wanted <= words))


def _accuracy(answer: str, right: str) -> float:
    return float(normalised(answer) == normalised(right))


_COMPARED: Mapping[str, Callable[[str, str], float]] = {
    "accuracy": _accuracy,
    "exact": exact,
    "referent": referent,
}


def answer_row(answer: str, right: Sequence[str], metric: str, denied: bool = False) -> Row:
    """The figures of one written answer, the best of all `right` ones.

    With `denied` an answer that differs from all of them is right.
    """
    if metric == "bleu":
        return {"right": max(exact(answer, r) for r in right)} | bleu_counts(answer, right)
    if metric == "f1":
        scores = {"f1": max(f1(answer, r) for r in right)}
        return {"right": max(exact(answer, r) for r in right), **scores}
    same = max(_COMPARED[metric](answer, r) for r in right)
    return {"right": 1.0 - same if denied else same}


# ---- BLEU ----------------------------------------------------------------------------------------

# What mteval-v13a, sacrebleu's default, sets apart as tokens: ASCII signs but , . - and '.
_SIGNS = str.maketrans({sign: f" {sign} " for sign in '!"#$%&()*+/:;<=>?@[\\]^_`{|}~'})
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_BEFORE_MARK = re.compile(r"([^0-9])([.,])")
_AFTER_MARK = re.compile(r"([.,])([^0-9])")
_DASH = re.compile(r"([0-9])-")


def bleu_tokens(text: str) -> list[str]:
    """Words and signs as mteval-v13a splits them; , and . stay inside numbers.

    >>> bleu_tokens('He paid 1,500.50 "dollars", in 1990-91.')
    ['He', 'paid', '1,500.50', '"', 'dollars', '"', ',', 'in', '1990', '-', '91', '.']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    text = f" {text} ".translate(_SIGNS)
    text = _AFTER_MARK.sub(r" \1 \2", _BEFORE_MARK.sub(r"\1 \2 ", text))
    return _DASH.sub(r"\1 - ", text).split()


def _ngrams(tokens: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(tokens[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(tokens) - n + 1)
    )


def bleu_counts(answer: str, right: Sequence[str]) -> Row:
    """Of one answer: n-grams shared with a reference and all of them, n from 1 to 4; its length and
    that of the reference nearest in length."""
    tokens, references = bleu_tokens(answer), [bleu_tokens(text) for text in right]
    most: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        most |= _ngrams(reference)
    grams = _ngrams(tokens)
    row = {f"shared_{n}": 0.0 for n in range(1, ORDER + 1)}
    for gram, count in (grams & most).items():
        row[f"shared_{len(gram)}"] += count
    row |= {f"all_{n}": float(max(0, len(tokens) - n + 1)) for n in range(1, ORDER + 1)}
    lengths = [len(reference) for reference in references]
    nearest = min(lengths, key=lambda length: (abs(length - len(tokens)), length))
    return row | {"length": float(len(tokens)), "wanted": float(nearest)}


_COUNTS = [f"{kind}_{n}" for kind in ("shared", "all") for n in range(1, ORDER + 1)]


def bleu(rows: Rows) -> float:
    """BLEU of a set from the counts of its answers, with sacrebleu's `exp` smoothing."""
    return float(_bleu(_count_table(rows).sum(0)[None])[0])


def _count_table(rows: Rows) -> Table:
    return np.array([[row[key] for key in [*_COUNTS, "length", "wanted"]] for row in rows])


def _bleu(sums: Table) -> Table:
    """BLEU of each row of summed counts (N, 10)."""
    shared, total = sums[:, :ORDER], sums[:, ORDER : 2 * ORDER]
    length, wanted = sums[:, -2], sums[:, -1]
    none = (shared == 0) & (total > 0)
    # Each order without a match counts as half a match, the next as a quarter, and so on.
    smoothed = np.where(none, 0.5 ** none.cumsum(1), shared)
    possible = (total > 0).all(1) & (shared > 0).any(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.exp(np.log(smoothed / total).mean(1))
        brevity = np.where(length < wanted, np.exp(1 - wanted / length), 1.0)
    return np.where(possible, precision * brevity, 0.0)


# ---- figures of a set ----------------------------------------------------------------------------


def metrics(rows: Rows, kind: str, metric: str) -> dict[str, Any]:
    """`accuracy`, and for a cloze `perplexity` of the word, for others `f1` or `bleu` where the rows
    have them, each with its 95 % interval; None where there is no example.

    `metric` names the one that counts, and `score` is that one.
    """
    right = [row["right"] for row in rows]
    out: dict[str, Any] = {"accuracy": share(int(sum(right)), len(right))}
    if kind == "cloze":
        out["perplexity"] = _perplexity([row["log_probability"] for row in rows])
    if metric == "bleu":
        out["bleu"] = _resampled(_count_table(rows), _bleu) if rows else None
    elif metric == "f1":
        out["f1"] = _mean([row["f1"] for row in rows])
    elif kind == "labels":
        counts = np.array([[row["both"], row["named"]] for row in rows])
        out["f1"] = _resampled(counts, _f1_of_counts) if rows else None
    name = metric if metric in ("f1", "bleu") else "accuracy"
    return out | {"metric": name, "score": out[name]}


def share(count: int, of: int) -> Interval | None:
    """A share with Wilson's 95 % interval.

    >>> share(5, 10)
    {'value': 0.5, 'low': 0.2366, 'high': 0.7634}
    """
    if not of:
        return None
    p, z2 = count / of, _Z * _Z
    middle = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return _rounded(p, max(0.0, middle - half), min(1.0, middle + half))


def _rounded(value: float, low: float, high: float) -> Interval:
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def _mean(values: list[float]) -> Interval | None:
    """A mean of shares with its 95 % interval."""
    if not values:
        return None
    mean, half = float(np.mean(values)), 0.0
    if len(values) > 1:
        half = _Z * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _rounded(mean, max(0.0, mean - half), min(1.0, mean + half))


def _resampled(table: Table, figure: Callable[[Table], Table]) -> Interval:
    """A figure of summed counts, of a row for each example, with the middle 95 % of 1,000 sets drawn
    from the examples with replacement."""
    drawn = np.random.default_rng(0).multinomial(
        len(table), np.full(len(table), 1 / len(table)), size=_RESAMPLES
    )
    low, high = np.percentile(figure(drawn @ table), [2.5, 97.5])
    return _rounded(float(figure(table.sum(0)[None])[0]), float(low), float(high))


def _f1_of_counts(sums: Table) -> Table:
    """MultiRC's F1a: true answers that are called true, twice, of those that are either."""
    return np.where(sums[:, 1] > 0, 2 * sums[:, 0] / np.maximum(sums[:, 1], 1), 1.0)


def _perplexity(log_probabilities: list[float]) -> Interval | None:
    """exp of the mean negative log probability, with the 95 % interval of that mean."""
    if not log_probabilities:
        return None
    values = -np.array(log_probabilities)
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    mean = float(values.mean())
    points = {"value": mean, "low": mean - half, "high": mean + half}
    return {name: float(f"{np.exp(min(point, 700.0)):.5g}") for name, point in points.items()}


def apart(
    ids: Sequence[str], sides: Mapping[str, set[str]], rows: Rows, kind: str, metric: str
) -> dict[str, Any]:
    """The metrics of the examples with each side's ids, and of all others as `clean`
    (appendix C.2); a side without examples is left out, but for `clean` and `dirty`."""
    by_side: dict[str, Rows] = {"clean": [], **{side: [] for side in sides}}
    for id_, row in zip(ids, rows, strict=True):
        side = next((side for side, of_side in sides.items() if id_ in of_side), "clean")
        by_side[side].append(row)
    return {
        side: {"examples": len(of_side), **metrics(of_side, kind, metric)}
        for side, of_side in by_side.items()
        if of_side or side in ("clean", "dirty")
    }
