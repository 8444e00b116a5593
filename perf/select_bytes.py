"""Bytes that a selection reads against whole archives: `python perf/select_bytes.py`.

Writes an index in the schema and layout of Common Crawl's table into a temporary folder and reads
three selections of it: one language, one domain, and a sample of one page in a hundred. Prints the
bytes and requests of the index and of records, beside the bytes of whole archives. The records are
made up: their addresses, languages and stored sizes (10 to 50 kB, as evenly as a generator draws)
are in the index, and no archive is written. That exactly these bytes are asked for is tested in
`tests/stages/download/test_selection.py`.
"""

from __future__ import annotations

import base64
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from curation.recipe import reading
from curation.rundir.directory import RunDirectory
from curation.stages.download.index_files import index_files
from curation.stages.download.rows import Seen, selected_rows
from curation.stages.download.selection import asked_of
from curation.stages.extract.selected import cost

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from columnar_index import write_index

CRAWL = "CC-MAIN-2024-10"
HOSTS = 200
SELECTIONS: dict[str, dict[str, Any]] = {
    "one language": {"select": "content_languages = 'eng' and fetch_status = 200"},
    "one domain": {"select": "url_host_registered_domain = 'site7.example'"},
    "sample of 1 %": {"sample": 0.01},
}


def made_rows(draw: random.Random, number: int, records: int) -> tuple[list[dict[str, Any]], int]:
    """The index's rows of one archive, and the archive's bytes."""
    path = f"crawl-data/{CRAWL}/segments/0/warc/{number:05}.warc.gz"
    rows, at = [], 0
    for record in range(records):
        at += draw.randrange(400, 800)  # the request before it
        site = draw.randrange(HOSTS)
        host, page = f"site{site}.example", f"{draw.randbytes(8).hex()}/{number}-{record}"
        size = draw.randrange(10_000, 50_000)
        rows.append(
            {
                "url_surtkey": f"example,site{site})/{page}",
                "url": f"https://{host}/{page}",
                "url_host_name": host,
                "url_host_tld": "example",
                "url_host_registered_domain": host,
                "url_protocol": "https",
                "url_path": f"/{page}",
                "fetch_status": 200,
                "content_digest": base64.b32encode(draw.randbytes(20)).decode(),
                "content_mime_type": "text/html",
                "content_mime_detected": "text/html",
                "content_languages": "eng" if draw.random() < 0.45 else "deu",
                "warc_filename": path,
                "warc_record_offset": at,
                "warc_record_length": size,
            }
        )
        at += size + draw.randrange(400, 800)  # the metadata behind it
    return rows, at


@click.command()
@click.option("--archives", default=8, show_default=True)
@click.option("--records", default=20_000, show_default=True, help="Of each archive.")
@click.option("--group-rows", default=10_000, show_default=True, help="Of the index.")
@click.option("--gap-kb", default=64, show_default=True, help="Between records of one request.")
def main(archives: int, records: int, group_rows: int, gap_kb: int) -> None:
    """Count the bytes of three selections."""
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []
    whole = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(archives):
            more, size = made_rows(draw, number, records)
            rows, whole = rows + more, whole + size
        write_index(Path(folder) / "index", CRAWL, rows, 4, group_rows)
        index = sum(f.stat().st_size for f in (Path(folder) / "index").rglob("*.parquet"))
        click.echo(
            f"{archives} archives, {len(rows):,} records, {whole / 1e6:,.0f} MB; index "
            f"{index / 1e6:.1f} MB; requests join over {gap_kb} kB"
        )
        head = ("selection", "records", "of index", "groups", "requests", "MB fetched", "of whole")
        click.echo("{:<16}{:>9}{:>10}{:>9}{:>10}{:>12}{:>10}".format(*head))
        for name, keys in SELECTIONS.items():
            click.echo(_line(folder, name, {**keys, "range_gap_kb": gap_kb}, whole))


def _line(folder: str, name: str, keys: dict[str, Any], whole: int) -> str:
    import pyarrow as pa

    dataset = {
        "name": "web",
        "role": "crawl",
        "crawls": [CRAWL],
        "kind": "warc",
        "index": f"{folder}/index",
    }
    recipe = reading.parse({"dataset": [{**dataset, **keys}], "stages": ["download", "extract"]})
    rundir, seen = RunDirectory(f"{folder}/run", recipe), Seen()
    (only,) = recipe.dataset
    asked = asked_of(rundir, only, CRAWL, 1)
    tables = [
        table
        for file in index_files(rundir, only, CRAWL)
        for table in selected_rows(asked, file, seen)
    ]
    order = [("filename", "ascending"), ("start", "ascending")]
    requests, fetched = cost(only, pa.concat_tables(tables).sort_by(order))
    groups = f"{seen.groups_read}/{seen.groups}"
    share = (fetched + seen.received) / whole
    return (
        f"{name:<16}{seen.selected:>9,}{seen.received / seen.size:>10.1%}{groups:>9}"
        f"{requests + seen.requests:>10,}{fetched / 1e6:>12.2f}{share:>10.1%}"
    )


if __name__ == "__main__":
    main()
