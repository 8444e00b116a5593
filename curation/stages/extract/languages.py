"""Languages of a batch of documents, and which of them the recipe keeps.

Costs about 0.08 ms a document with lid.176. A model of the user's is known in digests by
its content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curation.errors import InputError
from curation.recipe.languages import check_labels
from curation.recipe.tables import ExtractConfig
from curation.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from curation.readers.language_model import ModelFile

Row = dict[str, Any]


def check(rundir: RunDirectory) -> None:
    """Raise InputError where the model is missing, is no fastText classifier, or has not the
    languages to keep among its labels."""
    from curation.readers.language_model import model_labels

    recipe = rundir.recipe
    if (model := given_model(rundir)) is None:
        return
    try:
        labels = model_labels(model.path)
    except InputError as error:
        raise InputError(f"extract.language_model: {error}") from error
    wanted = {"extract.": recipe.extract.languages}
    wanted |= {f"dataset {d.name!r}: ": d.languages or () for d in recipe.dataset}
    for where, codes in wanted.items():
        try:
            check_labels(codes, labels, model.path)
        except ValueError as error:
            raise InputError(f"{where}{error}") from error


def given_model(rundir: RunDirectory) -> ModelFile | None:
    """The user's model with the digest of its content; None where lid.176 is asked.

    Raises InputError where it is not there.
    """
    from curation.readers.language_model import model_file

    if not (path := rundir.recipe.extract.language_model):
        return None
    try:
        return model_file(path)
    except InputError as error:
        raise InputError(f"extract.language_model: {error}") from error


def identity(rundir: RunDirectory) -> str:
    """The digest of the user's model; empty where lid.176 is asked."""
    model = given_model(rundir)
    return model.sha256 if model else ""


def kept_and_refused(
    config: ExtractConfig, model: ModelFile | None, rows: list[Row], refused: list[Row]
) -> tuple[list[Row], list[Row]]:
    """The rows with their languages, and `refused` with those behind it that are not wanted.

    A row whose `language` is there already, null too, is not asked about.
    """
    from curation.readers.language import languages

    unknown = [row for row in rows if "language" not in row]
    names, scores = languages([row["text"] for row in unknown], model) if unknown else ([], [])
    for row, name, score in zip(unknown, names, scores, strict=True):
        row["language"], row["language_score"] = name, score
    if not config.languages:
        return rows, refused
    kept, refused = [], list(refused)
    for row in rows:
        is_wanted = row["language"] in config.languages
        # A text without words has no probability.
        is_sure = row["language"] == "und" or row["language_score"] >= config.language_threshold
        if is_wanted and is_sure:
            kept.append(row)
            continue
        detail = f"{row['language']} ({row['language_score']:.2f})"
        detail += f", {config.language_threshold:g} needed" if is_wanted else ""
        place = {name: row[name] for name in ("url", "archive", "offset")}
        refused.append({**place, "reason": "language", "detail": detail})
    return kept, refused
