from __future__ import annotations

import pyarrow as pa
import pytest
import tldextract
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.kernels.urls import url_signals
from curation.readers.blocklists import url_lists
from curation.readers.suffixes import suffix_rules

COMPILES = settings(deadline=None)  # the first call compiles
ORACLE = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def hosts_and_domains(urls):
    found = url_signals(pa.array(urls, pa.string()), url_lists())
    return list(zip(found["host"].to_pylist(), found["domain"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("http://www.Example.CO.UK./x", "www.example.co.uk", "example.co.uk"),
        (
            "https://user:p@ss@example.org:8443?q=http://other.example/",
            "example.org",
            "example.org",
        ),
        (" //example.org\\@evil.example", "example.org", "example.org"),
        ("example.org", "example.org", "example.org"),
        ("http://co.uk", "co.uk", None),
        ("http://a.b.ck http", None, None),
        ("http://a.b.c.ck/", "a.b.c.ck", "b.c.ck"),
        ("http://x.www.ck/", "x.www.ck", "www.ck"),
        ("http://a.b.unknown-suffix", "a.b.unknown-suffix", "b.unknown-suffix"),
        ("http://blog.blogspot.com", "blog.blogspot.com", "blogspot.com"),
        ("http://Bücher.de/ü", "xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("http://例え.公司.cn:80/", "xn--r8jz45g.xn--55qx5d.cn", "xn--r8jz45g.xn--55qx5d.cn"),
        ("http://8.8.8.8:80/", "8.8.8.8", None),
        ("http://[2001:DB8::1]:80/", "2001:db8::1", None),
        ("http://localhost:3000", "localhost", None),
        ("http://a..b.de", None, None),
        ("http://a%2eb.de", None, None),
        ("mailto:ann@example.org", "example.org", "example.org"),
        ("http://example.org:port/", None, None),
        ("http:///path", None, None),
        ("http://[::1", None, None),
        ("http://" + "a." * 200 + "de", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_host_and_registered_domain(url, host, domain):
    assert hosts_and_domains([url]) == [(host, domain)]


LABELS = (
    "a www example co com uk ck jp kawasaki city kobe bd blogspot github io de org xn--55qx5d zz "
    "compute amazonaws"
)
LABEL = st.sampled_from(LABELS.split())


@COMPILES
@given(st.lists(st.lists(LABEL, min_size=1, max_size=5).map(".".join), min_size=1, max_size=20))
def test_domains_equal_those_of_tldextract(hosts):
    for host, (_, domain) in zip(hosts, hosts_and_domains(hosts), strict=True):
        expected = ORACLE(host)
        if expected.suffix:  # an unknown last label is a suffix here, and none there
            assert (domain or "") == expected.top_domain_under_public_suffix


@COMPILES
@given(st.lists(st.text(st.sampled_from("ab.:/@[]?#\\é漢%-_ \x00"), max_size=30), max_size=6))
def test_any_text_gives_a_host_or_none(urls):
    found = url_signals(pa.array(urls, pa.string()), url_lists())
    for column in found.values():
        column.validate(full=True)
    for url, host in zip(urls, found["host"].to_pylist(), strict=True):
        assert host is None or (host and host.isascii() and len(host) <= 253), url


def test_the_bundled_list_is_whole():
    assert len(suffix_rules().hashes) > 6000
