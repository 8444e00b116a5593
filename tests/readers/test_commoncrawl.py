"""Path lists, selections of them, and the index's sort keys."""

import gzip

import pytest

from curation.errors import InputError
from curation.readers.commoncrawl import list_path, paths_in, selected_archives, surt_key


def test_paths_of_a_crawl() -> None:
    assert list_path("CC-MAIN-2019-35", "wet") == "crawl-data/CC-MAIN-2019-35/wet.paths.gz"
    assert paths_in(gzip.compress(b"b.gz\na.gz\n\nb.gz\n"), "here") == (["b.gz", "a.gz"], [])
    bad = [
        "../../a.gz",
        "/etc/a.gz",
        "a b.gz",
        "a/.gz",
        "a/",
        "http://h/a.gz",
        "\ufffd",
        "a#b",
        "\0",
    ]
    data = "\n".join(["c/b.gz", *bad, "a.gz"]).encode()
    assert paths_in(gzip.compress(data), "here") == (["c/b.gz", "a.gz"], bad)
    with pytest.raises(InputError, match="CC-MAIN-2019-35"):
        list_path("../etc", "warc")
    with pytest.raises(InputError, match="here: not a list"):
        paths_in(b"<html>", "here")
    with pytest.raises(InputError, match="empty"):
        paths_in(gzip.compress(b"\n"), "here")


@pytest.mark.parametrize(
    ("url", "key"),
    [  # the first ten as the tests of the Internet Archive's own libraries have them
        ("http://www.archive.org/", "org,archive)/"),
        ("http://archive.org/goo/", "org,archive)/goo"),
        ("http://archive.org/goo/?", "org,archive)/goo"),
        ("http://archive.org/goo/?b&a", "org,archive)/goo?a&b"),
        ("http://archive.org/goo/?a=2&b&a=1", "org,archive)/goo?a=1&a=2&b"),
        ("http://www34.archive.org/index.html?b=a&b=b&a=b", "org,archive)/index.html?a=b&b=a&b=b"),
        ("https://www.archive.org:443/big/", "org,archive)/big"),
        ("http://www.archive.org:443/", "org,archive:443)/"),
        ("http://host/%25%32%35asd", "host)/%25asd"),
        ("http://host.com//twoslashes?more//slashes", "com,host)/twoslashes?more//slashes"),
        ("HTTPS://Example.COM/A%20b#part", "com,example)/a%20b"),
        ("http://bücher.ch/", "ch,xn--bcher-kva)/"),
        ("http://127.0.0.1/x", "127.0.0.1)/x"),
        ("http://a.org/x;jsessionid=0123456789abcdefghijklmnopqrstuv", "org,a)/x"),
        ("http://a.org/?x=y&sid=9682993c8daa2c5497996114facdc805&z=1", "org,a)/?x=y&z=1"),
        ("http://a.org/b/../c/./d", "org,a)/c/d"),
        ("ftp://a.org/", ""),
        ("not an address", ""),
        ("http://[::1", ""),
    ],
)
def test_sort_keys_are_those_of_the_index(url: str, key: str) -> None:
    assert surt_key(url) == key


PATHS = [f"segments/{i:05}.warc.gz" for i in range(1000)]


@pytest.mark.parametrize(
    ("shards", "expected"),
    [
        ("", PATHS),
        ("0:100", PATHS[:100]),
        ("990:", PATHS[990:]),
        (":3", PATHS[:3]),
        ("998:2000", PATHS[998:]),
    ],
)
def test_slices(shards: str, expected: list[str]) -> None:
    assert selected_archives(PATHS, shards, 0) == expected


def test_a_sample_depends_on_the_seed_and_not_on_the_order() -> None:
    sample = selected_archives(PATHS, "sample:20", 1)
    assert len(sample) == 20
    assert sample == sorted(sample)
    assert sorted(selected_archives(PATHS[::-1], "sample:20", 1)) == sample
    assert selected_archives(PATHS, "sample:20", 2) != sample
    assert set(sample) < set(selected_archives(PATHS, "sample:40", 1))


@pytest.mark.parametrize("shards", ["2000:", "sample:0", "sample", "a:b", "0:x", "5", "-1:3"])
def test_a_bad_selection_says_what_is_expected(shards: str) -> None:
    with pytest.raises(InputError, match=r"^archives: .*a slice such as '0:100'"):
        selected_archives(PATHS, shards, 0)
