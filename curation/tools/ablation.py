"""Does curation help? The texts of `curation ablate`: held-out texts, and shards of four arms.

    source/    the recipe's datasets, extracted once
    split/     held out: a share of the trusted corpora, by site, or by document where a corpus has
               no sites (a book is a document)
    purge/     all other texts, compared with the held-out ones: near duplicates are removed, shared
               13-grams are cut out
    arms/      raw, classify, dedup, mixture: the recipe's own stages over the rest, ended there
    heldout/   the held-out texts as token shards, one folder a dataset

Every folder but split/ is an ordinary run directory: `curation report` and `curation explain` work
on each arm. Nothing leaks: held-out texts are in no arm, neither as training text nor as the
classifier's positives; pages of held-out sites are removed from the crawl too; and the purge is the
same for every arm, raw included.

Cost: the stages three times over the texts (source, purge, arms). Trap: all arms get the same
number of tokens, not of documents; an arm with fewer tokens reads them again (`epochs`).
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation import draws, store
from curation.digests import config_digest
from curation.engine.base import Engine
from curation.errors import InputError
from curation.pipeline import export
from curation.pipeline import line as pipeline
from curation.recipe.tables import Dataset, DecontaminateConfig, DedupConfig, Recipe
from curation.rundir.directory import RunDirectory, Shard
from curation.rundir.plan import Plan
from curation.stages.classify.sample import site
from curation.stages.mix.stage import CHUNK_TOKENS

VERSION = 1
# The filters of each arm; `mixture` has the recipe's own.
ARMS = {"raw": (), "classify": ("classify",), "dedup": ("classify", "dedup")}
ONE_SITE = 0.5  # a corpus with more of its addresses on one site than this is split by document
# Finds 99.5 % of pairs at 0.5.
PURGE = DedupConfig(bands=40, rows=3, min_jaccard=0.5, within=False, alarm="warn")
# Of `[mix]`, where an arm weighs by datasets only.
UNGROUPED: dict[str, Any] = {"by": "", "by_weights": {}}
# Tokens mixed for each token trained (and two chunks more): chance may make a mixture shorter.
MARGIN = 1.2
TABLE = pa.schema([("id", pa.string()), ("url", pa.string()), ("text", pa.string())])


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Documents of a dataset: to train on, held out, and of a held-out site (in neither)."""

    rest: int = 0
    held_out: int = 0
    of_a_held_out_site: int = 0


@dataclass(frozen=True, slots=True)
class ReadDataset:
    """A dataset in an arm: its weight, the tokens there are, and how often the models read them."""

    dataset: str
    weight: float
    tokens: int
    epochs: float


@dataclass(frozen=True, slots=True)
class TextFacts:
    """How the texts were made: `split` and `purged` by dataset, `mixtures` by arm.

    `purged`: "stage: outcome" -> documents, of the stages that compare with held-out texts.
    """

    split: dict[str, SplitCounts]
    purged: dict[str, dict[str, int]]
    mixtures: dict[str, list[ReadDataset]]


@dataclass(frozen=True, slots=True)
class Texts:
    """Local folders with token shards: of each arm, and of each held-out dataset."""

    arms: dict[str, str]
    heldout: dict[str, str]
    facts: TextFacts


def prepare(
    recipe: Recipe,
    out: str,
    engine: Engine,
    tokens: int,
    *,
    share: float = 0.1,
    say: Callable[[str], None] = print,
) -> Texts:
    """Make the texts of an ablation that trains on `tokens` tokens an arm, or use those there.

    Raises InputError where the recipe has no trusted corpus to hold text out of, or no crawl to
    curate.
    """
    trusted = [d.name for d in recipe.dataset if d.role == "trusted"]
    crawls = [d.name for d in recipe.dataset if d.role == "crawl"]
    if not trusted or not crawls:
        raise InputError(
            "ablate: a recipe with at least one dataset of role trusted and one of role crawl "
            "expected"
        )
    missing = {"classify", "dedup", "tokenize", "mix"} - set(recipe.stages)
    if missing:
        raise InputError(
            f"ablate: a recipe with the stage {min(missing)!r} expected: "
            "the arms end at each of its stages"
        )
    stages = tuple(s for s in ("download", "extract") if s in recipe.stages)
    say("extracting")
    source = pipeline.run(
        dataclasses.replace(recipe, stages=stages),
        store.join(out, "source"),
        engine,
        update=True,
        say=say,
    )
    split = _split(*source, store.join(out, "split"), share)
    say("removing near duplicates of the held-out texts")
    purged = _purged(recipe, out, engine, split, say)
    clean = dataclasses.replace(
        recipe,
        dataset=tuple(
            _table(d, store.join(out, "clean", d.name)) for d in recipe.dataset if d.name in purged
        ),
    )
    arms = {
        name: _arm(clean, out, engine, name, tokens, crawls, say) for name in (*ARMS, "mixture")
    }
    heldout = {
        name: _heldout(recipe, out, engine, name, say) for name in trusted if split[name].held_out
    }
    if not heldout:
        raise InputError(
            f"ablate: a share of {share:g} held nothing out of {', '.join(trusted)}; "
            "give a larger one"
        )
    mixtures = {name: _read_datasets(path, tokens) for name, path in arms.items()}
    return Texts(arms, heldout, TextFacts(split, purged, mixtures))


# ---- what is held out


def _split(rundir: RunDirectory, plan: Plan, out: str, share: float) -> dict[str, SplitCounts]:
    """Write rest/ and heldout/ of every dataset; returns (and stores) the documents of each."""
    identities = [store.need_footer(rundir.documents(shard)).identity for shard in plan.shards]
    digest = config_digest("ablation/split", VERSION, share, rundir.recipe.seed, identities)
    card = store.join(out, "split.json")
    if store.exists(card) and store.read_json(card)["digest"] == digest:
        stored = store.read_json(card)["datasets"]
        return {name: SplitCounts(**counts) for name, counts in stored.items()}
    store.delete(out)
    trusted = [d.name for d in rundir.recipe.dataset if d.role == "trusted"]
    counts: dict[str, Counter[str]] = {name: Counter() for name in rundir.recipe.names()}
    one_site = {name: not _has_sites(rundir, plan, name) for name in trusted}
    # Sites held out. Trusted corpora come first, so that all are known when the crawl is split.
    held_out_sites: set[str] = set()
    for shard in sorted(plan.shards, key=lambda s: s.dataset not in trusted):
        sides: dict[str, list[dict[str, Any]]] = {"rest": [], "heldout": []}
        columns = ["id", "url", "text", "content"]
        for row in store.read_table(rundir.documents(shard), columns).to_pylist():
            place = site(row["url"])
            if shard.dataset in trusted:
                by_site = place and not one_site[shard.dataset]
                group = f"site {place}".encode() if by_site else b"content " + row["content"]
                draw = draws.uniforms(rundir.recipe.seed, "ablation/heldout", [group])[0]
                if draw < share and by_site:
                    held_out_sites.add(place)
                side = "heldout" if draw < share else "rest"
            else:
                side = "of_a_held_out_site" if place in held_out_sites else "rest"
            counts[shard.dataset]["held_out" if side == "heldout" else side] += 1
            if side in sides:
                # Held-out texts of all corpora are read as one dataset, so ids say whose they are.
                id_ = f"{shard.dataset}/{row['id']}"
                sides[side].append({"id": id_, "url": row["url"], "text": row["text"]})
        for side, rows in sides.items():
            if rows:
                _write(store.join(out, side, shard.dataset, f"{shard.name}.parquet"), rows, digest)
                if side == "heldout":
                    _write_benchmark(
                        store.join(out, "benchmarks", f"{shard.dataset}-{shard.name}.jsonl"), rows
                    )
    split = {name: SplitCounts(**counter) for name, counter in counts.items()}
    datasets = {name: dataclasses.asdict(part) for name, part in split.items()}
    store.write_json(card, {"digest": digest, "datasets": datasets})
    return split


def _has_sites(rundir: RunDirectory, plan: Plan, dataset: str) -> bool:
    """Whether a corpus comes from several sites, none with more than half of its addresses."""
    sites: Counter[str] = Counter()
    for shard in plan.of(dataset):
        urls = store.read_table(rundir.documents(shard), ["url"]).column(0).to_pylist()
        sites.update(filter(None, map(site, urls)))
    return bool(sites) and max(sites.values()) <= ONE_SITE * sites.total()


def _write(path: str, rows: list[dict[str, Any]], digest: str) -> None:
    with store.TableWriter(path, TABLE, digest) as writer:
        writer.write(pa.RecordBatch.from_pylist(rows, TABLE))


def _write_benchmark(path: str, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps({"id": row["id"], "text": row["text"]}) + "\n" for row in rows)
    store.write_bytes(path, "".join(lines).encode())


# ---- nothing leaks


def _purged(
    recipe: Recipe,
    out: str,
    engine: Engine,
    split: dict[str, SplitCounts],
    say: Callable[[str], None],
) -> dict[str, dict[str, int]]:
    """Write clean/: the other texts without near duplicates of held-out ones and shared 13-grams.

    Returns the ledgers of dedup and decontaminate, as `TextFacts.purged`.
    """
    rest = [d for d in recipe.dataset if split[d.name].rest]
    folder = store.join(out, "split", "heldout")
    heldout = Dataset("heldout", "reference", (folder,), format="table")
    pairs = tuple((heldout.name, d.name) for d in rest)
    purge = Recipe(
        dataset=(heldout, *(_table(d, store.join(out, "split", "rest", d.name)) for d in rest)),
        seed=recipe.seed,
        memory_gb=recipe.memory_gb,
        stages=("extract", "dedup", "decontaminate"),
        dedup=dataclasses.replace(PURGE, across=pairs),
        decontaminate=DecontaminateConfig(
            benchmarks=(store.join(out, "split", "benchmarks"),), study=False
        ),
    )
    rundir, plan = pipeline.run(purge, store.join(out, "purge"), engine, update=True, say=say)
    for shard in plan.shards:
        if shard.dataset != heldout.name:
            _clean(rundir, shard, store.join(out, "clean", shard.dataset, f"{shard.name}.parquet"))
    ledgers = pipeline.ledgers(rundir, plan)
    return {
        d.name: {
            f"{stage}: {reason}": documents
            for stage in ("dedup", "decontaminate")
            for reason, (documents, *_) in ledgers[stage][d.name].items()
        }
        for d in rest
    }


def _table(dataset: Dataset, files: str) -> Dataset:
    """The same corpus, its texts in tables of ours."""
    return Dataset(dataset.name, dataset.role, (files,), format="table")


def _clean(rundir: RunDirectory, shard: Shard, path: str) -> None:
    """Write the pieces of a shard that the purge kept, each a document."""
    digest = config_digest(
        "ablation/clean",
        VERSION,
        store.need_footer(rundir.decision("decontaminate", shard)).identity,
    )
    if not store.done(path, digest):
        with store.TableWriter(path, TABLE, digest) as writer:
            for batch in _pieces(rundir, shard):
                writer.write(batch)


def _pieces(rundir: RunDirectory, shard: Shard) -> Iterator[pa.RecordBatch]:
    for kept, _ in export.SPLIT["decontaminate"](rundir, shard):
        ids = [
            f"{id_}#{piece}" if piece else id_
            for id_, piece in zip(
                kept.column("id").to_pylist(), kept.column("piece").to_pylist(), strict=True
            )
        ]
        yield pa.record_batch(
            [pa.array(ids, pa.string()), kept.column("url"), kept.column("text")], schema=TABLE
        )


# ---- the arms


def _arm(
    recipe: Recipe,
    out: str,
    engine: Engine,
    name: str,
    tokens: int,
    crawls: list[str],
    say: Callable[[str], None],
) -> str:
    """Run the line of one arm; returns its run directory."""
    say(f"arm {name}")
    datasets = recipe.dataset
    stages = tuple(s for s in recipe.stages if s != "download")
    weights = {
        dataset: weight
        for dataset, weight in recipe.mix.weights.items()
        if dataset in recipe.names()
    }
    if name != "mixture":
        stages = ("extract", *ARMS[name], "tokenize", "mix")
        weights = {crawl: weights.get(crawl, 1.0) for crawl in crawls}
        if not ARMS[name]:
            datasets = tuple(d for d in datasets if d.role == "crawl")
    by_weights = {k: v for k, v in recipe.mix.by_weights.items() if k in weights}
    mix = dataclasses.replace(
        recipe.mix,
        tokens=int(MARGIN * tokens) + 2 * CHUNK_TOKENS,
        validation=0.0,
        weights=weights,
        **({"by_weights": by_weights} if by_weights and name == "mixture" else UNGROUPED),
    )
    dedup = dataclasses.replace(recipe.dedup, alarm="warn")
    arm = dataclasses.replace(recipe, dataset=datasets, stages=stages, mix=mix, dedup=dedup)
    return _run(arm, store.join(out, "arms", name), engine, say)


def _read_datasets(run: str, tokens: int) -> list[ReadDataset]:
    """What an arm's models read of each dataset when they train on `tokens` tokens."""
    rows = store.read_json(store.join(run, "shards", "shards.json"))["mixture"]
    return [
        ReadDataset(r["dataset"], r["weight"], r["tokens"], r["weight"] * tokens / r["tokens"])
        for r in rows
    ]


def _heldout(
    recipe: Recipe, out: str, engine: Engine, name: str, say: Callable[[str], None]
) -> str:
    """Token shards of one held-out dataset, each document once; returns the run directory."""
    alone = Recipe(
        dataset=(
            Dataset(name, "trusted", (store.join(out, "split", "heldout", name),), format="table"),
        ),
        seed=recipe.seed,
        memory_gb=recipe.memory_gb,
        stages=("extract", "tokenize", "mix"),
        tokenize=recipe.tokenize,
        mix=dataclasses.replace(
            recipe.mix, tokens=0, shards=1, validation=0.0, weights={name: 1.0}, **UNGROUPED
        ),
    )
    return _run(alone, store.join(out, "heldout", name), engine, say)


def _run(recipe: Recipe, out: str, engine: Engine, say: Callable[[str], None]) -> str:
    pipeline.run(recipe, out, engine, update=True, say=say)
    return out
