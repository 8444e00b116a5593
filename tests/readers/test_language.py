import pytest

from curation.readers.language import READ_CHARS, languages

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog and then goes home.",
    "de": "Der schnelle braune Fuchs springt über den faulen Hund und geht nach Hause.",
    "fr": "Le renard brun saute par-dessus le chien paresseux et rentre chez lui.",
    "ru": "Быстрая коричневая лиса прыгает через ленивую собаку и идёт домой.",
    "zh": "敏捷的棕色狐狸跳过了懒狗，然后回家了。",
    "ja": "素早い茶色の狐がのろまな犬を飛び越えて家に帰ります。",
}


def test_languages():
    codes, scores = languages(list(TEXTS.values()))
    assert codes == list(TEXTS)
    assert all(0.5 < score <= 1 for score in scores)


def test_one_answer_for_each_text_whatever_it_is():
    texts = [
        "",
        "\n\n",
        " ",
        "\0\r\n",
        "12345",
        "\x1b[0m",
        "a" * 1_000_000,
        "line\nline\rline",
        "\U0001f600",
    ]
    codes, scores = languages(texts)
    assert len(codes) == len(scores) == len(texts)
    assert all(0 <= score <= 1 for score in scores)
    assert languages([]) == ([], [])


def test_batches_do_not_matter_nor_what_follows_the_part_that_is_read():
    one_by_one = [languages([text]) for text in TEXTS.values()]
    assert [code for codes, _ in one_by_one for code in codes] == languages(list(TEXTS.values()))[0]
    long = TEXTS["en"] * 100
    assert languages([long]) == languages([long[:READ_CHARS] + TEXTS["ru"] * 100])


@pytest.mark.parametrize("text", ["two\nlines", "two\r\nlines"])
def test_line_ends_are_blanks(text):
    assert languages([text]) == languages([text.replace("\r\n", "  ").replace("\n", " ")])
