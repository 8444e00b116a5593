"""Several answers to each prompt, to be ranked (Ouyang et al. 2022, section 3.5: K from 4 to 9).

    {"prompt": ..., "responses": [...], "ranking": [...], "by": "a person"}

Answers are sampled from the fine-tuned model and differ from each other. They are shown in the order
of the file, which is that of sampling, so it tells nothing. A simulated labeler's rows name it in
`by`, and have its rule and scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from curation import store
from curation.errors import InputError
from curation.gpt3.epochs import keyed_seed
from curation.gpt3.instruct import labeler
from curation.gpt3.instruct.data import (
    PERSON,
    Coder,
    Encoding,
    Prompt,
    check_ranks,
    read_prompts,
    read_rankings,
)
from curation.gpt3.instruct.sampling import sample_answers
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import device_named
from curation.gpt3.starting import model_of, opened

ROUNDS = 4  # how often K answers are sampled until K different ones are there


@dataclass(frozen=True)
class Sampler:
    """A model that answers prompts, K times each."""

    model: GPT3
    coder: Coder
    count: int
    max_tokens: int
    temperature: float
    seed: int

    def answers(self, prompt: Prompt) -> list[str]:
        """Up to `count` answers that differ; fewer where the model does not find more."""
        # One more token: the end-of-text that the reward model reads.
        ids = self.coder.prompt(prompt.prompt, prompt.where, self.max_tokens + 1)
        found: dict[str, None] = {}
        for turn in range(ROUNDS):
            new = sample_answers(
                self.model,
                [ids] * self.count,
                self.max_tokens,
                self.coder.end_of_text,
                keyed_seed("rank", self.seed, turn, prompt.prompt),
                self.temperature,
            )
            texts = (self.coder.text(one.ids[one.prompt :]).strip() for one in new)
            found |= dict.fromkeys(text for text in texts if text)
            if len(found) >= self.count:
                break
        return list(found)[: self.count]


def open_sampler(
    path: Path,
    count: int,
    max_tokens: int,
    temperature: float,
    seed: int,
    device: str | None = None,
    encoding: Encoding | None = None,
) -> Sampler:
    """The sampler of the model in `path`, from any step but the reward model's."""
    start = opened(path, "", "sft", "ppo")
    coder = start.coder(encoding)
    torch_device = device_named(device)
    return Sampler(model_of(start, torch_device), coder, count, max_tokens, temperature, seed)


def waiting(prompts: Path, out: Path) -> list[Prompt]:
    """The prompts of a file, each once, that have no ranking in `out` yet."""
    ranked = {row.prompt for row in read_rankings(out)} if out.is_file() else set()
    rows = {row.prompt: row for row in read_prompts(prompts)}
    return [row for text, row in rows.items() if text not in ranked]


def append(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add rankings to a file, which appears whole or not at all."""
    for row in rows:
        check_ranks(row["ranking"], len(row["responses"]), str(out))
    before = store.read_bytes(str(out)) if out.is_file() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    store.write_bytes(str(out), before + lines)


def ranking_row(prompt: str, answers: Sequence[str], ranks: Sequence[int]) -> dict[str, Any]:
    """The line of a person's ranking."""
    return {
        "prompt": prompt,
        "responses": list(answers),
        "ranking": list(ranks),
        "by": PERSON,
    }


def ranks_of(order: str, count: int) -> list[int]:
    """The rank of each answer from its letters in order, the best first.

    Raises InputError where a letter is missing, strange or there twice.

    >>> ranks_of("cab", 3)
    [2, 3, 1]
    """
    letters = [letter for letter in order.lower() if letter.isalnum()]
    names = [chr(ord("a") + number) for number in range(count)]
    if sorted(letters) != names:
        raise InputError(
            f"each of the letters {names[0]} to {names[-1]} once expected, the best answer first, "
            f"such as {''.join(names[::-1])}; got {order[:40]!r}"
        )
    return [letters.index(name) + 1 for name in names]


@dataclass(frozen=True)
class Simulated:
    """What a simulated labeler did: its description, rows for the file, the most to be reached."""

    text: str
    rows: list[dict[str, Any]]
    skipped: int
    ceiling: float


def simulated(
    sampler: Callable[[Prompt], list[str]],
    prompts: Sequence[Prompt],
    rule: labeler.Rule,
    wanted: float,
    seed: int,
    done: Callable[[], None] = lambda: None,
) -> Simulated:
    """Rankings of a simulated labeler, whose noise makes two of it agree on `wanted` of the pairs.

    Prompts to which the model gives fewer than two different answers are skipped.
    """

    def sampled() -> Iterator[tuple[Prompt, list[str]]]:
        for prompt in prompts:
            yield prompt, sampler(prompt)
            done()

    answered = [(prompt, answers) for prompt, answers in sampled() if len(answers) > 1]
    if not answered:
        raise InputError(
            "no prompt got two different answers, so there is nothing to rank; raise --temperature "
            "or --max-tokens"
        )
    scores = [[rule.score(p.prompt, answer) for answer in answers] for p, answers in answered]
    scale = labeler.scale_for(wanted, scores)
    text = labeler.description(rule, scale, labeler.agreement(scale, scores))
    rows = [
        {
            "prompt": prompt.prompt,
            "responses": answers,
            "ranking": labeler.ranking(scale, one, seed, prompt.prompt),
            "by": labeler.named(rule),
            "rule": text,
            "scores": one,
        }
        for (prompt, answers), one in zip(answered, scores, strict=True)
    ]
    return Simulated(text, rows, len(prompts) - len(answered), labeler.ceiling(scale, scores))
