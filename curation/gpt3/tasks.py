"""Evaluation tasks: how a record of a benchmark file becomes a prompt (GPT-3, sections 2.4 and 3,
wordings of appendix G).

A task is a row of TASKS: the file, a function from its records to examples, and how answers are
compared. Files that no row knows are read by the shape of their records (`task_for`), so that one's
own sets can be used.

kinds:
    choice   several completions of one context; the likeliest wins: per token, or
             (`answer_context`, for ARC, OpenBookQA and RACE) by
             P(completion | context) / P(completion | answer context)
    partial  one completion of several contexts ("partial evaluation", Winograd and Winogrande)
    cloze    one word: perplexity, and whether it is the likeliest
    answer   free-form, written greedily and compared after normalisation

Trap: completions begin with a space, contexts end without one, as GPT-2's tokens want it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from curation.errors import InputError
from curation.kernels.examples import benchmark_name, example_id, json_records

Record = dict[str, Any]
Kind = Literal["choice", "partial", "cloze", "answer"]
UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:\n"
BLANK = "Fill in blank:\n\n"


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class Example:
    """One context, or one for each option (partial); the completions; the right one's place; the
    record's id in its file.
    """

    id: str
    contexts: tuple[str, ...]
    completions: tuple[str, ...]
    gold: int = 0

    @property
    def shown(self) -> str:
        """The example as it stands in the context of another: with its right completion."""
        return (
            self.contexts[self.gold % len(self.contexts)]
            + self.completions[self.gold % len(self.completions)]
        )

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Each context with each completion that is compared, as it is read."""
        count = max(len(self.contexts), len(self.completions))
        return tuple(
            self.contexts[i % len(self.contexts)] + self.completions[i % len(self.completions)]
            for i in range(count)
        )

    @cached_property
    def right(self) -> tuple[bool, ...]:
        """Whether each option is the right one: options of equal text are equally right."""
        return tuple(option == self.shown for option in self.options)

    def shows_answer_of(self, other: Example, free: bool) -> bool:
        """Whether this example, shown as a shot, begins with the question of `other` and an answer.

        The answer may be any where it is `free`; else it is one of the options of `other`. Case and
        white space make no difference.
        """
        return any(self._opening.startswith(question) for question in other._questions[free])

    @cached_property
    def _opening(self) -> str:
        return _plain(self.shown) + " "

    @cached_property
    def _questions(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a shot must not begin with: each option, and each context that is not empty."""
        contexts = tuple(_plain(context) + " " for context in self.contexts if context.strip())
        return tuple(_plain(option) + " " for option in self.options), contexts


@dataclass(frozen=True)
class Task:
    """`files` names a file (without .jsonl); `pool` another one to draw shots from, else they come
    from the other examples of the set.
    """

    name: str
    files: str
    kind: Kind
    read: Callable[[list[Record]], Iterable[tuple[tuple[str, ...], tuple[str, ...], int]]]
    header: str = ""
    delimiter: str = "\n\n"
    answer_context: str = ""
    pool: str = ""
    pool_read: (
        Callable[[list[Record]], Iterable[tuple[tuple[str, ...], tuple[str, ...], int]]] | None
    ) = None


Parts = Iterator[tuple[tuple[str, ...], tuple[str, ...], int]]


def _spaced(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(" " + text.strip() for text in texts)


def read_choices(records: list[Record]) -> Parts:
    """`query`, `choices`, `gold`, as llm-foundry writes them."""
    for record in records:
        yield (record["query"].strip(),), _spaced(record["choices"]), int(record["gold"])


def read_arc(records: list[Record]) -> Parts:
    """ARC: a question, and answers to choose from."""
    for record in records:
        yield (
            (record["query"].strip() + "\nAnswer:",),
            _spaced(record["choices"]),
            int(record["gold"]),
        )


def read_partial(records: list[Record]) -> Parts:
    """`context_options`, `continuation`, `gold`: which context makes the continuation likelier."""
    for record in records:
        yield (
            tuple(map(str.strip, record["context_options"])),
            _spaced([record["continuation"]]),
            int(record["gold"]),
        )


def read_hellaswag(records: list[Record]) -> Parts:
    """HellaSwag: a context, and endings to choose from."""
    for record in records:
        yield (record["ctx"].strip(),), _spaced(record["endings"]), int(record["label"])


def read_piqa(records: list[Record]) -> Parts:
    """PIQA: a goal, and two ways to reach it."""
    for record in records:
        yield (
            (record["goal"].strip(),),
            _spaced([record["sol1"], record["sol2"]]),
            int(record["label"]),
        )


def read_storycloze(records: list[Record]) -> Parts:
    """StoryCloze: four sentences, and two endings."""
    for record in records:
        story = " ".join(record[f"InputSentence{i}"].strip() for i in range(1, 5))
        endings = [record[f"RandomFifthSentenceQuiz{i}"] for i in (1, 2)]
        yield (story,), _spaced(endings), int(record["AnswerRightEnding"]) - 1


def read_openbookqa(records: list[Record]) -> Parts:
    """The original file: "(A) one (B) two ...", the answer as a letter."""
    for record in records:
        choices = record["Choices"].split("(")[1:]
        yield (
            (record["Question Stem"].strip(),),
            _spaced(c[2:] for c in choices),
            "ABCD".index(record["Answer Key"]),
        )


def read_race(records: list[Record]) -> Parts:
    """The article, its questions that come before with their right answers (figures G.1 and G.3),
    and the question.
    """
    before: list[str] = []
    article = None
    for record in records:
        if record["article"] != article:
            article, before = record["article"], []
        question = f"Q: {record['question'].strip()}\n\nA:"
        gold = "ABCD".index(record["answer"])
        yield (
            ("\n\n".join(["Article:\n" + record["article"].strip(), *before, question]),),
            _spaced(record["options"]),
            gold,
        )
        before = [*before, f"{question} {record['options'][gold].strip()}"]


def read_lambada(records: list[Record]) -> Parts:
    """The passage, and its last word as a plain continuation."""
    for record in records:
        yield (record["context"].strip(),), _spaced([record["continuation"]]), 0


def read_lambada_blank(records: list[Record]) -> Parts:
    """The passage with a blank for its last word (section 3.1.1)."""
    for record in records:
        yield (record["context"].strip() + " ____. ->",), _spaced([record["continuation"]]), 0


def read_completion(records: list[Record]) -> Parts:
    """`context` and `completion`, as OpenAI published its arithmetic and word tasks."""
    for record in records:
        yield (record["context"].strip(),), _spaced([record["completion"]]), 0


def read_question(records: list[Record]) -> Parts:
    """`question` and `answer`, after `passage` where there is one."""
    for record in records:
        passage = f"{record['passage'].strip()}\n\n" if record.get("passage") else ""
        yield (f"{passage}Q: {record['question'].strip()}\n\nA:",), _spaced([record["answer"]]), 0


ARITHMETIC = (
    "two_digit_addition",
    "two_digit_subtraction",
    "three_digit_addition",
    "three_digit_subtraction",
    "four_digit_addition",
    "four_digit_subtraction",
    "five_digit_addition",
    "five_digit_subtraction",
    "six_digit_addition",
    "six_digit_subtraction",
    "two_digit_multiplication",
    "single_digit_three_ops",
    "sum_of_digits",
)
WORDS = (
    "cycle_letters_in_word",
    "mid_word_1_anagrams",
    "mid_word_2_anagrams",
    "random_insertion_in_word",
    "reversed_words",
)

TASKS = (
    Task("lambada", "lambada*", "cloze", read_lambada),
    Task("lambada_blank", "lambada*", "cloze", read_lambada_blank, header=BLANK),
    Task("hellaswag", "hellaswag*", "choice", read_hellaswag),
    Task("piqa", "piqa.val", "choice", read_piqa),
    Task(
        "storycloze",
        "storycloze*.test",
        "choice",
        read_storycloze,
        pool="storycloze*.val",
    ),
    Task("winograd", "wsc273*", "partial", read_partial),
    Task("winogrande", "winogrande*.llmfoundry", "partial", read_partial),
    Task("copa", "copa*.llmfoundry", "choice", read_choices),
    Task("arc_easy", "arc_easy*", "choice", read_arc, answer_context="Answer:"),
    Task("arc_challenge", "arc_challenge*", "choice", read_arc, answer_context="Answer:"),
    Task(
        "openbookqa",
        "openbookqa.test.llmfoundry",
        "choice",
        read_choices,
        answer_context="Answer:",
        pool="openbookqa_main.dev",
        pool_read=read_openbookqa,
    ),
    Task(
        "race_middle",
        "race_middle.test",
        "choice",
        read_race,
        answer_context="A:",
        pool="race_middle.validation",
    ),
    *(Task(name, f"gpt3_{name}", "answer", read_completion) for name in ARITHMETIC),
    *(
        Task(name, f"gpt3_{name}", "answer", read_completion, header=UNSCRAMBLE, delimiter="\n")
        for name in WORDS
    ),
)
SHAPES: tuple[tuple[set[str], Kind, Callable[[list[Record]], Parts]], ...] = (
    ({"query", "choices", "gold"}, "choice", read_choices),
    ({"context_options", "continuation", "gold"}, "partial", read_partial),
    ({"context", "continuation"}, "cloze", read_lambada),
    ({"context", "completion"}, "answer", read_completion),
    ({"question", "answer"}, "answer", read_question),
)


def find_tasks(paths: Path | Sequence[Path], names: Iterable[str] = ()) -> list[tuple[Task, Path]]:
    """The tasks that have files in `paths`, only those called `names` where any are named.

    Each path is a folder of JSONL files or one such file; a file that is in two of them counts
    once. Raises InputError where a named task has no file there, or nothing is found.
    """
    paths = [paths] if isinstance(paths, Path) else paths
    tasks: dict[tuple[Task, Path], Path] = {}
    for path in paths:
        for task, file in _tasks_of(path):
            tasks.setdefault((task, file.resolve()), file)
    where = ", ".join(map(str, paths))
    wanted = set(names)
    known = list(dict.fromkeys(task.name for task, _ in tasks))
    if missing := wanted - set(known):
        raise InputError(
            f"{where} has no file for the task {min(missing)!r}; there are "
            f"{', '.join(known) or 'none'}"
        )
    return [(task, file) for (task, _), file in tasks.items() if not wanted or task.name in wanted]


def _tasks_of(path: Path) -> list[tuple[Task, Path]]:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    tasks = [
        (task, file)
        for task in TASKS
        for file in files
        if fnmatchcase(benchmark_name(file.name), task.files)
    ]
    if not tasks and path.is_dir():
        raise InputError(
            f"{path} holds no file of a known task; give a JSONL file itself to have it read by "
            "the shape of its records"
        )
    return tasks or [(task_for(path), path)]


def task_for(path: Path) -> Task:
    """A task for somebody's own file, from the keys of its first record."""
    records = read_records(path)
    keys = set(records[0][1]) if records else set()
    for needed, kind, read in SHAPES:
        if needed <= keys:
            return Task(benchmark_name(path.name), path.stem, kind, read)
    shapes = "; ".join(", ".join(sorted(needed)) for needed, _, _ in SHAPES)
    raise InputError(
        f"{path}: records with one of these sets of keys expected: {shapes}; found "
        f"{', '.join(sorted(keys)) or 'none'}"
    )


def examples(task: Task, path: Path) -> list[Example]:
    """Every example of a task's file, in its order."""
    return _examples(task, path, task.read)


def shot_pool(task: Task, path: Path) -> list[Example]:
    """Where shots come from, when it is another file than the task's own; empty otherwise.

    Raises InputError where that file is not beside the task's.
    """
    if not task.pool:
        return []
    files = [
        file for file in sorted(path.parent.glob("*.jsonl")) if fnmatchcase(file.stem, task.pool)
    ]
    if not files:
        raise InputError(
            f"{path.parent} has no {task.pool}.jsonl, from which shots of {task.name} are drawn; "
            "use --shots 0"
        )
    return _examples(task, files[0], task.pool_read or task.read)


def _examples(
    task: Task, path: Path, read: Callable[[list[Record]], Iterable[Any]]
) -> list[Example]:
    lines = read_records(path)
    out: list[Example] = []
    try:
        parts = read([record for _, record in lines])
        for (line, record), (contexts, completions, gold) in zip(lines, parts, strict=True):
            options = max(len(contexts), len(completions))
            if not 0 <= gold < options:
                raise InputError(
                    f"{path}, example {len(out) + 1}: the right answer is number {gold} of "
                    f"{options}"
                )
            out.append(Example(example_id(record, line), contexts, completions, gold))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}, example {len(out) + 1}: not a record of {task.name} ({type(error).__name__}: "
            f"{error})"
        ) from error
    return out


def read_records(path: Path) -> list[tuple[int, Record]]:
    """The JSON objects of a file, one a line, each with the number of its line from 0."""
    return list(json_records(path.read_bytes(), str(path)))
