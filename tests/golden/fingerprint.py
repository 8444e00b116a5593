"""The fingerprint of the bundled sample's run: a digest of the content of each table and shard.

`python tests/golden/fingerprint.py` writes fingerprint.json beside this file. Do that after a change
that is meant to change bytes, in the same commit as the new `VERSION`. The run uses the classifier
in model/, since a fit agrees between machines to 1e-6 only; `python tests/golden/fingerprint.py
model` fits it again first, after a change of what it is fitted on or of its format.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from curation.demo.build import build_demo
from curation.engine.base import Engine
from curation.engine.local import LocalEngine
from curation.pipeline import line as pipeline
from curation.recipe import reading as recipe
from curation.stages.classify import sample as classify_sample
from curation.stages.classify import stage as classify
from curation.stages.classify.model import TERMS, load_model, write_model
from curation.stages.decontaminate import benchmarks, contamination
from curation.stages.decontaminate import stage as decontaminate
from curation.stages.dedup import candidates, choice, verify
from curation.stages.dedup import stage as dedup
from curation.stages.extract import columns
from curation.stages.extract import stage as extract
from curation.stages.mix import stage as mix
from curation.stages.tokenize import stage as tokenize

FOLDER = Path(__file__).parent
STORED = FOLDER / "fingerprint.json"
COMMAND = "python tests/golden/fingerprint.py"
VERSIONS = {  # what a run directory holds, in the order of the line -> the module with its `VERSION`
    "documents/_columns": columns,
    "documents": extract,
    "rejects": extract,
    "classify/features": classify_sample,
    "classify": classify,
    "survivors": classify,
    "dedup/pairs/links": candidates,
    "dedup/pairs/measured": verify,
    "dedup/pairs": choice,
    "dedup": dedup,
    "decontaminate/benchmarks": benchmarks,
    "decontaminate/study": contamination,
    "decontaminate/contamination.json": contamination,
    "decontaminate/dirty.jsonl": contamination,
    "decontaminate": decontaminate,
    "tokens": tokenize,
    "shards": mix,
    "ledger.json": extract,
}
FILES = (  # compared byte by byte, beside the tables
    "shards/*.bin",
    "shards/*.idx",
    "shards/shards.json",
    "decontaminate/contamination.json",
    "decontaminate/dirty.jsonl",
    "ledger.json",
)


def table_digest(path: Path) -> str:
    """Digest of a Parquet file's schema and values; not of how the file is written.

    The values are taken as Python writes them, which is exact for floats.
    """
    table = pq.read_table(path)
    state = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        state.update(f"{field.name}: {field.type}\n{column.to_pylist()!r}\n".encode())
    return state.hexdigest()[:16]


def run_fingerprint(run: Path) -> dict[str, str]:
    """Digest of each table and shard of a run directory, by its path there."""
    found = {path: table_digest(path) for path in run.rglob("*.parquet")}
    for pattern in FILES:
        for path in run.glob(pattern):
            found[path] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return {path.relative_to(run).as_posix(): found[path] for path in sorted(found)}


def differences(stored: dict[str, str], found: dict[str, str]) -> str:
    """What differs between two fingerprints by stage, and what to do then; empty where they agree."""
    places: dict[str, list[str]] = {}
    for path in sorted(stored.keys() | found.keys()):
        if stored.get(path) != found.get(path):
            place = next(p for p in VERSIONS if path == p or path.startswith(p + "/"))
            state = "new" if path not in stored else "missing" if path not in found else "changed"
            places.setdefault(place, []).append(f"    {state} {path}")
    lines = []
    for place, module in VERSIONS.items():
        if place in places:
            lines.append(f"  {place}: VERSION = {module.VERSION} in {module.__name__}")
            lines += places[place]
    if lines:
        lines.insert(0, "the sample's run differs from tests/golden/fingerprint.json:")
        lines.append(
            "If the change is meant, raise the first VERSION above (what comes after it is made again "
            "by itself; raise another only if it changes other bytes too), name the change in "
            f'CHANGELOG.md under "Changes your bytes", and run {COMMAND}'
        )
    return "\n".join(lines)


def golden_run(sample: Path, out: Path, engine: Engine) -> None:
    """Run the sample corpus in the folder `sample` with the stored classifier."""
    settings = recipe.load(str(sample / "recipe.toml"), [f"classify.model={FOLDER / 'model'}"])
    pipeline.run(settings, str(out), engine, say=lambda line: None)


def write_stored_model(sample: Path, out: Path, engine: Engine) -> None:
    """Fit the classifier of the sample corpus in the folder `sample` and keep it in model/."""
    settings = recipe.load(str(sample / "recipe.toml"))
    pipeline.run(settings, str(out), engine, until="classify", say=lambda line: None)
    fitted = load_model(str(out / "classify" / "model"))
    card = {"kind": f"logistic regression on {TERMS}", "scaling": fitted.scaling}
    write_model(str(FOLDER / "model"), fitted.weights, fitted.intercept, card)


def main() -> None:
    """Write fingerprint.json of a run made now, or the model that it uses."""
    engine = LocalEngine(2)
    try:
        with tempfile.TemporaryDirectory() as folder:
            build_demo(Path(folder, "sample"))
            if sys.argv[1:] == ["model"]:
                write_stored_model(Path(folder, "sample"), Path(folder, "fit"), engine)
                return
            golden_run(Path(folder, "sample"), Path(folder, "run"), engine)
            found = run_fingerprint(Path(folder, "run"))
    finally:
        engine.close()
    STORED.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
