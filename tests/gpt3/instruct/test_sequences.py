from __future__ import annotations

import torch

from curation.gpt3.instruct.data import Tokens
from curation.gpt3.instruct.sequences import answer_log_probabilities, batch_of
from curation.gpt3.model import build
from curation.gpt3.sizes import Size


def test_log_probabilities_are_those_of_each_sequence_alone(word_size: Size) -> None:
    model = build(word_size, 3)
    generator = torch.Generator().manual_seed(0)
    rows = [
        Tokens(tuple(torch.randint(0, 19, (length,), generator=generator).tolist()), prompt)
        for length, prompt in ((9, 2), (16, 7), (4, 3))
    ]
    batch = batch_of(rows, 0)
    found, entropy = answer_log_probabilities(model, batch)
    for row, one in enumerate(rows):
        logs = model(torch.tensor([one.ids]))[0].log_softmax(-1)
        for t in range(15):
            inside = one.prompt <= t + 1 < len(one.ids)
            wanted = logs[t, one.ids[t + 1]] if inside else torch.zeros(())
            assert torch.allclose(found[row, t], wanted, atol=1e-5)
            if inside:
                assert torch.allclose(entropy[row, t], -(logs[t].exp() * logs[t]).sum(), atol=1e-5)
    assert batch.rows(slice(1, 2)).mask().sum() == 9
