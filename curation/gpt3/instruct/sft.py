"""Step 1: fine-tuning on demonstrations (Ouyang et al. 2022, section 3.5 and appendix C.1).

16 epochs, a cosine to 10 % without warm-up, batches of 32, residual dropout 0.2: the paper's. Silent
there, so declared: the loss is over the tokens of the answers and their end-of-text, not over the
prompts; the mean is over all of a step's tokens; the trainer's dropout also drops attention weights
and embedded tokens. The paper picks among checkpoints by the reward model's score, here the last
one is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from curation import store
from curation.gpt3 import epochs
from curation.gpt3.epochs import Give, nothing
from curation.gpt3.instruct.data import Encoding, Tokens, read_demonstrations
from curation.gpt3.instruct.sequences import batch_of
from curation.gpt3.log import Tell, untold
from curation.gpt3.loss import linear_cross_entropy
from curation.gpt3.model import GPT3
from curation.gpt3.options import SftConfig
from curation.gpt3.parallel import device_named
from curation.gpt3.starting import Start, model_of, opened


def sft(
    path: Path,
    demonstrations: Path,
    out: Path,
    options: SftConfig | None = None,
    encoding: Encoding | None = None,
    tell: Tell = untold,
) -> epochs.Outcome:
    """Train the model in `path` on the demonstrations in a file, keeping log and checkpoints in
    `out`.

    Raises InputError for a file or checkpoint that cannot be used, and for demonstrations longer
    than the context; RunError where `out` is of another training.
    """
    options = options or SftConfig()
    start = opened(path, "", "sft")
    separator = options.separator.replace("\\n", "\n")
    coder = start.coder(encoding, separator)
    rows = read_demonstrations(demonstrations)
    examples = [coder.answered(row.prompt, row.response, row.where) for row in rows]
    config = {
        "kind": "sft",
        "size": asdict(replace(start.size, dropout=options.dropout)),
        "encoding": start.encoding,
        "end_of_text": start.end_of_text,
        "separator": separator,
        "options": epochs.settings(options),
        "from": start.identity(),
        "data": store.sha256(str(demonstrations)),
    }
    give = partial(start.give_vocabulary, encoding)
    return train_sft(start, examples, out, options, config, tell, give)


def train_sft(
    start: Start,
    examples: Sequence[Tokens],
    out: Path,
    options: SftConfig,
    config: dict[str, Any],
    tell: Tell = untold,
    give: Give = nothing,
) -> epochs.Outcome:
    """As `sft`, on demonstrations that are tokens already."""
    device = device_named(options.device)
    model = model_of(start, device, replace(start.size, dropout=options.dropout))
    model.train()

    def terms(chosen: list[int]) -> Iterator[tuple[Tensor, dict[str, float]]]:
        total = sum(len(examples[one].ids) - examples[one].prompt for one in chosen)
        for begin in range(0, len(chosen), options.micro_batch):
            part = [examples[one] for one in chosen[begin : begin + options.micro_batch]]
            count = sum(len(one.ids) - one.prompt for one in part)
            loss = answer_loss(model, part, start.end_of_text, device)
            yield loss * (count / total), {"tokens": count}

    job = epochs.Job.of(options, out, config, len(examples), tell, give)
    return epochs.run(job, model, terms, dict)


def answer_loss(
    model: GPT3, examples: Sequence[Tokens], padding: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Mean loss in nats of the answers' tokens, end-of-text included."""
    batch = batch_of(examples, padding, device)
    mask = batch.mask()
    hidden = model.hidden(batch.ids[:, :-1])[0]
    return linear_cross_entropy(hidden[mask], model.tokens.weight, batch.ids[:, 1:][mask])
