"""Vocabularies in files against the libraries that they are of."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import InputError, MissingExtra
from curation.kernels import bpe, encoding, vocabularies

tokenizers = pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")
sentencepiece = pytest.importorskip(
    "sentencepiece", reason="the extra `tokenizers` is not installed"
)

TEXTS = [
    "The tide turns twice a day, and the boats turn with it.",
    "Twice a day the harbour master reads the tide table aloud.",
    "Boats that turn early wait; boats that turn late walk home.",
    "Ein Schiff, zwei Schiffe: drei Häfen im Süden. 漢字かな交じり文",
]
ODD = [
    "",
    " ",
    "\n\n\t x",
    "<|endoftext|> and </s> are text",
    "a" * 5000,
    "caf\u00e9 \U0001f600\x00\u200b",
]


def of_kind(kind: str) -> bytes:
    """A tokenizer.json as they are in use: byte-level, WordPiece, Unigram with bytes and Metaspace."""
    t = tokenizers
    if kind == "bytes":
        return vocabularies.trained(TEXTS, 400)
    if kind == "wordpiece":
        made = t.Tokenizer(t.models.WordPiece(unk_token="[UNK]"))
        made.normalizer = t.normalizers.BertNormalizer()
        made.pre_tokenizer = t.pre_tokenizers.BertPreTokenizer()
        made.decoder = t.decoders.WordPiece()
        special = ["[UNK]", "[CLS]", "[SEP]"]
        trainer = t.trainers.WordPieceTrainer(
            vocab_size=200, special_tokens=special, show_progress=False
        )
    else:
        made = t.Tokenizer(t.models.Unigram())
        made.normalizer = t.normalizers.NFKC()
        made.pre_tokenizer = t.pre_tokenizers.Metaspace()
        made.decoder = t.decoders.Metaspace()
        trainer = t.trainers.UnigramTrainer(
            vocab_size=150, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False
        )
    made.train_from_iterator(TEXTS, trainer)
    if kind == "wordpiece":
        ends = [("[CLS]", 1), ("[SEP]", 2)]
        made.post_processor = t.processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
        made.enable_truncation(5)
        made.enable_padding(length=20)
    return made.to_str().encode()


def spm(**options: Any) -> bytes:
    """A SentencePiece model of a few words."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4),
        model_writer=model,
        **{"vocab_size": 120, "hard_vocab_limit": False, "minloglevel": 2, **options},
    )
    return model.getvalue()


@pytest.mark.parametrize("kind", ["bytes", "wordpiece", "unigram"])
def test_ids_are_those_of_tokenizers(kind: str) -> None:
    data = of_kind(kind)
    ours = vocabularies.load(data, "tokenizer.json")
    theirs = tokenizers.Tokenizer.from_str(data.decode())
    theirs.no_truncation()
    theirs.no_padding()
    for text in TEXTS:
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode_ordinary(text) == expected
        assert ours.decode(expected) == theirs.decode(expected)
    assert ours.encode_many(TEXTS) == [ours.encode_ordinary(text) for text in TEXTS]
    assert ours.n_vocab == theirs.get_vocab_size()
    end = {"bytes": "<|endoftext|>", "wordpiece": "[SEP]", "unigram": "</s>"}[kind]
    assert ours.eot_token == theirs.token_to_id(end)


@pytest.mark.parametrize("kind", ["bytes", "wordpiece", "unigram"])
def test_special_tokens_in_a_text_are_text(kind: str) -> None:
    ours = vocabularies.load(of_kind(kind), "tokenizer.json")
    for text in (*ODD, "[SEP] [CLS]", "a <|endoftext|> b"):
        assert ours.eot_token not in ours.encode_ordinary(text)


@pytest.mark.parametrize(
    "options", [{}, {"model_type": "bpe", "byte_fallback": True, "vocab_size": 400}]
)
def test_ids_are_those_of_sentencepiece(options: dict[str, Any]) -> None:
    data = spm(**options)
    ours = vocabularies.load(data, "spm.model")
    theirs = sentencepiece.SentencePieceProcessor(model_proto=data)
    for text in (*TEXTS, *ODD):
        assert ours.encode_ordinary(text) == theirs.encode(text, out_type=int)
    assert ours.encode_many(TEXTS) == theirs.encode(TEXTS, out_type=int)
    assert (ours.n_vocab, ours.eot_token) == (theirs.get_piece_size(), theirs.eos_id())
    assert ours.eot_token not in ours.encode_ordinary("</s> <s>")


def test_bytes_of_tokens_spell_the_text() -> None:
    ours = vocabularies.load(vocabularies.trained(TEXTS, 400), "tokenizer.json")
    for text in (*TEXTS, *ODD):
        ids = ours.encode_ordinary(text)
        assert b"".join(map(ours.decode_single_token_bytes, ids)).decode() == text
        assert ours.decode(ids) == text
    fallback = vocabularies.load(
        spm(model_type="bpe", byte_fallback=True, vocab_size=400), "a.model"
    )
    spelled = b"".join(
        map(fallback.decode_single_token_bytes, fallback.encode_ordinary("boats \U0001f600"))
    )
    assert spelled.decode() == " boats \U0001f600"
    for vocabulary in (ours, fallback):
        for token in (vocabulary.eot_token, vocabulary.n_vocab):
            with pytest.raises(KeyError):
                vocabulary.decode_single_token_bytes(token)


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=50)
def test_a_column_is_its_texts_with_an_end_behind_each(texts: list[str]) -> None:
    ours = vocabularies.load(LEARNED, "tokenizer.json")
    offsets, tokens = encoding.encode("x.json", pa.array(texts, pa.string()), ours)
    assert (
        offsets.tolist()
        == np.cumsum([0, *(len(ours.encode_ordinary(t)) + 1 for t in texts)]).tolist()
    )
    for text, start, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        assert tokens[start:end].tolist() == [*ours.encode_ordinary(text), ours.eot_token]


LEARNED = vocabularies.trained(TEXTS, 300)


def test_a_vocabulary_of_ones_own_is_a_function_of_the_texts() -> None:
    assert vocabularies.trained(iter(TEXTS), 300) == LEARNED
    assert vocabularies.load(LEARNED, "a.json").n_vocab == 300
    # More than the texts have is not made up.
    assert vocabularies.load(vocabularies.trained(["aa"], 5000), "a.json").n_vocab < 300


def test_a_path_is_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(LEARNED)
    assert (
        bpe.encoding(str(path)).decode(bpe.encoding(str(path)).encode_ordinary(TEXTS[0]))
        == TEXTS[0]
    )
    assert vocabularies.stored_name(LEARNED, str(path)).endswith(".json")
    assert vocabularies.stored_name(LEARNED, "a.json") != vocabularies.stored_name(
        LEARNED + b" ", "a.json"
    )


def test_another_token_may_end_a_document() -> None:
    asked = vocabularies.load(of_kind("wordpiece"), "a.json", "[CLS]")
    assert asked.eot_token == 1
    with pytest.raises(
        InputError, match=r"has no token '\[END\]' .*tokenize.end_of_text \(it has .*\[SEP\]"
    ):
        vocabularies.load(of_kind("wordpiece"), "a.json", "[END]")
    no_end = spm(eos_id=-1)
    with pytest.raises(InputError, match=r"b\.model has no token one of <\|endoftext\|>, .*</s>"):
        _ = vocabularies.load(no_end, "b.model").eot_token
    # A model knows its own end: its vocabulary is read all the same.
    assert vocabularies.load(no_end, "b.model").decode([5, 6])
    assert vocabularies.load(no_end, "b.model", "<s>").eot_token == 1


@pytest.mark.parametrize("name", ["a.json", "a.model"])
@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", LEARNED[:200], b"x" * 500])
def test_what_is_no_vocabulary_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.(json|model)"):
        vocabularies.load(data, name)


def test_a_file_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"no\.json: a tokenizer\.json .* no such file"):
        bpe.encoding(str(tmp_path / "no.json"))
    monkeypatch.setattr(vocabularies, "MOST_BYTES", 10)
    (tmp_path / "big.json").write_bytes(LEARNED)
    with pytest.raises(InputError, match="at most 10 bytes"):
        bpe.encoding(str(tmp_path / "big.json"))


@pytest.mark.parametrize(
    ("library", "name"), [("tokenizers", "q.json"), ("sentencepiece", "q.model")]
)
def test_without_its_library_it_says_what_to_install(
    library: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[tokenizers\]'"):
        vocabularies.load(json.dumps({"q": name}).encode(), name)
    if library == "tokenizers":
        with pytest.raises(MissingExtra, match="vocabulary of one's own"):
            vocabularies.trained(["a"], 300)
