"""Speed of personal data and block lists: `python perf/filter_pii_lists.py TEXTS.parquet...`.

Reads the columns `text` and, where there is one, `url`. Finds and masks e-mail and IP addresses, and
asks a million made-up domains, twenty words and twenty parts of words about the addresses. With
`--peer PYTHON`, the interpreter of an environment that has datatrove, tldextract, fasteners and
pyahocorasick, the same is done by datatrove's `PIIFormatter` and `URLFilter` (with the same lists),
in one process each after the other. Prints seconds of processor time and ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time

import click
import pyarrow as pa
import pyarrow.parquet as pq

from curation.kernels.masks import masked, merged
from curation.kernels.pii import KINDS, REPLACEMENTS, measure
from curation.kernels.urls import UrlLists, url_signals
from curation.readers.blocklists import url_lists

PEER = """
import json, sys, time
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter
from datatrove.pipeline.formatters.pii import PIIFormatter

folder = sys.argv[1]
table = pq.read_table(folder + "/input.parquet")
texts, urls = (table.column(name).to_pylist() for name in ("text", "url"))
formatter = PIIFormatter(email_replacement="email@example.com", ip_replacement="22.214.171.124")
formatter.format("warm a@b.de")
start = time.process_time()
for text in texts:
    formatter.format(text)
pii = time.process_time() - start
lines = {n: open(f"{folder}/{n}").read().split() for n in ("domains", "words", "subwords")}
start = time.process_time()
filter = URLFilter(extra_domains=lines["domains"], banned_words=lines["words"],
                   banned_subwords=lines["subwords"], use_integrated_lists=False)
loading = time.process_time() - start
documents = [Document(text="", id="", metadata={"url": url}) for url in urls if url]
filter.filter(documents[0])
start = time.process_time()
for document in documents:
    filter.filter(document)
print(json.dumps({"pii": pii, "loading": loading, "urls": time.process_time() - start}))
"""


def corpus(files: tuple[str, ...]) -> tuple[pa.Array, pa.Array]:
    """Texts and addresses of the files; made-up addresses where there is no column of them."""
    texts, urls = [], []
    for file in files:
        names = pq.read_schema(file).names
        table = pq.read_table(file, columns=[n for n in ("text", "url") if n in names])
        texts += table.column("text").to_pylist()
        column = table.column("url").to_pylist() if "url" in names else [None] * len(table)
        urls += [
            url or f"https://www.site{i}.example/a-word/{i}.html" for i, url in enumerate(column)
        ]
    return pa.array(texts, pa.large_string()), pa.array(urls, pa.string())


def write_lists(folder: str) -> None:
    """A million domains, of which a few occur, and words."""
    for name, lines in (
        ("domains", [f"site{i * 7}.example" for i in range(1_000_000)]),
        ("words", [f"word{i}" for i in range(20)]),
        ("subwords", [f"subword{i}" for i in range(20)]),
    ):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def timed_lists(folder: str) -> tuple[UrlLists, float]:
    """The lists, and the seconds of reading them."""
    url_lists(words=[f"{folder}/words"])
    start = time.process_time()
    lists = url_lists([f"{folder}/domains"], [f"{folder}/words"], (), [f"{folder}/subwords"])
    return lists, time.process_time() - start


def timed_kinds(texts: pa.Array) -> dict[str, float]:
    """Seconds of finding each kind, of masking, and of the default kinds together with masking."""
    seconds = {}
    measure(texts[:1], KINDS)
    for kind in KINDS:
        start = time.process_time()
        measure(texts, [kind])
        seconds[kind] = time.process_time() - start
    names = ("email", "ip")
    replacements = [REPLACEMENTS[name] for name in names]
    warm = pa.array(["a@b.de 8.8.8.8"])
    masked(warm.cast(pa.large_string()), merged(measure(warm, names), names), replacements)
    start = time.process_time()
    masked(texts, merged(measure(texts, names), names), replacements)
    seconds["pii"] = time.process_time() - start
    return seconds


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--peer", help="Interpreter of an environment with datatrove.")
def main(files: tuple[str, ...], peer: str | None) -> None:
    """Time both sides."""
    texts, urls = corpus(files)
    size = sum(len(text.as_py().encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        write_lists(folder)
        pq.write_table(pa.table({"text": texts, "url": urls}), f"{folder}/input.parquet")
        lists, loading = timed_lists(folder)
        seconds = timed_kinds(texts)
        url_signals(urls[:1], lists)
        start = time.process_time()
        url_signals(urls, lists)
        seconds |= {"urls": time.process_time() - start, "loading": loading}
        theirs = {}
        if peer:
            done = subprocess.run(
                [peer, "-c", PEER, folder],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ,
            )
            theirs = json.loads(done.stdout.splitlines()[-1])
    click.echo(f"{size:.1f} MB of text, {len(texts):,} documents, {len(urls):,} addresses")
    for name in (*KINDS, "pii"):
        click.echo(f"{name:8} {seconds[name]:8.3f} s {size / seconds[name]:9.1f} MB/s")
    click.echo(f"urls     {seconds['urls']:8.3f} s {len(urls) / seconds['urls']:9.0f} addresses/s")
    click.echo(f"loading  {seconds['loading']:8.3f} s for a million domains")
    for name, value in theirs.items():
        click.echo(f"datatrove {name}: {value:.3f} s, {value / seconds[name]:.1f} times ours")


if __name__ == "__main__":
    main()
