import pytest

from curation.errors import InputError
from curation.readers.formats import guess_format


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.warc", "archive"),
        ("CC-MAIN-20190817-00000.warc.gz", "archive"),
        ("s3/CC-MAIN.warc.wet.gz", "archive"),
        ("a.warc.zst", "archive"),
        ("A.ARC.GZ", "archive"),
        ("b.warc.gz.open", "archive"),
        ("enwiki-latest-pages-articles.xml.bz2", "mediawiki"),
        ("enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2", "mediawiki"),
        ("dump.xml", "mediawiki"),
        ("enwiki-NS0-20240101-ENTERPRISE-HTML.json.tar.gz", "wikimedia-html"),
        ("a.jsonl", "table"),
        ("c4-train.00000-of-01024.json.gz", "table"),
        ("a.ndjson.zst", "table"),
        ("part-0.snappy.parquet", "table"),
        ("pg1342.txt", "text"),
        ("README.md", "text"),
        ("book.txt.gz", "text"),
    ],
)
def test_names(name, kind):
    assert guess_format(name) == kind


@pytest.mark.parametrize("name", ["a.pdf", "a", "", ".gz", "archive.zip", "x.warc.cdx", "warc"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InputError, match=r"\.warc.*\.parquet"):
        guess_format(name)
