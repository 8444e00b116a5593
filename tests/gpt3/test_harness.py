"""lm-eval and our own runner agree on a task; needs the extra `test-all`, which `make test-all`
installs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval", reason="the extra `lm-eval` is not installed")
torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytestmark = pytest.mark.slow

from lm_eval import simple_evaluate  # noqa: E402
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

from curation.errors import InputError  # noqa: E402
from curation.gpt3.evaluate import evaluate, open_reader  # noqa: E402
from curation.gpt3.harness import CurationModel  # noqa: E402
from curation.gpt3.sizes import Size  # noqa: E402
from curation.gpt3.train import Options, train  # noqa: E402

CHOICES = [
    ("The sun rises in the", ["east every day", "soup"], 0),
    ("A cat says", ["moo", "meow and sits", "woof"], 1),
    ("Two and two is", ["four", "a fish", "tall"], 0),
    ("She opened the", ["door", "because"], 0),
    ("It rained, so we", ["stayed at home", "of"], 0),
    ("He ate the", ["bread", "sky of the sea"], 0),
]
WORDS = [
    ("Her name was Anna, and they called her", "Anna"),
    ("One, two, three,", "four"),
    ("To be or not to", "be"),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step of training on a few words, with GPT-2's vocabulary."""
    import numpy as np

    folder = tmp_path_factory.mktemp("shards")
    np.tile(np.array([464, 4252, 16736, 287, 262, 7627, 13, 50256], "<u2"), 300).tofile(
        folder / "train-00000.bin"
    )
    listing = {"encoding": "gpt2", "vocabulary": 50257, "end_of_text": 50256, "dtype": "uint16"}
    (folder / "shards.json").write_text(
        json.dumps({**listing, "train": ["train-00000"], "validation": {}, "tokens": 2400})
    )
    size = Size("test", 1, 16, 2, 64, 1e-2, tokens=640, context=64, band=16)
    return train(folder, folder / "model", size, Options(tokens=640, max_steps=4)).checkpoint


def task(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "data.jsonl")}},
        "test_split": "test",
        **more,
    }


def harness(checkpoint: Path, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What lm-eval says of one local task."""
    (folder / "local.yaml").write_text(json.dumps({"task": "local", **config}))
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = simple_evaluate(
        model="curation",
        model_args=f"checkpoint={checkpoint}",
        tasks=["local"],
        task_manager=manager,
        bootstrap_iters=0,
    )
    results: dict[str, Any] = found["results"]["local"]
    return results


def test_choices_agree(checkpoint: Path, tmp_path: Path) -> None:
    """lm-eval's `acc` takes the option of the highest log probability, so that is what our scores
    are put to.
    """
    records = [{"query": q, "choices": c, "gold": g} for q, c, g in CHOICES]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    config = task(
        tmp_path,
        output_type="multiple_choice",
        doc_to_text="{{query}}",
        doc_to_choice="choices",
        doc_to_target="gold",
        metric_list=[{"metric": "acc"}],
    )
    theirs = harness(checkpoint, tmp_path, config)["acc,none"]
    reader = open_reader(checkpoint)
    right = 0
    for query, choices, gold in CHOICES:
        values = [
            score.log_probability
            for score in reader.score([(query, f" {choice}") for choice in choices])
        ]
        right += values.index(max(values)) == gold
    assert theirs == pytest.approx(right / len(CHOICES))


def test_last_words_agree(checkpoint: Path, tmp_path: Path) -> None:
    records = [{"context": c, "continuation": w} for c, w in WORDS]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    config = task(
        tmp_path,
        output_type="loglikelihood",
        doc_to_text="{{context}}",
        doc_to_target=" {{continuation}}",
        metric_list=[{"metric": "perplexity"}, {"metric": "acc"}],
    )
    theirs = harness(checkpoint, tmp_path, config)
    ours = evaluate(open_reader(checkpoint), tmp_path / "data.jsonl")[0]
    assert theirs["perplexity,none"] == pytest.approx(ours["perplexity"]["value"], rel=1e-4)
    assert theirs["acc,none"] == pytest.approx(ours["accuracy"]["value"], abs=1e-4)


def instance(kind: str, *arguments: Any) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def test_a_whole_text_is_scored_from_its_start_each_token_once(checkpoint: Path) -> None:
    model, reader = CurationModel(str(checkpoint)), open_reader(checkpoint)
    text = "The sun rises in the east. " * 3
    short = model.loglikelihood_rolling([instance("loglikelihood_rolling", text)])[0]
    assert short == pytest.approx(reader.score([("", text)])[0].log_probability, rel=1e-5)
    long = text * 8  # three windows of 64
    assert model.loglikelihood_rolling([instance("loglikelihood_rolling", long)])[0] < short


def test_answers_are_those_of_our_reader_and_sampling_is_refused(checkpoint: Path) -> None:
    model, reader = CurationModel(str(checkpoint)), open_reader(checkpoint)
    options = {"until": ["\n"], "max_gen_toks": 5, "do_sample": False}
    answers = model.generate_until([instance("generate_until", "The sun", options)])
    assert answers == reader.answer(["The sun"], ["\n"], 5)
    with pytest.raises(InputError, match="answers greedily"):
        model.generate_until(
            [instance("generate_until", "The sun", {"do_sample": True, "temperature": 0.7})]
        )
