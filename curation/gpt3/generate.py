"""Text from a trained model, token by token, with a key/value cache.

With the cache a new token costs one row through each layer; when the context is full, its second
half is read again from position 0, since learned positions cannot slide. Trap: a checkpoint knows
only the name of its encoding, so the same `curation.kernels.bpe` must be able to load it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from curation.errors import MISSHAPEN, InputError
from curation.gpt3 import checkpoint
from curation.gpt3.model import GPT3
from curation.gpt3.parallel import device_named
from curation.gpt3.positions import NOTED, vocabulary_beside
from curation.gpt3.prompts import before_stop


def load_checkpoint(path: Path, device: str | torch.device = "cpu") -> tuple[GPT3, str, int]:
    """The model, the name of its encoding (or the path of its vocabulary), and its end-of-text
    token.

    `path` is a checkpoint (`.../step-0000100`) or the folder `train` wrote into, whose newest
    checkpoint is taken.
    """
    folder = (
        path if (path / "state.json").is_file() else next(iter(checkpoint.steps(path)[::-1]), None)
    )
    if folder is None:
        raise InputError(
            f"{path} holds no checkpoint; expected state.json in it, or folders named step-..."
        )
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


def generate(
    path: Path,
    prompt: str,
    max_tokens: int = 100,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    device: str | None = None,
    stops: Sequence[str] = (),
) -> str:
    """`prompt` and what the model in `path` makes of it, until end-of-text, one of `stops` (left
    out) or `max_tokens` tokens more.

    An empty prompt starts after an end-of-text token, as a document does.
    """
    from curation.kernels import bpe

    model, name, end_of_text = load_checkpoint(path, device_named(device))
    encoding = bpe.encoding(name)
    ids = encoding.encode_ordinary(prompt) or [end_of_text]
    new: list[int] = []
    for token in sample(model, ids, max_tokens, temperature, top_p, seed):
        if token == end_of_text:
            break
        new.append(token)
        if stops and any(stop in encoding.decode(new) for stop in stops):
            break
    return prompt + before_stop(encoding.decode(new), stops)


@torch.no_grad()
def sample(
    model: GPT3,
    ids: list[int],
    max_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Iterator[int]:
    """Up to `max_tokens` tokens after `ids`, each drawn by `choose`; a function of its
    arguments.
    """
    if not 0 < top_p <= 1 or temperature < 0:
        raise InputError(
            f"top_p must be in (0, 1] and temperature 0 or more, not {top_p} and {temperature}"
        )
    # On the CPU, so that every device draws the same.
    generator = torch.Generator().manual_seed(seed)
    device = model.tokens.weight.device
    context = model.size.context
    read, past, start = ids[-context:], None, 0
    for _ in range(max_tokens):
        hidden, past = model.hidden(torch.tensor([read], device=device), past, start)
        start += len(read)
        token = choose(model.logits(hidden[0, -1]).cpu(), temperature, top_p, generator)
        yield token
        ids = [*ids, token]
        if start == context:
            read, past, start = ids[-max(1, context // 2) :], None, 0
        else:
            read = [token]


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
