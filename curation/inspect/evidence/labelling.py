"""Documents of a run to label, one after another; each label is written as it is given.

Cost: the score and id of every document that the quality filter decides on, once; then the text of
one document a question.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation import store
from curation.inspect.evidence import frames, labels

if TYPE_CHECKING:
    from curation.rundir.directory import RunDirectory
    from curation.rundir.plan import Plan


@dataclass(frozen=True, slots=True)
class Question:
    """A document to label, without its score, which would sway whoever labels it. `number`: from 1,
    counting the labels that are there."""

    number: int
    dataset: str
    id: str
    url: str | None
    text: str


class Labelling:
    """What is still to label of a run, of `count` documents drawn by `seed`.

    Labels stand in RUN/labels.jsonl, which is read again before each label is written, so that what
    another terminal or browser wrote meanwhile stays.
    """

    def __init__(self, rundir: RunDirectory, plan: Plan, count: int, seed: int) -> None:
        """Raises RunError where the quality filter of the run scored nothing."""
        self.rundir, self.plan, self.count = rundir, plan, count
        self.documents = labels.scored_documents(rundir, plan)
        self.path = rundir.path(labels.FILE)
        waiting = labels.to_label(rundir, plan, self.documents, count, seed)
        rows = self._rows()
        placed, _ = labels.placed_labels(rundir, plan, self.documents, rows)
        self._waiting = [place for place in waiting if placed[place] < 0]
        self._answered: list[tuple[int, Question]] = []
        self._lock = threading.Lock()

    def question(self) -> Question | None:
        """The next document; None where none is left."""
        if not self._waiting:
            return None
        place = self._waiting[0]
        shard = self.plan.shards[self.documents.ordinal[place]]
        columns = ["id", "url", "text"]
        row = int(self.documents.row[place])
        document = frames.take_one(self.rundir.documents(shard), row, columns)
        return Question(len(self._rows()) + 1, shard.dataset, **document)

    def answer(self, question: Question, label: int | None) -> None:
        """Write a label of the next document, or skip it (None) until the run is opened again.

        Nothing is done where another document is next by now, as after a click too many.
        """
        with self._lock:
            now = self.question()
            if now is None or (now.dataset, now.id) != (question.dataset, question.id):
                return
            if label is not None:
                row = {"dataset": now.dataset, "id": now.id, "url": now.url, "label": label}
                labels.write_labels(self.path, [*self._rows(), row])
            self._answered.append((self._waiting.pop(0), now))

    def back(self) -> None:
        """Ask again for the last document that was labelled or skipped here; its label goes."""
        with self._lock:
            if not self._answered:
                return
            place, question = self._answered.pop()
            key = (question.dataset, question.id)
            rows = [row for row in self._rows() if (row.get("dataset"), row.get("id")) != key]
            labels.write_labels(self.path, rows)
            self._waiting.insert(0, place)

    def _rows(self) -> list[labels.LabelRow]:
        return labels.read_labels(self.path) if store.exists(self.path) else []
