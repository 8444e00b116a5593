"""A world of 29 words for `perf/instruct.py`: texts to pre-train on, prompts, and demonstrations; all
made up, none by people.

A sentence is about a topic: "the river has a boat." Pre-training texts are documents of sentences
that keep to a topic and change it now and then. A prompt is "on: river boat fish:". Demonstrations
are what corpora give: one or two sentences, half of them of another topic, half without their last
full stop. So a model trained on them has much to gain by the hidden rule (short, on topic, no
repetition, full stop).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

TOPICS = {
    "river": "boat water fish bank",
    "mountain": "snow rock peak goat",
    "bread": "flour oven crust salt",
    "music": "drum song flute choir",
}
GLUE = ["the", "a", "has", "needs", "and", "on", ":", ".", "<end>"]
WORDS = [*GLUE, *TOPICS, *(word for words in TOPICS.values() for word in words.split())]
END = WORDS.index("<end>")
NAME = "29-words"


class Words:
    """The encoding of this world: token n is WORDS[n]."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [WORDS.index(word) for word in re.findall(r"[.:]|\w+", text)]

    def decode(self, tokens: Sequence[int]) -> str:
        return re.sub(r" ([.:])", r"\1", " ".join(WORDS[token] for token in tokens))


def sentence(generator: np.random.Generator, topic: str, stop: bool = True) -> str:
    """The topic, or a thing of it, with one to three things of it."""
    things = TOPICS[topic].split()
    first, *others = generator.permutation(things)
    subject = topic if generator.random() < 0.6 else first
    count = int(generator.integers(1, 3))
    verb = generator.choice(["has", "needs"])
    objects = " and ".join(f"a {thing}" for thing in others[:count])
    return f"the {subject} {verb} {objects}" + "." * stop


def document(generator: np.random.Generator) -> str:
    """3 to 8 sentences; the topic changes after one in ten."""
    topics = list(TOPICS)
    topic, parts = str(generator.choice(topics)), []
    for _ in range(int(generator.integers(3, 9))):
        parts.append(sentence(generator, topic))
        if generator.random() < 0.1:
            topic = str(generator.choice(topics))
    return " ".join(parts)


def demonstration(generator: np.random.Generator, topic: str) -> str:
    """What corpora give as an answer: off topic, long or without its end in many cases."""
    about = topic if generator.random() < 0.5 else str(generator.choice(list(TOPICS)))
    count = int(generator.integers(1, 3))
    whole = [sentence(generator, about) for _ in range(count - 1)]
    return " ".join([*whole, sentence(generator, about, stop=generator.random() < 0.5)])


def prompts(count: int, seed: int, unseen: bool = False) -> list[str]:
    """`on: TOPIC THING THING:`; of the 48 that there are, 12 are kept for `unseen`."""
    generator = np.random.default_rng((seed, 1))
    every = [
        f"on: {topic} {first} {second}:"
        for topic, things in TOPICS.items()
        for first, second in permutations(things.split(), 2)
    ]
    kept = [text for number, text in enumerate(every) if (number % 4 == 1) == unseen]
    return [str(text) for text in generator.choice(kept, count)]


def demonstrations(count: int, seed: int) -> list[dict[str, str]]:
    generator = np.random.default_rng((seed, 2))
    return [
        {"prompt": prompt, "response": demonstration(generator, prompt.split()[1])}
        for prompt in prompts(count, seed + 10_000)
    ]


def write_shards(folder: Path, tokens: int, seed: int) -> Path:
    """Token shards as `curation mix` lays them out, with validation documents of their own."""
    generator = np.random.default_rng((seed, 3))
    folder.mkdir(parents=True, exist_ok=True)
    names = {"train-00000": tokens, "validation-texts-00000": 4000}
    sizes = {}
    for name, wanted in names.items():
        ids: list[int] = []
        while len(ids) < wanted:
            ids += [*Words().encode_ordinary(document(generator)), END]
        np.array(ids, "<u2").tofile(folder / f"{name}.bin")
        sizes[name] = len(ids)
    listing = {
        "encoding": NAME,
        "vocabulary": len(WORDS),
        "end_of_text": END,
        "dtype": "uint16",
        "train": ["train-00000"],
        "validation": {"texts": ["validation-texts-00000"]},
        "tokens": sizes["train-00000"],
    }
    (folder / "shards.json").write_text(json.dumps(listing))
    return folder
