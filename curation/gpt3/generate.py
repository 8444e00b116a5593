"""A trained model from its folder, and what it writes, token by token.

Trap: a checkpoint knows only the name of its encoding, so the same `curation.kernels.bpe` must be
able to load it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from curation.errors import MISSHAPEN, InputError
from curation.gpt3 import checkpoint
from curation.gpt3.model import GPT3
from curation.gpt3.positions import NOTED, vocabulary_beside


def load_checkpoint(path: Path, device: str | torch.device = "cpu") -> tuple[GPT3, str, int]:
    """The model, the name of its encoding (or the path of its vocabulary), and its end-of-text
    token.

    `path` is a checkpoint (`.../step-0000100`) or the folder `train` wrote into, whose newest
    checkpoint is taken.
    """
    folder = checkpoint.newest(path)
    state = checkpoint.read_state(folder)
    if state.config.get("kind") == "reward":
        raise InputError(
            f"{folder} is a reward model, which writes no text; give the model that `curation tune "
            "ppo` or `curation tune sft` trained"
        )
    try:
        encoding, end_of_text = str(state.config["encoding"]), int(state.config["end_of_text"])
    except MISSHAPEN as error:
        raise InputError(
            f"{folder / 'state.json'}: encoding and end_of_text expected in its config ({error!r})"
        ) from error
    encoding = vocabulary_beside(folder, encoding, state.config.get(NOTED))
    return checkpoint.load_model(folder, state.size, device), encoding, end_of_text


@torch.no_grad()
def next_tokens(
    model: GPT3, ids: Tensor, chosen: Callable[[Tensor, int], Tensor], most: int
) -> Iterator[list[int]]:
    """A token after each row of `ids` (N, T), `most` times: `chosen` from logits (N, V) and the
    position. Each costs one row through each layer, with a key/value cache; when the context is
    full, its second half is read again from position 0, since learned positions cannot slide."""
    context = model.size.context
    read, past, start = ids[:, -context:], None, 0
    for position in range(most):
        hidden, past = model.hidden(read, past, start)
        start += read.shape[1]
        read = chosen(model.logits(hidden[:, -1]), position).to(ids.device)[:, None]
        yield read[:, 0].tolist()
        ids = torch.cat((ids, read), 1)
        if start == context:
            read, past, start = ids[:, -max(1, context // 2) :], None, 0


def choose(
    logits: Tensor,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
    top_k: int | None = None,
) -> int:
    """A token drawn from softmax(logits / temperature) (V,), cut to the `top_k` likeliest tokens
    and then to the fewest that reach `top_p`.

    Temperature 0 takes the likeliest token.

    >>> choose(torch.tensor([0.0, 5.0, 1.0]), 0.0, 1.0, torch.Generator())
    1
    """
    if temperature == 0:
        return int(logits.argmax())
    if top_k is not None and top_k < len(logits):
        best = logits.topk(top_k)
        chosen = choose(best.values, temperature, top_p, generator)
        return int(best.indices[chosen])
    shares, tokens = (logits / temperature).softmax(-1).sort(descending=True)
    # The token that crosses the threshold belongs to them.
    kept = shares.cumsum(-1) - shares < top_p
    drawn = torch.multinomial(shares * kept, 1, generator=generator)
    return int(tokens[drawn])
