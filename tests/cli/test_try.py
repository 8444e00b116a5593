"""`curation try`: the first pages of one's own files, without a recipe."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from curation import store
from curation.cli import main
from curation.recipe import reading
from curation.rundir import plan

PROSE = (
    "In the winter of that year, when the ice lay thick on the bay, nobody could leave the island "
    "for five weeks, and the school was closed. The keeper, who had read the almanac, said that it "
    "would be so, but the council, as councils do, asked for a second opinion, and waited."
)

WORDS = ("ships", "lamps", "boats", "storms", "winters", "keepers", "schools", "mills", "bells")


def call(*args: str) -> Result:
    return CliRunner().invoke(main, ["try", *args, "--workers", "1"], prog_name="curation")


def rows(path: Path, texts: list[str]) -> str:
    path.write_text(
        "".join(
            json.dumps({"id": f"{path.stem}{n}", "text": t}) + "\n" for n, t in enumerate(texts)
        )
    )
    return str(path)


def test_kept_and_removed_pages_are_shown_and_a_recipe_goes_on(tmp_path: Path) -> None:
    texts = [f"{PROSE} It was written down as number {n}. " * 6 for n in range(4)]
    german = (
        "Der Winter war lang, und das Eis lag dick auf der Bucht, so dass niemand fort konnte. "
    )
    path = rows(
        tmp_path / "a.jsonl",
        [*texts, texts[0], german * 8, "Log in to see more from this page\nCreate an account"],
    )
    out = tmp_path / "out"
    result = call(path, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "Kept:" in result.output
    for reason in ("language", "low_quality"):
        assert reason in result.output.partition("Removed:")[2]
    assert f"curation run {out}/recipe.toml" in result.output
    recipe = reading.load(str(out / "recipe.toml"), [])
    assert recipe.dataset[0].files == (path,)
    assert recipe.extract.languages == ("en",)


def test_only_the_first_pages_of_each_input_are_read(tmp_path: Path) -> None:
    paths = [
        rows(tmp_path / f"{name}.jsonl", [f"Of {word}. {PROSE}" for word in WORDS]) for name in "ab"
    ]
    out = tmp_path / "out"
    assert call(*paths, "--pages", "8", "--out", str(out)).exit_code == 0
    rundir, run_plan = plan.read(str(out))
    tables = [store.read_table(rundir.documents(shard)) for shard in run_plan.shards]
    assert [sorted(table.column("id").to_pylist()) for table in tables] == [
        [f"{name}{n}" for n in range(4)] for name in "ab"
    ]
