from __future__ import annotations

import gzip
import http.server
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

from curation.errors import InputError, Unreachable
from curation.kernels.urls import url_signals
from curation.readers.blocklists import loaded_lists, url_lists


@pytest.fixture
def ut1(tmp_path):
    """Two categories, one packed, in one parent folder, with files that are no lists."""
    (tmp_path / "ut1/adult").mkdir(parents=True)
    (tmp_path / "ut1/phishing").mkdir()
    (tmp_path / "ut1/adult/domains").write_text("adult.example\n5.6.7.8\n")
    (tmp_path / "ut1/adult/urls").write_text("mixed.example/~adult\nwhole.example\n")
    (tmp_path / "ut1/adult/usage").write_text("black\n")
    (tmp_path / "ut1/phishing/domains.gz").write_bytes(gzip.compress(b"bad.phish.example\n"))
    return str(tmp_path / "ut1")


def blocked(lists, *urls):
    found = url_signals(pa.array(urls, pa.string()), lists)
    both = zip(found["blocked_domain"].to_pylist(), found["blocked_url"].to_pylist(), strict=True)
    return ["domain" if domain else "url" if url else "" for domain, url in both]


def test_folders_as_ut1_lays_them_out(ut1):
    lists = url_lists([ut1])
    assert blocked(
        lists,
        "https://www.adult.example/x",
        "http://5.6.7.8/",
        "http://mixed.example/~adult/",
        "http://mixed.example/",
        "http://www.whole.example",
        "http://whole.example/x",
        "http://a.bad.phish.example",
        "http://phish.example",
        "http://black",
    ) == ["domain", "domain", "url", "", "url", "", "domain", "", ""]
    one = url_lists([f"{ut1}/adult"])
    assert len(one.domains) == 2
    assert len(lists.domains) == 3


def test_plain_lists_with_comments_hosts_lines_and_other_scripts(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(
        "# A list\r\n\r\nBAD.Example.  # why\n*.star.example\n.dot.example\n"
        "0.0.0.0 hosts.example alias.example\n127.0.0.1\tlocalhost\n::1 localhost\n"
        "https://www.page.example/A?q=1#top\nhttps://root.example/\nbücher.example\n"
        "xn--mnchen-3ya.example\nhttp://пример.example/путь\n"
    )
    lists = url_lists([str(path)])
    assert blocked(
        lists,
        "http://bad.example",
        "http://x.star.example",
        "http://dot.example",
        "http://alias.example:8080/",
        "http://localhost/",
        "HTTP://page.example/a?Q=1",
        "http://page.example/a",
        "http://root.example/x",
        "http://user@www.Root.example:80",
        "http://xn--bcher-kva.example/",
        "http://www.MÜNCHEN.example./",
        "http://xn--e1afmkfd.example/%D0%BF%D1%83%D1%82%D1%8C",
    ) == ["domain"] * 4 + ["", "url", "", "", "url", "domain", "domain", "url"]


def test_equal_contents_have_equal_digests(tmp_path, ut1):
    (tmp_path / "a").write_text("one.example\ntwo.example\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"two.example\n# note\none.example\none.example"))
    (tmp_path / "c").write_text("one.example\n")
    (tmp_path / "w").write_text("one\n")
    a, b, c = (url_lists([str(tmp_path / name)]) for name in ("a", "b.gz", "c"))
    assert a.digest == b.digest != c.digest
    assert np.array_equal(a.domains, b.domains)
    word, soft = url_lists(words=[str(tmp_path / "w")]), url_lists(soft_words=[str(tmp_path / "w")])
    assert len({word.digest, soft.digest, url_lists().digest}) == 3


def test_lists_are_loaded_once_and_must_not_change(tmp_path):
    path = tmp_path / "a"
    path.write_text("one.example\n")
    digest = url_lists([str(path)]).digest
    first = loaded_lists((str(path),), (), (), (), digest)
    path.write_text("two.example\n")
    assert loaded_lists((str(path),), (), (), (), digest) is first
    loaded_lists.cache_clear()
    with pytest.raises(InputError, match="one has changed; run the same command again"):
        loaded_lists((str(path),), (), (), (), digest)


def test_words_are_read_as_letters_and_digits(tmp_path):
    (tmp_path / "w").write_text("# words\nBad-Word \nbad word\n\nx1 # note\n")
    assert url_lists(words=[str(tmp_path / "w")]).words == ("badword", "x1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no entry in it"),
        (b"# only a comment\n\n", "got no entry in it"),
        (b"<html>\n<body>Not found, see http://a.example</body>\n</html>", "in 3 of 3; is it"),
        (b"one\ntwo\nthree.example\n", "in 2 of 3"),
        (b"x" * 5_000_000, "got a line of more than"),
        (gzip.compress(b"a.example\n" * 100, mtime=0)[:-12], "not a whole gzip file"),
        (b"\x1f\x8bnonsense", "not a whole gzip file"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path, content, message):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        url_lists([str(tmp_path / "list")])
    assert str(tmp_path / "list") in str(error.value)


def test_missing_lists_and_folders_of_other_things_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        url_lists([str(tmp_path / "missing")])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/readme").write_text("x")
    with pytest.raises(InputError, match="files named domains or urls"):
        url_lists([str(tmp_path / "folder")])
    (tmp_path / "words").write_text("#\n--\n")
    with pytest.raises(InputError, match="got no word of letters and digits"):
        url_lists(words=[str(tmp_path / "words")])
    (tmp_path / "page").write_text("<html>")
    with pytest.raises(InputError, match="got '<html>'"):
        url_lists(subwords=[str(tmp_path / "page")])


def test_lists_at_addresses(tmp_path):
    (tmp_path / "urls.gz").write_bytes(gzip.compress(b"a.example\n"))
    (tmp_path / "plain.txt").write_text("b.example\n" * 600_000)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        lists = url_lists([f"{base}/urls.gz", f"{base}/plain.txt"])
        assert blocked(lists, "http://a.example", "http://b.example/") == ["url", "domain"]
        with pytest.raises(Unreachable, match="missing"):
            url_lists([f"{base}/missing"])
        server.shutdown()


MEMORY = """
import resource, sys
import numpy as np, pyarrow as pa
from curation.kernels.urls import url_signals
from curation.readers.blocklists import url_lists

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small = url_lists([sys.argv[1]])
url_signals(pa.array(["http://a.example"]), small)
before = peak()
lists = url_lists([sys.argv[2]])
assert len(lists.domains) == 1_000_000
found = url_signals(pa.array(["http://x.site999999.example/", "http://site1000000.example"]), lists)
assert found["blocked_domain"].to_pylist() == [True, False]
print(peak() - before)
"""


def test_a_million_domains_take_less_than_100_mb(tmp_path):
    (tmp_path / "small").write_text("a.example\n")
    (tmp_path / "domains").write_text("".join(f"site{i}.example\n" for i in range(1_000_000)))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "small"), str(tmp_path / "domains")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100
