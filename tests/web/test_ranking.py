"""The page of `curation tune rank --browse`: what it takes, and from whom."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `browse` is not installed")

from starlette.testclient import TestClient

from curation.errors import InputError
from curation.gpt3.instruct.data import check_ranks
from curation.web.guard import POLICY
from curation.web.ranking import Questions, create_ranking_app

EVIL = '<script>alert(1)</script>"\u202e {{7*7}}'
TOKEN = "secret-of-the-form"


@pytest.fixture
def taken() -> list[tuple[int, list[str], list[int]]]:
    return []


@pytest.fixture
def page(taken: list[Any]) -> TestClient:
    def record(number: int, texts: list[str], ranks: list[int]) -> None:
        check_ranks(ranks, len(texts), "the page")
        taken.append((number, texts, ranks))

    answers = [["one", EVIL, "three"], ["alone"], ["x", "y"]]
    questions = Questions(["first " + EVIL, "second", "third"], answers.__getitem__, record)
    app = create_ranking_app(questions, "127.0.0.1", TOKEN, "cookie")
    return TestClient(app, base_url="http://127.0.0.1:8400", follow_redirects=False)


def enter(page: TestClient) -> None:
    """The address that the command prints: the token becomes a cookie."""
    found = page.get(f"/?token={TOKEN}")
    assert found.status_code == 303
    assert "HttpOnly" in found.headers["set-cookie"]


def test_answers_are_ranked_one_prompt_after_the_other(page: TestClient, taken: list[Any]) -> None:
    enter(page)
    first = page.get("/")
    assert "Prompt 1 of 3" in first.text
    assert first.headers["content-security-policy"] == POLICY
    sent = page.post("/rank", data={"token": TOKEN, "number": 0, "a": 2, "b": 3, "c": 1})
    assert (sent.status_code, sent.headers["location"]) == (303, "/")
    assert taken == [(0, ["one", EVIL, "three"], [2, 3, 1])]
    # The second prompt has one answer only, so the third is next; the same form again does nothing.
    assert "Prompt 3 of 3" in page.get("/").text
    page.post("/rank", data={"token": TOKEN, "number": 0, "a": 1, "b": 2, "c": 3})
    assert len(taken) == 1
    page.post("/rank", data={"token": TOKEN, "number": 2, "skip": 1})
    assert "No prompt is left" in page.get("/").text
    assert len(taken) == 1


def test_ties_and_missing_ranks_are_said_and_the_question_stays(
    page: TestClient, taken: list[Any]
) -> None:
    enter(page)
    for ranks, words in (
        ({"a": 1, "b": 1, "c": 2}, "ties are not trained on"),
        ({"a": 1, "b": "", "c": 2}, "a rank for each answer expected"),
        ({"a": 1, "b": 2}, "a rank from 1"),
        ({"a": "9" * 20, "b": 2, "c": 3}, "a rank for each answer expected"),
        ({"a": 4, "b": 2, "c": 3}, "a rank from 1"),
    ):
        found = page.post("/rank", data={"token": TOKEN, "number": 0, **ranks})
        assert found.status_code == 422
        assert words in found.text
        assert "Prompt 1 of 3" in found.text
    assert taken == []


def test_nobody_writes_without_both_tokens(page: TestClient, taken: list[Any]) -> None:
    ranks = {"number": 0, "a": 1, "b": 2, "c": 3}
    assert page.get("/").status_code == 401
    assert page.post("/rank", data={"token": TOKEN, **ranks}).status_code == 401
    enter(page)
    assert page.post("/rank", data=ranks).status_code == 403
    assert page.post("/rank", data={"token": "wrong", **ranks}).status_code == 403
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    assert page.post("/rank", data={"token": TOKEN, **ranks}, headers=headers).status_code == 403
    other = {"host": "evil.example"}
    assert page.post("/rank", data={"token": TOKEN, **ranks}, headers=other).status_code == 421
    assert page.put("/rank", data={"token": TOKEN, **ranks}).status_code == 405
    assert page.post("/rank", content=b"a" * 5000).status_code == 413
    assert taken == []


def test_texts_are_shown_and_never_obeyed(page: TestClient) -> None:
    enter(page)
    html = page.get("/").text
    assert "<script" not in html
    assert "\u202e" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "{{7*7}}" in html
    assert re.findall(r'(?:src|href|action)="([^"]+)"', html) == [
        "/static/style.css",
        "data:,",
        "/rank",
    ]
    assert page.get("/static/style.css").headers["content-type"].startswith("text/css")
    assert page.get("/static/htmx.min.js").status_code == 404


def test_what_the_file_refuses_leaves_the_question_open() -> None:
    def record(number: int, texts: list[str], ranks: list[int]) -> None:
        raise InputError("no room")

    questions = Questions(["p"], lambda n: ["x", "y"], record)
    with pytest.raises(InputError):
        questions.ranked(0, [1, 2])
    assert questions.current() == (0, ["x", "y"])
