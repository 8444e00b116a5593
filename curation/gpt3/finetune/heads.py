"""A language model with three further tokens and a head: what fine-tuning trains and evaluation
reads (Radford et al. 2018, sections 3.2 and 3.3).

The head is one linear layer on the last layer's output at the extract token. `classify` and
`entailment` have a row of weights for each label; `similarity` the same, on the sum of both orders;
`choice` a single row, whose numbers are compared by a softmax over the answers. The loss is
L3 = L2 + lambda L1: L2 of the labels, L1 of the language model on the same rows.

The paper does not say whether the further tokens are outputs of the language model too: here they
are not. So L1 is the mean over the rows' ordinary tokens, and the language model of a fine-tuned
checkpoint is read as any other. They are initialised like other embeddings, the head as well; its
bias is 0.

Letters in shapes: B rows, T tokens, W model width, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import xxhash
from torch import Tensor, nn
from torch.nn import functional as F

from curation.gpt3.finetune.inputs import SPECIAL, Rows
from curation.gpt3.loss import linear_cross_entropy
from curation.gpt3.model import GPT3, dropped
from curation.gpt3.options import Task

DEVIATION = 0.02


class FineTuned(nn.Module):
    """`model` with `special` tokens and a `head` for `task`; made by `with_head`."""

    def __init__(self, model: GPT3, task: Task, classes: int) -> None:
        super().__init__()
        self.model = model
        self.task: Task = task
        width = model.size.width
        self.special = nn.Parameter(torch.zeros(len(SPECIAL), width))
        self.head = nn.Linear(width, classes)

    def hidden(self, ids: Tensor) -> Tensor:
        """The final hidden states (B, T, W) of ids (B, T), the special tokens among them."""
        vocabulary = self.model.size.vocabulary
        special = ids >= vocabulary
        embedded = self.model.tokens(ids.clamp(max=vocabulary - 1))
        further = F.embedding((ids - vocabulary).clamp(min=0), self.special)
        embedded = torch.where(special[..., None], further, embedded)
        return self.model.hidden(ids, embedded=embedded)[0]

    def scores(self, hidden: Tensor, lengths: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """The logits of each example from the hidden states of all its rows.

        `lengths` (B,) are those of the rows, `counts` how many rows each example has.
        """
        extracted = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
        extracted = dropped(extracted, self.model.size.dropout, self.training)
        by_example = torch.split(extracted, list(counts))
        if self.task == "choice":
            return [self.head(rows)[:, 0] for rows in by_example]
        return [self.head(rows.sum(0)) for rows in by_example]

    def losses(self, examples: Sequence[Rows]) -> tuple[Tensor, Tensor, int, int]:
        """Sums over the examples: L2, L1 over the ordinary tokens, how many those are, and how many
        examples are right."""
        ids, lengths, counts = padded(examples, self.special.device)
        hidden = self.hidden(ids)
        scores = self.scores(hidden, lengths, counts)
        labels = [torch.tensor(one.label, device=ids.device) for one in examples]
        task_loss = torch.stack(
            [F.cross_entropy(s, label) for s, label in zip(scores, labels, strict=True)]
        ).sum()
        right = sum(int(s.argmax()) == one.label for s, one in zip(scores, examples, strict=True))
        chosen = predicted(ids, lengths, self.model.size.vocabulary)
        targets = ids[:, 1:][chosen]
        if not len(targets):
            return task_loss, torch.zeros((), device=ids.device), 0, right
        language = linear_cross_entropy(
            hidden[:, :-1][chosen], self.model.tokens.weight, targets
        ) * len(targets)
        return task_loss, language, len(targets), right


def predicted(ids: Tensor, lengths: Tensor, vocabulary: int) -> Tensor:
    """Which tokens of ids[:, 1:] the language model is asked for: ordinary ones within their row.

    >>> predicted(torch.tensor([[9, 1, 10, 2, 11, 0]]), torch.tensor([5]), 9).int().tolist()
    [[1, 0, 1, 0, 0]]
    """
    inside = torch.arange(1, ids.shape[1], device=ids.device)[None] < lengths[:, None]
    return inside & (ids[:, 1:] < vocabulary)


def padded(
    examples: Sequence[Rows], device: torch.device | str
) -> tuple[Tensor, Tensor, list[int]]:
    """All rows of `examples` in one tensor, zeros after their ends; their lengths; how many each
    example has."""
    rows = [row for one in examples for row in one.rows]
    lengths = [len(row) for row in rows]
    longest = max(lengths)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return (
        ids.to(device),
        torch.tensor(lengths, device=device),
        [len(one.rows) for one in examples],
    )


def with_head(model: GPT3, task: Task, classes: int, seed: int) -> FineTuned:
    """`model` with further tokens and a head that are a function of `seed` alone."""
    tuned = FineTuned(model, task, 1 if task == "choice" else classes)
    generator = torch.Generator().manual_seed(
        xxhash.xxh3_64_intdigest(f"gpt3/finetune/head/{seed}".encode()) >> 1
    )
    with torch.no_grad():
        for values in (tuned.special, tuned.head.weight):
            values.copy_(torch.empty(values.shape).normal_(std=DEVIATION, generator=generator))
        tuned.head.bias.zero_()
    return tuned.to(model.tokens.weight.device)


@torch.no_grad()
def answers(
    tuned: FineTuned, examples: Sequence[Rows], batch_tokens: int = 8192
) -> tuple[list[int], list[float]]:
    """The number of the likeliest label of each example, and the loss of the right one."""
    tuned.eval()
    order = sorted(range(len(examples)), key=lambda n: -max(map(len, examples[n].rows)))
    found: dict[int, tuple[int, float]] = {}
    while order:
        longest = examples[order[0]].rows
        size = max(1, batch_tokens // (max(map(len, longest)) * len(longest)))
        some, order = order[:size], order[size:]
        ids, lengths, counts = padded([examples[n] for n in some], tuned.special.device)
        for n, scores in zip(some, tuned.scores(tuned.hidden(ids), lengths, counts), strict=True):
            loss = -float(scores.float().log_softmax(-1)[examples[n].label])
            found[n] = int(scores.argmax()), loss
    in_order = [found[n] for n in range(len(examples))]
    return [number for number, _ in in_order], [loss for _, loss in in_order]
