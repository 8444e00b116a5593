"""Our checkpoints as a model of `lm-eval`, EleutherAI's harness: every task it knows, beside the
ones of `evaluate.py`.

    python -m curation.gpt3.harness run --model curation \\
        --model_args checkpoint=RUN/model --tasks lambada_openai

takes lm-eval's own options; `--model curation` is what this module adds. It needs the extra
`lm-eval`, and its tasks mostly download their data. Scores come from `scoring.py`, so both runners
see the same numbers for the same texts.

Trap: answers are always the likeliest ones; a task that asks for sampling is refused, not quietly
answered otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from curation.errors import InputError
from curation.gpt3.evaluate import open_reader
from curation.gpt3.scoring import Request, log_likelihoods

MAX_NEW_TOKENS = 256  # where a task does not say


@register_model("curation")
class CurationModel(LM):  # type: ignore[misc]
    """A checkpoint, or the folder `curation train` wrote into. Other arguments of lm-eval (batch
    size, device) are not needed."""

    def __init__(self, checkpoint: str, **_: Any) -> None:
        super().__init__()
        self._reader = open_reader(Path(checkpoint))

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """(log probability, is it the likeliest) of each request's continuation after its
        context."""
        scores = self._reader.score([request.args for request in requests])
        return [(score.log_probability, score.greedy) for score in scores]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Log probability of each whole text, from end-of-text on, in windows that predict every
        token once."""
        reader = self._reader
        rolled: list[Request] = []
        sizes = []
        for request in requests:
            ids = reader.encoding.encode_ordinary(request.args[0])
            pairs = get_rolling_token_windows(ids, reader.end_of_text, reader.window, 1)
            windows = [Request(*map(tuple, make_disjoint_window(pair))) for pair in pairs]
            rolled += windows
            sizes.append(len(windows))
        values = iter(log_likelihoods(reader.model, rolled))
        return [sum(next(values).log_probability for _ in range(size)) for size in sizes]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The likeliest text after each context, up to one of `until` or `max_gen_toks` tokens."""
        out = []
        for context, options in (request.args for request in requests):
            if options.get("do_sample") and options.get("temperature", 1.0) > 0:
                raise InputError(
                    "this adapter answers greedily; the task asks for sampling (do_sample)"
                )
            until = options.get("until") or []
            stops = [until] if isinstance(until, str) else list(until)
            room = self._reader.window - 1
            out += self._reader.answer(
                [context], stops, min(room, int(options.get("max_gen_toks", MAX_NEW_TOKENS)))
            )
        return out


def main() -> None:
    """lm-eval's own command line, with the model `curation` in it."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
