"""Documents to label, one a page, and how good the quality filter is by the labels.

The only view that writes: a label into RUN/labels.jsonl, by POST, with a word that only our own pages
know.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from curation.errors import InputError, RunError
from curation.inspect.evidence import labels
from curation.inspect.evidence.labelling import Labelling, Question
from curation.web import render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from curation.web.opened import OpenRun

COUNT = 100  # documents to label
SEED = 0  # as the command has them
CHARS = 6000  # of a text
ANSWERS = {
    "2": ("Worth training on", 2),
    "1": ("Borderline", 1),
    "0": ("Not worth it", 0),
    "s": ("Skip", None),
}
WORD = secrets.token_urlsafe(24)  # of the forms of this process


def label(run: OpenRun, request: Request) -> Response:
    """`/label`: the next document; with `?figures=1` what the labels say of the filter."""
    values: dict[str, Any] = {"count": COUNT, "answers": ANSWERS, "word": WORD, "chars": CHARS}
    values |= {"question": None, "figures": None, "refusal": ""}
    try:
        labelling = _labelling(run)
        if "figures" not in request.query_params:
            values["question"] = labelling.question()
        if values["question"] is None:
            values["figures"] = _figures(run)
    except (RunError, InputError) as error:  # nothing is scored, or the labels are all alike
        values["refusal"] = str(error)
    return render.page(request, run, "label.html", "Label", values)


async def answer(run: OpenRun, request: Request) -> Response:
    """A label of the document that the page showed; then the next one."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    given = {name: values[0] for name, values in form.items()}
    if not secrets.compare_digest(given.get("word", "").encode(), WORD.encode()):
        raise HTTPException(403)
    await run_in_threadpool(_write, run, given)
    return RedirectResponse(f"{run.prefix}/label", 303)


def _write(run: OpenRun, given: dict[str, str]) -> None:
    labelling, chosen = _labelling(run), given.get("answer", "")
    if chosen == "b":
        labelling.back()
    elif chosen in ANSWERS:
        question = Question(0, given.get("dataset", ""), given.get("id", ""), None, "")
        labelling.answer(question, ANSWERS[chosen][1])


def _labelling(run: OpenRun) -> Labelling:
    return run.cached("labelling", lambda: Labelling(*run.opened(), COUNT, SEED))


def _figures(run: OpenRun) -> tuple[str, Any] | None:
    """The sentence and the table of the labels in the run directory; None where there are none."""
    own = labels.own_labels(*run.opened())
    if own is None:
        return None
    report = labels.label_report(*run.opened(), *own, drawn=True, seed=SEED)
    return labels.counts_sentence(report), labels.report_listing(report)
