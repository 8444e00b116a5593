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
    labels   several answers to one question, each labelled true or false; a question counts where
             all are labelled right (MultiRC)
    cloze    one word: perplexity, and whether it is the likeliest
    answer   free-form, written and compared by the task's `metric`, with the best of several right
             answers

metrics of written answers:
    accuracy  equal in lower case, with single spaces, without commas in numbers
    exact     equal after SQuAD's normalisation
    referent  the same noun, one's words among the other's (WSC)
    f1        words in common after SQuAD's normalisation
    bleu      of the whole set, as sacrebleu's default

Trap: completions begin with a space, contexts end without one, as GPT-2's tokens want it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from curation.errors import MISSHAPEN, InputError
from curation.gpt3.evaluation import answers, choices
from curation.gpt3.evaluation.example import Draft, Example, Read, Record
from curation.gpt3.evaluation.splits import training_file, without_training
from curation.kernels.examples import benchmark_name, example_id, json_records

Kind = Literal["choice", "partial", "labels", "cloze", "answer"]
Metric = Literal["accuracy", "exact", "referent", "f1", "bleu"]
UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:\n"
BLANK = "Fill in blank:\n\n"
PASSAGES = "READING COMPREHENSION ANSWER KEY\n\n"
EXAM = (
    "Final Exam with Answer Key\nInstructions: Please carefully read the following passages. For "
    "each passage, you must identify which noun the pronoun marked in *bold* refers to.\n=====\n"
)


@dataclass(frozen=True)
class Task:
    """`files` names files (without .jsonl, several patterns with | between); `pool` another one to
    draw shots from, else they come from the other examples of the set.

    header: the description, before the shots. zero_read: the wording for no shots, where it
    differs. title, figure and group: the paper's name, its figure in appendix G, and the figure of
    section 3 with its results.
    """

    name: str
    files: str
    kind: Kind
    read: Read
    header: str = ""
    delimiter: str = "\n\n"
    answer_context: str = ""
    pool: str = ""
    pool_read: Read | None = None
    zero_read: Read | None = None
    metric: Metric = "accuracy"
    answer_tokens: int = 24
    title: str = ""
    figure: str = ""
    group: str = ""

    def takes(self, file: str) -> bool:
        """Whether a file of this name is one of the task's."""
        return any(fnmatchcase(benchmark_name(file), form) for form in self.files.split("|"))


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

TITLES = {
    "two_digit_addition": ("2D+", "G.44"),
    "two_digit_subtraction": ("2D-", "G.43"),
    "three_digit_addition": ("3D+", "G.47"),
    "three_digit_subtraction": ("3D-", "G.46"),
    "four_digit_addition": ("4D+", "G.49"),
    "four_digit_subtraction": ("4D-", "G.48"),
    "five_digit_addition": ("5D+", "G.51"),
    "five_digit_subtraction": ("5D-", "G.50"),
    "two_digit_multiplication": ("2Dx", "G.45"),
    "single_digit_three_ops": ("1DC", "G.42"),
    "cycle_letters_in_word": ("Cycled Letters", "G.19"),
    "mid_word_1_anagrams": ("Anagrams 1", "G.22"),
    "mid_word_2_anagrams": ("Anagrams 2", "G.23"),
    "random_insertion_in_word": ("Symbol Insertion", "G.26"),
    "reversed_words": ("Reversed Words", "G.27"),
}


def _choice(name: str, files: str, read: Read, title: str, figure: str, group: str) -> Task:
    return Task(name, files, "choice", read, title=title, figure=figure, group=group)


def _compared(
    name: str, files: str, read: Read, context: str, title: str, figure: str, group: str
) -> Task:
    """Choices that are compared by what the context adds to an answer's probability."""
    row = _choice(name, files, read, title, figure, group)
    return replace(row, answer_context=context)


def _written(
    name: str, files: str, read: Read, metric: Metric, title: str, figure: str, group: str
) -> Task:
    tokens = 128 if metric == "bleu" else 48 if metric == "f1" else 24
    row = Task(name, files, "answer", read, metric=metric, answer_tokens=tokens)
    return replace(row, title=title, figure=figure, group=group)


def _translation(source: str, target: str, files: str, figure: str) -> Task:
    title = f"{source.capitalize()}\u2192{target.capitalize()}"
    name = f"translate_{source}_{target}"
    read = answers.translation(source, target)
    row = _written(name, files, read, "bleu", title, figure, "3.4")
    return replace(row, zero_read=answers.translation_asked(source, target), delimiter="\n")


TASKS = (
    Task("lambada", "lambada*", "cloze", answers.read_lambada, title="LAMBADA", group="3.2"),
    Task(
        "lambada_blank",
        "lambada*",
        "cloze",
        answers.read_lambada_blank,
        header=BLANK,
        title="LAMBADA, blank",
        figure="G.21",
        group="3.2",
    ),
    _choice("hellaswag", "hellaswag*", choices.read_hellaswag, "HellaSwag", "G.9", "H"),
    _choice("piqa", "piqa.val", choices.read_piqa, "PIQA", "G.4", "3.6"),
    replace(
        _choice(
            "storycloze",
            "storycloze*.test",
            choices.read_storycloze,
            "StoryCloze",
            "G.17",
            "H",
        ),
        pool="storycloze*.val",
    ),
    Task(
        "winograd",
        "wsc273*",
        "partial",
        choices.read_partial,
        title="Winograd",
        figure="G.13",
        group="3.5",
    ),
    Task(
        "winogrande",
        "winogrande*.llmfoundry",
        "partial",
        choices.read_partial,
        title="Winogrande",
        figure="G.14",
        group="3.5",
    ),
    _choice("copa", "copa*.llmfoundry", choices.read_choices, "COPA", "G.5", "3.8"),
    _compared("arc_easy", "arc_easy*", choices.read_arc, "Answer:", "ARC (Easy)", "G.16", "3.6"),
    _compared(
        "arc_challenge",
        "arc_challenge*",
        choices.read_arc,
        "Answer:",
        "ARC (Challenge)",
        "G.11",
        "3.6",
    ),
    replace(
        _compared(
            "openbookqa",
            "openbookqa.test.llmfoundry",
            choices.read_choices,
            "Answer:",
            "OpenBookQA",
            "G.8",
            "3.6",
        ),
        pool="openbookqa_main.dev",
        pool_read=choices.read_openbookqa,
    ),
    replace(
        _compared(
            "race_middle", "race_middle.test", choices.read_race, "A:", "RACE-m", "G.3", "3.7"
        ),
        pool="race_middle.validation",
    ),
    replace(
        _compared("race_high", "race_high.test", choices.read_race, "A:", "RACE-h", "G.1", "3.7"),
        pool="race_high.validation",
    ),
    *(
        replace(
            _choice(f"anli_r{n}", f"anli_r{n}*", choices.anli(n), f"ANLI R{n}", figure, "3.9"),
            header=f"anli {n}: ",
        )
        for n, figure in ((1, "G.7"), (2, "G.2"), (3, "G.10"))
    ),
    _choice("record", "record*", choices.read_record, "ReCoRD", "G.6", "3.8"),
    _choice("sat_analogies", "sat_analogies*", choices.read_sat, "SAT Analogies", "G.12", "3.12"),
    Task(
        "multirc",
        "multirc*",
        "labels",
        choices.read_multirc,
        header=PASSAGES,
        title="MultiRC",
        figure="G.15",
        group="3.8",
    ),
    _choice("boolq", "boolq*", choices.read_boolq, "BoolQ", "G.29", "3.8"),
    _choice("cb", "cb.*|commitmentbank*", choices.read_cb, "CB", "G.30", "3.8"),
    _choice("rte", "rte*", choices.read_rte, "RTE", "G.31", "3.8"),
    _choice("wic", "wic*", choices.read_wic, "WiC", "G.32", "3.8"),
    replace(
        _written("wsc", "wsc.*|superglue_wsc*", answers.read_wsc, "referent", "WSC", "G.33", "3.8"),
        header=EXAM,
    ),
    _written("coqa", "coqa*", answers.read_coqa, "f1", "CoQA", "G.18", "3.7"),
    _written("drop", "drop*", answers.read_drop, "f1", "DROP", "G.20", "3.7"),
    _written("quac", "quac*", answers.read_quac, "f1", "QuAC", "G.25", "3.7"),
    _written("squad_v2", "squad_v2*|squad2*", answers.read_squad, "f1", "SQuADv2", "G.28", "3.7"),
    _written("nq", "nq_open.dev|nq*.test", answers.read_nq, "exact", "NQs", "G.24", "3.3"),
    _written("triviaqa", "triviaqa*", answers.read_triviaqa, "exact", "TriviaQA", "G.34", "3.3"),
    _written("webqs", "webquestions.test", answers.read_webqa, "exact", "WebQs", "G.35", "3.3"),
    _translation("de", "en", "wmt*de*en*|wmt*en*de*", "G.36"),
    _translation("en", "de", "wmt*de*en*|wmt*en*de*", "G.37"),
    _translation("en", "fr", "wmt*fr*en*|wmt*en*fr*", "G.38"),
    _translation("fr", "en", "wmt*fr*en*|wmt*en*fr*", "G.39"),
    _translation("en", "ro", "wmt*ro*en*|wmt*en*ro*", "G.40"),
    _translation("ro", "en", "wmt*ro*en*|wmt*en*ro*", "G.41"),
    *(
        Task(
            name,
            f"gpt3_{name}",
            "answer",
            answers.read_completion,
            header=UNSCRAMBLE if name in WORDS else "",
            delimiter="\n" if name in WORDS else "\n\n",
            title=TITLES.get(name, (name, ""))[0],
            figure=TITLES.get(name, ("", ""))[1],
            group="3.11" if name in WORDS else "3.10",
        )
        for name in ARITHMETIC + WORDS
    ),
)
SHAPES: tuple[tuple[set[str], Kind, Read], ...] = (
    ({"query", "choices", "gold"}, "choice", choices.read_choices),
    (
        {"InputSentence1", "RandomFifthSentenceQuiz1", "AnswerRightEnding"},
        "choice",
        choices.read_storycloze,
    ),
    ({"article", "question", "options", "answer"}, "choice", choices.read_race),
    ({"Question Stem", "Choices", "Answer Key"}, "choice", choices.read_openbookqa),
    ({"context_options", "continuation", "gold"}, "partial", choices.read_partial),
    ({"context", "continuation"}, "cloze", answers.read_lambada),
    ({"context", "completion"}, "answer", answers.read_completion),
    ({"question", "answer"}, "answer", answers.read_question),
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
    files = without_training(sorted(path.glob("*.jsonl"))) if path.is_dir() else [path]
    tasks = [(task, file) for task in TASKS for file in files if task.takes(file.name)]
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


def examples(task: Task, path: Path, zero: bool = False) -> list[Example]:
    """Every example of a task's file, in its order; with `zero` in the wording for no shots."""
    return _examples(task, path, (task.zero_read if zero else None) or task.read)


def shot_pool(task: Task, path: Path) -> list[Example]:
    """Where shots come from, when it is another file than the task's own: its `pool`, or the
    training split beside it; empty otherwise.

    Raises InputError where a `pool` is not beside the task's file.
    """
    if not task.pool:
        file = training_file(path)
        return _examples(task, file, task.read) if file else []
    files = [
        file for file in sorted(path.parent.glob("*.jsonl")) if fnmatchcase(file.stem, task.pool)
    ]
    if not files:
        raise InputError(
            f"{path.parent} has no {task.pool}.jsonl, from which shots of {task.name} are drawn; "
            "use --shots 0"
        )
    return _examples(task, files[0], task.pool_read or task.read)


def _examples(task: Task, path: Path, read: Read) -> list[Example]:
    lines = read_records(path)
    out: list[Example] = []
    try:
        for (line, record), parts in zip(lines, read([record for _, record in lines]), strict=True):
            for draft in parts if isinstance(parts, list) else [Draft(*parts)]:
                options = max(len(draft.contexts), len(draft.completions))
                if not 0 <= draft.gold < options:
                    raise InputError(
                        f"{path}, example {len(out) + 1}: the right answer is number {draft.gold} "
                        f"of {options}"
                    )
                out.append(Example(example_id(record, line), *draft))
    except MISSHAPEN as error:
        raise InputError(
            f"{path}, example {len(out) + 1}: not a record of {task.name} ({type(error).__name__}: "
            f"{error})"
        ) from error
    return out


def read_records(path: Path) -> list[tuple[int, Record]]:
    """The JSON objects of a file, one a line, each with the number of its line from 0."""
    return list(json_records(path.read_bytes(), str(path)))
