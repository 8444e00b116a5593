import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hashing_reference import ODD, TEXTS, murmur_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.kernels.buffers import text_buffers
from curation.kernels.hashingtf import Scaling, logits, murmur3, scale, term_counts, tokenize

COMPILES = settings(deadline=None)  # the first call compiles

SCALINGS = ("tf", "binary", "l2", "log-l2")


def counts_of(texts, num_features=1 << 18):
    indptr, indices, counts = term_counts(*text_buffers(pa.array(texts, pa.string())), num_features)
    assert (indptr.dtype, indices.dtype, counts.dtype) == (np.int64, np.int32, np.int32)
    rows = []
    for start, end in pairwise(indptr):
        assert (np.diff(indices[start:end]) > 0).all()
        rows.append(dict(zip(indices[start:end].tolist(), counts[start:end].tolist(), strict=True)))
    return rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        (" ", []),
        ("\t \n", []),
        ("a", ["a"]),
        (" a ", ["", "a"]),
        ("a  b", ["a", "", "b"]),
        ("A\u00a0B\x1cC\x85D", ["a\u00a0b\x1cc\x85d"]),  # white space elsewhere, but not Java's \s
        ("a\x0bb\fc\rd", ["a", "b", "c", "d"]),
    ],
)
def test_tokens_split_as_in_java(text, expected):
    assert tokenize(text) == expected


@COMPILES
@given(st.text(max_size=20))
def test_murmur3_is_the_slow_one(token):
    raw = token.encode("utf-8", "replace")
    data = np.frombuffer(b"x" + raw + b"\xff\xff\xff\xff", np.uint8)
    assert murmur3(data, 1, 1 + len(raw)) == murmur_of(raw.decode())


@COMPILES
@given(TEXTS, st.sampled_from([1, 2, 64, 1 << 18]))
def test_counts_are_those_of_the_reference_tokens(texts, num_features):
    expected = [
        Counter(murmur_of(token) % num_features for token in tokenize(text)) for text in texts
    ]
    assert counts_of(texts, num_features) == expected


@COMPILES
@given(TEXTS, st.integers(0, 5))
def test_counts_do_not_depend_on_the_batch(texts, cut):
    assert counts_of(texts[:cut]) + counts_of(texts[cut:]) == counts_of(texts)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_logits_are_the_scaled_counts_times_the_weights(scaling: Scaling):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=1 << 10)
    texts = ["", " ", "a", "a a a b", "x " * 5000] + [
        " ".join(f"w{k}" for k in rng.zipf(1.3, size=n) % 5000) for n in (5, 50, 5000)
    ]
    offsets, data = text_buffers(pa.array(texts))
    indptr, indices, counts = term_counts(offsets, data, 1 << 10)
    values = scale(indptr, counts, scaling)
    expected = [-0.5 + weights[indices[s:e]] @ values[s:e] for s, e in pairwise(indptr)]
    found = logits(offsets, data, weights, -0.5, scaling)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    alone = [logits(*text_buffers(pa.array([text])), weights, -0.5, scaling)[0] for text in texts]
    assert found.tolist() == alone
    if scaling in ("l2", "log-l2"):
        norms = np.sqrt([np.sum(values[s:e] ** 2) for s, e in pairwise(indptr)])
        np.testing.assert_allclose(norms, np.diff(indptr) > 0, atol=1e-12)


def test_scaled_values():
    indptr, counts = np.array([0, 0, 2, 2, 3, 3]), np.array([1, 3, 5000], np.int32)
    assert scale(indptr, counts, "tf").tolist() == [1, 3, 5000]
    assert scale(indptr, counts, "binary").tolist() == [1, 1, 1]
    assert scale(indptr, counts, "l2").tolist() == pytest.approx([10**-0.5, 3 * 10**-0.5, 1])
    assert scale(indptr, counts, "log-l2").tolist() == pytest.approx([5**-0.5, 2 * 5**-0.5, 1])


def test_what_is_refused():
    offsets, data = text_buffers(pa.array(["a"]))
    with pytest.raises(ValueError, match="expected a power of two"):
        term_counts(offsets, data, 1000)
    with pytest.raises(ValueError, match="expected a power of two"):
        logits(offsets, data, np.zeros(3), 0.0, "tf")
    with pytest.raises(ValueError, match="expected a scaling of tf, binary, l2, log-l2, got 'idf'"):
        logits(offsets, data, np.zeros(4), 0.0, "idf")  # type: ignore[arg-type]


# Capitals of DerivedAge.txt, age 14.0: unknown to Java 17.
_ADDED_IN_14 = frozenset([0x2C2F, 0xA7C0, 0xA7D0, 0xA7D6, 0xA7D8, *range(0x10570, 0x10596)])
# What Java 17 knows of the basic plane (its word iterator, which decides on final sigmas, can stop
# inside a surrogate pair).
JAVA = [
    chr(c)
    for c in range(0x10000)
    if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cs", "Cn", "Co")
]


def odd_texts():
    """Texts with every letter case that Java 17 knows (Unicode 13), and sigmas in every
    neighbourhood."""
    known = [
        chr(c)
        for c in range(0x110000)
        if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co") and c not in _ADDED_IN_14
    ]
    rng = np.random.default_rng(0)
    texts = [
        "".join(known[i : i + 50]) for i in range(0, len(known), 50) if "Σ" not in known[i : i + 50]
    ]
    # The JDK's word iterator can stop inside a surrogate pair, so sigmas are not mixed with such
    # letters.
    near = [c for c in known if ord(c) < 0x10000 and unicodedata.ucd_3_2_0.category(c) != "Cn"]
    for _ in range(5000):
        chosen = [str(rng.choice(list(ODD + "#$%&_:·\u00ad"))) for _ in range(rng.integers(1, 12))]
        chosen[rng.integers(len(chosen))] = near[rng.integers(len(near))]
        chosen.insert(int(rng.integers(len(chosen) + 1)), "Σ")
        texts.append("".join(chosen))
    return [
        *texts,
        "",
        " ",
        "  ",
        " a",
        "a ",
        "\t\n",
        "  Hello  World\t\tfoo \n bar ",
        "x" * 100_000,
    ]


def spark_differs(spark, texts):
    """The texts whose tokens or term counts are not those of pyspark.ml's Tokenizer and
    HashingTF."""
    from pyspark.ml.feature import HashingTF, Tokenizer

    frame = spark.createDataFrame([(text,) for text in texts], ["text"])
    words = Tokenizer(inputCol="text", outputCol="words").transform(frame)
    rows = (
        HashingTF(inputCol="words", outputCol="tf").transform(words).select("words", "tf").collect()
    )
    expected = [
        dict(zip(row.tf.indices.tolist(), row.tf.values.tolist(), strict=True)) for row in rows
    ]
    counted = counts_of(texts)
    return [
        text
        for text, row, ours, theirs in zip(texts, rows, counted, expected, strict=True)
        if tokenize(text) != row.words or ours != theirs
    ]


@pytest.mark.spark
def test_parity_with_pyspark_ml(spark):
    assert spark_differs(spark, odd_texts()) == []


@pytest.mark.spark
def test_parity_with_pyspark_ml_on_the_sample(spark, sample_run):
    from curation import store
    from curation.rundir import plan

    rundir, made = plan.read(str(sample_run))
    texts = [
        t
        for s in made.shards
        for t in store.read_table(rundir.documents(s), ["text"])["text"].to_pylist()
    ]
    assert len(texts) > 100
    assert spark_differs(spark, texts) == []


@pytest.mark.spark
@pytest.mark.parametrize(
    "name",
    [
        "multilingual",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("webtext", "wikipedia", "books", "lowquality")
        ),
    ],
)
def test_parity_with_pyspark_ml_on_real_texts(spark, shared_data, name):
    texts = pq.read_table(shared_data / "text" / f"{name}.parquet", columns=["text"])[
        "text"
    ].to_pylist()
    texts = [text[:50_000] for text in texts[:: max(1, len(texts) // 400)]]
    assert spark_differs(spark, texts) == []


@pytest.mark.spark
@examples(20, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.text(st.one_of(st.sampled_from(JAVA), st.sampled_from(ODD)), max_size=60),
        min_size=50,
        max_size=200,
    )
)
def test_parity_with_pyspark_ml_on_made_up_unicode(spark, texts):
    assert spark_differs(spark, texts) == []
