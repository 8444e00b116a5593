"""Several texts of several prompts, drawn in batches.

Prompts of one length are read together, with a key/value cache, as `scoring.greedy` does. Each text
has a generator of its own, seeded by the seed, its prompt's place and its own number: so it does
not depend on which others are drawn beside it, but for rounding. The first text of the first prompt
has the seed itself.

Trap: a group runs until its last text ends. Prompts that differ much in length cost a pass each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from curation.errors import InputError
from curation.gpt3.generate import choose, load_checkpoint, next_tokens
from curation.gpt3.model import GPT3
from curation.gpt3.options import Drawing
from curation.gpt3.parallel import device_named
from curation.gpt3.scoring import BATCH_TOKENS
from curation.kernels.examples import json_records

MAX_PROMPTS = 100_000
Ended = Callable[[list[int]], bool]


def _generator(drawing: Drawing, prompt: int, sample: int) -> torch.Generator:
    """On the CPU, so that every device draws the same."""
    seed = drawing.seed
    if prompt or sample:
        key = f"gpt3/samples/{drawing.seed}/{prompt}/{sample}"
        seed = xxhash.xxh3_64_intdigest(key.encode()) >> 1
    return torch.Generator().manual_seed(seed)


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: lines of JSON with `prompt` in a file called .jsonl, else lines of
    text; blank lines are left out."""
    if path.suffix == ".jsonl":
        prompts = []
        for line, record in json_records(path.read_bytes(), str(path)):
            if not isinstance(record.get("prompt"), str):
                raise InputError(f"{path}, line {line + 1}: a text called `prompt` expected")
            prompts.append(record["prompt"])
    else:
        text = path.read_bytes().decode("utf-8", errors="replace")
        lines = (line.removesuffix("\r") for line in text.split("\n"))
        prompts = [line for line in lines if line.strip()]
    if not 0 < len(prompts) <= MAX_PROMPTS:
        raise InputError(f"{path}: 1 to {MAX_PROMPTS:,} prompts expected, found {len(prompts):,}")
    return prompts


def generate_many(
    path: Path,
    prompts: Sequence[str],
    samples: int = 1,
    drawing: Drawing | None = None,
    stops: Sequence[str] = (),
    device: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """`prompt`, `sample` (its number) and `text`, what the model in `path` writes after it, of each
    prompt in turn.

    A text ends at end-of-text, before the first of `stops`, or after `max_tokens` tokens. An empty
    prompt starts after an end-of-text token, as a document does. `say` is told what of prompts
    that are longer than the context is not read.
    """
    from curation.kernels import bpe

    drawing = drawing or Drawing()
    model, name, end_of_text = load_checkpoint(path, device_named(device))
    encoding = bpe.encoding(name)
    stops = [stop for stop in stops if stop]

    def text(ids: list[int]) -> str:
        known = [token for token in ids if token != end_of_text and token < encoding.n_vocab]
        return str(encoding.decode(known))

    def ended(ids: list[int]) -> bool:
        return ids[-1] == end_of_text or (bool(stops) and before_stop(text(ids), stops)[1])

    ids = [encoding.encode_ordinary(prompt) or [end_of_text] for prompt in prompts]
    if text_of_cut := unread(list(map(len, ids)), model.size.context):
        say(text_of_cut)
    for place, drawn in enumerate(draw(model, ids, samples, drawing, ended)):
        for number, tokens in enumerate(drawn):
            yield {
                "prompt": prompts[place],
                "sample": number,
                "text": before_stop(text(tokens), stops)[0],
            }


def unread(lengths: Sequence[int], context: int) -> str:
    """What a model does not read of prompts of so many tokens, in a sentence; empty for nothing.

    >>> unread([3, 9], 8)
    '1 of 2 prompts is longer than the context of 8 tokens: the model reads its last 8 (of at most 9)'
    >>> unread([3, 8], 8)
    ''
    """
    longer = [length for length in lengths if length > context]
    if not longer:
        return ""
    one = len(longer) == 1
    return (
        f"{len(longer):,} of {len(lengths):,} prompts {'is' if one else 'are'} longer than the context "
        f"of {context:,} tokens: the model reads {'its' if one else 'their'} last {context:,} (of at "
        f"most {max(longer):,})"
    )


def before_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of `stops`, and whether there is one.

    >>> before_stop("one two three", ["three", "two"])
    ('one ', True)
    """
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def draw(
    model: GPT3,
    prompts: Sequence[list[int]],
    samples: int,
    drawing: Drawing,
    ended: Ended = lambda ids: False,
) -> Iterator[list[list[int]]]:
    """The new tokens of each prompt's samples, prompt by prompt."""
    model.eval()
    context = model.size.context
    groups: dict[int, list[tuple[int, int]]] = {}
    for place, ids in enumerate(prompts):
        length = min(len(ids), context)
        groups.setdefault(length, []).extend((place, number) for number in range(samples))
    found: dict[int, dict[int, list[int]]] = {place: {} for place in range(len(prompts))}
    following = 0
    for length, texts in groups.items():
        size = max(1, BATCH_TOKENS // min(context, length + drawing.max_tokens))
        for start in range(0, len(texts), size):
            some = texts[start : start + size]
            drawn = _draw(model, [prompts[place] for place, _ in some],
                          [_generator(drawing, *text) for text in some], drawing, ended)  # fmt: skip
            for (place, number), ids in zip(some, drawn, strict=True):
                found[place][number] = ids
            while following < len(prompts) and len(found[following]) == samples:
                yield [found[following].pop(number) for number in range(samples)]
                following += 1


def _draw(
    model: GPT3,
    prompts: Sequence[list[int]],
    generators: Sequence[torch.Generator],
    drawing: Drawing,
    ended: Ended,
) -> list[list[int]]:
    """The new tokens of texts whose prompts are of one length, or longer than the context."""
    context, device = model.size.context, model.tokens.weight.device
    new: list[list[int]] = [[] for _ in prompts]
    open_ = set(range(len(prompts)))

    def chosen(logits: Tensor, _: int) -> Tensor:
        tokens = torch.zeros(
            len(prompts), dtype=torch.long
        )  # of texts that have ended: not looked at
        logits = logits.cpu()
        for number in open_:
            tokens[number] = choose(logits[number], drawing.temperature, drawing.top_p,
                                    generators[number], drawing.top_k)  # fmt: skip
        return tokens

    ids = torch.tensor([ids[-context:] for ids in prompts], device=device)
    for tokens in next_tokens(model, ids, chosen, drawing.max_tokens):
        for number in tuple(open_):
            new[number].append(tokens[number])
            if ended(new[number]):
                open_.discard(number)
        if not open_:
            break
    return new
