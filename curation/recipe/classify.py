"""The keys of the quality classifier in a recipe. They stand beside those of `tables.py`, and are
imported from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curation.keys import check_bounds, key
from curation.recipe.signals import check_signals
from curation.shown import brief

Scaling = Literal["none", "tf", "binary", "l2", "log-l2"]
FASTTEXT_FILES = (".bin", ".ftz")  # how the name of a given fastText model ends


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """[classify]: the quality classifier and the Pareto rule (GPT-3, appendix A).

    What the paper does not state is declared in `gpt3.toml`. The defaults are those that keep the
    best pages by labels (docs/classifier.md): three signals of prose, no words.
    """

    scaling: Scaling = key("none", 'How term counts become features; "none": only signals.')
    signals: tuple[str, ...] = key(("prose",), "Signals beside the terms: groups or names.")
    calibration: Literal["trusted", "none", "platt", "isotonic"] = key(
        "trusted", "What makes a score of a logit, by the documents of the folds."
    )
    positives_by: Literal["characters", "documents"] = key("characters", "What positives weigh by.")
    alpha: float = key(9.0, "Pareto shape: the higher, the stricter.", least=0.01, most=1000)
    C: float | Literal["auto"] = key(100.0, 'Inverse regularisation; "auto": tried.', least=1e-9)
    class_weight: Literal["balanced", "none"] = key("balanced", "Whether both classes weigh alike.")
    positives: tuple[str, ...] = key((), "Datasets to learn as good; the trusted ones when empty.")
    negatives: tuple[str, ...] = key((), "Datasets to learn as unfiltered; the crawls when empty.")
    max_documents: int = key(
        100_000, "Documents of each class, shared between its datasets.", least=1
    )
    weights: dict[str, float] = key(
        {}, "Weight of a dataset in its class; 1 when not named.", least=1e-9
    )
    window_chars: int = key(0, "Windows of long documents, in characters; 0: whole.", least=0)
    folds: int | Literal["auto"] = key(
        "auto", 'Folds by site that score crawls; "auto": 5 for small ones.', least=0, most=100
    )
    model: str = key(
        "", "Folder of a fitted model, or a fastText file (.bin, .ftz), instead of fitting one."
    )
    model_label: str = key("", "Label of the fastText file whose probability is the score.")
    scores_of: Literal["documents", "windows"] = key(
        "documents", "Whether a score is of the whole text, or the mean of those of its windows."
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        check_signals(self.signals, self.scaling)
        if self.model_label and not self.model.endswith(FASTTEXT_FILES):
            raise ValueError(
                "classify.model_label: a fastText file (.bin, .ftz) expected in classify.model, got "
                f"{brief(self.model)}"
            )
        if self.scores_of == "windows" and not self.window_chars:
            raise ValueError(
                'classify.scores_of: "windows" needs their length in classify.window_chars, got 0'
            )
        if self.folds == 1:
            raise ValueError(
                'classify.folds: "auto", 0 for one model, or 2 and more expected, got 1'
            )
