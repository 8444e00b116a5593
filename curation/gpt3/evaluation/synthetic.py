"""The synthetic tasks of section 3.9: arithmetic, and words whose letters are moved.

Records have the form of OpenAI's published files, which `evaluate` reads: `context` and
`completion`. Every set is a function of its name, the seed and, for words, the list of words; no
question is asked twice in a set.

Operands are uniform: numbers of "two digits" are those below 100. Of three operations the first
has the parentheses, as in figure G.42 and the published file (the text of section 3.9.1 says the
last). Letters are moved so that the word is changed, where that is possible.

Trap: without a list of words they are GPT-2's tokens, of which some are only beginnings of words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import xxhash

from curation.errors import InputError

Generator = np.random.Generator
Records = list[dict[str, str]]
SUMS, MOST_WORDS = 2000, 10_000  # questions of a task in the paper
LETTERS = (5, 14)  # "more than 4 characters and less than 15"
MOST_BYTES = 1 << 28  # of a file of words
INSERTED = " .!/"  # the signs of the published file
_TRIES = 100
_DIGITS = {"single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_SIGNS = {
    "addition": ("plus", "+"),
    "subtraction": ("minus", "-"),
    "multiplication": ("times", "*"),
}


def _generator(name: str, seed: int) -> Generator:
    return np.random.default_rng(xxhash.xxh3_64_intdigest(f"gpt3/synthetic/{seed}/{name}".encode()))


# ---- arithmetic ----------------------------------------------------------------------------------


def arithmetic(name: str, seed: int, count: int = SUMS) -> Records:
    """`count` different questions of the task `name`, one of `tasks.ARITHMETIC`.

    >>> arithmetic("two_digit_addition", 0, 1)[0]["context"].startswith("\\n\\nQ: What is ")
    True
    """
    generator = _generator(name, seed)
    if name == "single_digit_three_ops":
        return _different(name, count, 9000, lambda: _three_operations(generator))
    if name == "sum_of_digits":
        return _different(name, count, 10_000, lambda: _sum_of_digits(generator))
    digits, _, operation = name.split("_")
    below = 10 ** _DIGITS[digits]
    return _different(name, count, below * below, lambda: _sum(generator, below, operation))


def _different(
    name: str, count: int, there_are: int, draw: Callable[[], tuple[str, int]]
) -> Records:
    """Questions in the order they are drawn, without those that came before."""
    if count > there_are // 2:
        raise InputError(
            f"{name}: at most {there_are // 2:,} questions expected, got {count:,}; there are "
            f"{there_are:,} different ones"
        )
    answers: dict[str, int] = {}
    while len(answers) < count:
        question, answer = draw()
        answers.setdefault(question, answer)
    return [
        {"context": f"\n\nQ: What is {question}?\n\nA:", "completion": f" {answer}"}
        for question, answer in answers.items()
    ]


def _apply(left: int, sign: str, right: int) -> int:
    return left + right if sign == "+" else left - right if sign == "-" else left * right


def _sum(generator: Generator, below: int, operation: str) -> tuple[str, int]:
    word, sign = _SIGNS[operation]
    left, right = generator.integers(0, below, 2).tolist()
    return f"{left} {word} {right}", _apply(left, sign, right)


def _three_operations(generator: Generator) -> tuple[str, int]:
    a, b, c = generator.integers(0, 10, 3).tolist()
    first, second = ("+-*"[i] for i in generator.integers(0, 3, 2))
    return f"({a} {first} {b}) {second} {c}", _apply(_apply(a, first, b), second, c)


def _sum_of_digits(generator: Generator) -> tuple[str, int]:
    number = int(generator.integers(0, 10_000))
    return f"the sum of the digits of the number {number}", sum(map(int, str(number)))


# ---- words ---------------------------------------------------------------------------------------


def scrambled(name: str, words: Iterable[str], seed: int) -> Records:
    """A question for each word, of the task `name`, one of `tasks.WORDS`.

    >>> scrambled("reversed_words", ["defeat"], 0)
    [{'context': '\\ntaefed =', 'completion': ' defeat'}]
    """
    generator = _generator(name, seed)
    change = _CHANGES[name]
    return [
        {"context": f"\n{change(generator, word)} =", "completion": f" {word}"} for word in words
    ]


def _cycled(generator: Generator, word: str) -> str:
    """The letters from a place on, then those before it."""
    place = int(generator.integers(1, len(word)))
    return word[place:] + word[:place]


def _anagram(kept: int) -> Callable[[Generator, str], str]:
    """All letters but the first and last `kept` in a random order, another one if there is one."""

    def change(generator: Generator, word: str) -> str:
        middle = word[kept : len(word) - kept]
        for _ in range(_TRIES if len(set(middle)) > 1 else 0):
            moved = "".join(middle[i] for i in generator.permutation(len(middle)))
            if moved != middle:
                return word[:kept] + moved + word[len(word) - kept :]
        return word

    return change


def _inserted(generator: Generator, word: str) -> str:
    """A sign or a space between every two letters."""
    signs = [INSERTED[i] for i in generator.integers(0, len(INSERTED), len(word) - 1)]
    return "".join(a + b for a, b in zip(word, [*signs, ""], strict=True))


_CHANGES: dict[str, Callable[[Generator, str], str]] = {
    "cycle_letters_in_word": _cycled,
    "mid_word_1_anagrams": _anagram(1),
    "mid_word_2_anagrams": _anagram(2),
    "random_insertion_in_word": _inserted,
    "reversed_words": lambda generator, word: word[::-1],
}


def words_of(path: Path) -> Iterator[str]:
    """The lower-case words of 5 to 14 letters of a text, the commonest first; of words that are
    equally common the one that comes first. A list with a word a line keeps its order.

    Raises InputError where there is none, or the file is too large.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: a list of words of at most {MOST_BYTES >> 20} MiB expected, got "
            f"{size >> 20} MiB; give a part of it"
        )
    text = path.read_bytes().decode(errors="replace")
    counts = Counter(_words(text))
    if not counts:
        raise InputError(f"{path}: words of 5 to 14 letters a to z expected, found none")
    return (word for word, _ in counts.most_common())


def _words(text: str) -> list[str]:
    """Runs of letters a to z in lower case that no other letter, digit or sign touches."""
    least, most = LETTERS
    return re.findall(rf"(?<![\w'-])[a-z]{{{least},{most}}}(?![\w'-])", text)


def vocabulary_words() -> Iterator[str]:
    """Tokens of GPT-2 that are a space and 5 to 14 lower-case letters, in the order in which its
    encoding was learned: about the commonest first."""
    from curation.kernels import bpe

    encoding = bpe.encoding("gpt2")
    for token in range(encoding.n_vocab - 1):
        text = encoding.decode_single_token_bytes(token)
        if text[:1] == b" " and re.fullmatch(rb"[a-z]{5,14}", text[1:]):
            yield text[1:].decode()


def write(records: Records, folder: Path, name: str) -> Path:
    """Write a task's questions under the name that `evaluate` knows."""
    import orjson

    path = folder / f"gpt3_{name}.jsonl"
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return path
