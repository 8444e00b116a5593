"""Every key of a recipe on one page: its type, default, bounds and one sentence of help.

The reference of recipe keys, the options of the commands and their help texts are made from these
classes. Nothing here reads files, knows what a stage does or imports anything slow.

Trap: the classes' `repr` enters the digests of run tables, so renaming a class or key changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from curation.errors import did_you_mean
from curation.keys import check_bounds, key
from curation.recipe.classify import ClassifyConfig as ClassifyConfig
from curation.recipe.classify import Scaling as Scaling
from curation.recipe.dataset import Dataset as Dataset
from curation.recipe.dataset import check_addresses
from curation.recipe.filter import FilterConfig as FilterConfig
from curation.recipe.groups import check_groups
from curation.recipe.languages import check_languages
from curation.recipe.line import DECIDING, DEFAULT, STAGES
from curation.shown import brief

if TYPE_CHECKING:
    from curation import store

MAX_HASHES = 10_000  # of a signature: 80 KB a document


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """[download]: where crawls are, and how requests are sent."""

    base_url: str = key("https://data.commoncrawl.org/", "Where the archives of crawls are.")
    requests_per_second: float = key(5.0, "Requests of all workers together.", least=0.001)
    max_attempts: int = key(8, "Tries of one request before it is given up.", least=1)
    timeout_s: float = key(60.0, "Seconds without an answer before a try ends.", above=0)
    max_failed: float = key(0.01, "Share of files that may stay unreachable.", least=0, most=1)

    def __post_init__(self) -> None:
        check_bounds(self)

    def patience(self, workers: int) -> store.Patience:
        """One worker's part of the budget of requests."""
        from curation import store

        return store.Patience(self.max_attempts, self.timeout_s, workers / self.requests_per_second)


@dataclass(frozen=True, slots=True)
class ExtractConfig:
    """[extract]: how pages become text, and in which languages."""

    extractor: Literal["blocks", "resiliparse", "trafilatura", "turbohtml", "none"] = key(
        "blocks", 'What finds the main text of a page; "none" takes all visible text.'
    )
    headline: Literal["judged", "in", "out"] = key(
        "judged", 'With "blocks": the headline as the model judges it, always in, or out.'
    )
    comments: bool = key(False, 'With "blocks": take readers\' comments too.')
    markdown: bool = key(False, 'With "blocks": mark headings with "#".')
    languages: tuple[str, ...] = key(
        (), "Languages to keep, by the labels of `language_model`; all when empty."
    )
    language_threshold: float = key(
        0.65,
        "Least probability of its language with which a text is kept, where `languages` names some.",
        least=0,
        most=1,
    )
    language_model: str = key(
        "", "A fastText model that guesses languages; lid.176 when empty.", of_tables=False
    )
    crawl_language_threshold: float = key(
        0.9,
        "Share of a page's text in languages not to keep, by the crawl's own reliable verdict, from "
        "which it is refused unread; 0: never.",
        least=0,
        most=1,
    )
    table_languages: bool = key(True, "Also guess the language of rows of tables.")
    digests: Literal["warn", "refuse", "ignore"] = key(
        "warn",
        "Records that do not fit their WARC digests or their length: counted, refused as "
        "`malformed`, or taken.",
        of_tables=False,
    )
    max_page_bytes: int = key(10 << 20, "A larger page is refused as `too_large`.", least=1)
    max_page_s: float = key(
        30.0, "Processor seconds after which a page is refused as `too_slow`.", least=0.001
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        self.check_languages(self.languages)
        form = (self.headline, self.comments, self.markdown)
        if self.extractor != "blocks" and form != ("judged", False, False):
            raise ValueError(
                f'headline, comments and markdown need extractor = "blocks", got {self.extractor!r}'
            )

    def check_languages(self, languages: Sequence[str]) -> None:
        """Raise ValueError where these cannot be kept. Labels of a model are checked with it."""
        if languages and not self.table_languages:
            raise ValueError(
                "languages: they cannot be kept by language with table_languages = false"
            )
        if not self.language_model:
            check_languages(languages)


@dataclass(frozen=True, slots=True)
class DedupConfig:
    """[dedup]: signatures, bands and threshold of near duplicates.

    The defaults are word 5-grams and 20 bands of 6; `gpt3.toml` has the paper's 10 hashes on
    unigrams.
    """

    features: Literal["unigram", "shingle"] = key(
        "shingle", "What a document is a set of: word shingles, or single words."
    )
    shingle_words: int = key(5, "Words of a shingle.", least=1, most=1000)
    bands: int | Literal["auto"] = key(
        20, 'Bands of a signature; "auto" chooses bands and rows for `min_jaccard`.', least=1
    )
    rows: int = key(6, "Hashes of a band.", least=1)
    hashes: int = key(
        128, 'With `bands` = "auto": hashes to choose from, at most.', least=1, most=MAX_HASHES
    )
    min_jaccard: float = key(
        0.8,
        "Jaccard similarity to a document that stays, from which one is removed.",
        above=0,
        most=1,
    )
    across: Literal["all"] | tuple[tuple[str, str], ...] = key(
        "all", "Which datasets are compared: all with all, or pairs, from left to right."
    )
    within: bool = key(
        True, "With pairs in `across`: also within each dataset, those of role reference excepted."
    )
    index: str = key(
        "", "An earlier run (its folder): what resembles a document that it kept is removed."
    )
    max_removed: float = key(
        0.7, "Share of a dataset that may be removed before the alarm.", above=0, most=1
    )
    max_cluster: float = key(
        0.05,
        "Share of a dataset that may be duplicates of one document before the alarm.",
        above=0,
        most=1,
    )
    alarm: Literal["stop", "warn"] = key(
        "stop", "What happens where a dataset loses most of its documents, or many to one."
    )
    max_repeated_lines: float = key(
        1.0,
        "Remove documents with a larger share of their text in repeated lines.",
        least=0,
        most=1,
    )
    max_repeated_paragraphs: float = key(1.0, "The same for repeated paragraphs.", least=0, most=1)

    def __post_init__(self) -> None:
        check_bounds(self)
        self.banding()

    def banding(self) -> tuple[int, int]:
        """Bands, and rows of a band. Raises ValueError for too few hashes, or too many."""
        from curation.kernels.bands import choose_bands

        if self.bands == "auto":
            return choose_bands(self.min_jaccard, self.hashes)
        if self.bands * self.rows > MAX_HASHES:
            raise ValueError(
                f"bands: at most {MAX_HASHES:,} hashes (bands times rows) expected, "
                f"got {self.bands * self.rows:,}"
            )
        return self.bands, self.rows


@dataclass(frozen=True, slots=True)
class DecontaminateConfig:
    """[decontaminate]: benchmark overlap (GPT-3, appendix C.1)."""

    benchmarks: tuple[str, ...] = key((), "Benchmark files (JSONL, Parquet), folders or patterns.")
    catalogue: str = key("", "A TOML file that says which fields of which benchmark count.")
    gram_words: int = key(13, "Words of a gram (n-gram).", least=1, most=1000)
    margin_chars: int = key(200, "Characters cut on each side of a hit.", least=0)
    min_piece_chars: int = key(200, "Shorter pieces are dropped.", least=0)
    max_pieces: int = key(10, "A document in more pieces is removed.", least=0)
    max_documents: int = key(10, "Grams in more documents than this are ignored.", least=0)
    study: bool = key(True, "Also say which examples stay dirty (appendix C.2).")

    def __post_init__(self) -> None:
        check_bounds(self)
        check_addresses("benchmarks", self.benchmarks)


@dataclass(frozen=True, slots=True)
class TokenizeConfig:
    """[tokenize]: byte-pair tokens."""

    encoding: str = key(
        "gpt2",
        "A name that tiktoken knows (`gpt2` needs no network), or the path of a tokenizer.json "
        "(.json) or of a SentencePiece model (.model).",
    )
    end_of_text: str = key(
        "",
        "The token that ends a document, of a vocabulary in a file.  [default: its <|endoftext|>, "
        "</s>, <eos> or the like]",
        of_tables=False,
    )


@dataclass(frozen=True, slots=True)
class MixConfig:
    """[mix]: the weighted mixture and its shards (GPT-3, section 2.2)."""

    tokens: int = key(
        0,
        "Tokens of the whole mixture; 0: until the first dataset is used up.",
        least=0,
        most=10**15,
    )
    shards: int = key(8, "Training shards.", least=1, most=100_000)
    validation: float = key(0.001, "Share of documents held out for validation.", least=0, below=1)
    weights: dict[str, float] = key(
        {}, "Weight of each dataset, in any unit.", least=0, most=10**15
    )
    by: str = key(
        "",
        "Column that documents are also weighed by, such as quality_decile, cluster_size, language "
        "or extra.NAME.",
        of_tables=False,
    )
    by_weights: dict[str, dict[str, float]] = key(
        {},
        "For each dataset to weigh so, the weight of each value of `by`: how often its documents "
        "are read, relative to those of other values.",
        of_tables=False,
        least=0,
        most=10**9,
    )
    max_epochs: float = key(
        16.0, "A mixture that repeats a dataset more often is refused.", of_tables=False, above=0
    )
    parquet: bool = key(
        False, "Also write each shard as a table that names every chunk's document."
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.weights and not sum(self.weights.values()):
            raise ValueError(f"weights: not all 0 expected, got {self.weights}")
        check_groups(self.by, self.by_weights)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The whole recipe. `stages` may leave stages out; those that stand keep their order."""

    dataset: tuple[Dataset, ...]
    seed: int = key(
        0, "Every random decision depends on it and on the content.", least=-(2**63), most=2**63 - 1
    )
    memory_gb: float = key(
        2.0, "For each query of the local engine, which spills to disk beyond it.", above=0
    )
    stages: tuple[str, ...] = key(DEFAULT, "The stages to run.")
    download: DownloadConfig = field(default_factory=DownloadConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    filter: FilterConfig = field(default_factory=FilterConfig)
    classify: ClassifyConfig = field(default_factory=ClassifyConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    decontaminate: DecontaminateConfig = field(default_factory=DecontaminateConfig)
    tokenize: TokenizeConfig = field(default_factory=TokenizeConfig)
    mix: MixConfig = field(default_factory=MixConfig)

    def __post_init__(self) -> None:
        names = self.names()
        if not names:
            raise ValueError("at least one [[dataset]] expected")
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"two datasets are called {min(twice)!r}")
        for stage in self.stages:
            if stage not in STAGES:
                raise ValueError(f"stages: no stage {brief(stage)}{did_you_mean(stage, STAGES)}")
        if list(self.stages) != (ordered := [s for s in STAGES if s in self.stages]):
            raise ValueError(
                f"stages: each once and in the order of the line expected, {', '.join(ordered)}; "
                f"got {', '.join(self.stages)}"
            )
        check_bounds(self)
        from curation import store

        for dataset in self.dataset:
            try:
                self.extract.check_languages(dataset.languages or ())
            except ValueError as error:
                raise ValueError(f"dataset {dataset.name!r}: {error}") from error
            remote = bool(dataset.crawls) or any(map(store.is_web, dataset.files))
            if remote and not dataset.stream and "download" not in self.stages:
                raise ValueError(
                    f"dataset {dataset.name!r}: its files are at addresses; "
                    'put "download" into `stages`, or stream = true'
                )
        for table, name, used in self._dataset_names():
            if table in self.stages and (wrong := [n for n in used if n not in names]):
                raise ValueError(
                    f"{table}.{name}: no dataset {brief(wrong[0])}{did_you_mean(wrong[0], names)}"
                )
        if self.filter.changed() != ("filter" in self.stages):
            raise ValueError(
                'filter: rules, signals or a mask, and "filter" in `stages` expected, got only '
                + ("the stage" if "filter" in self.stages else "the table [filter]")
            )
        if "decontaminate" in self.stages and not self.decontaminate.benchmarks:
            raise ValueError(
                "decontaminate.benchmarks: at least one file expected "
                "(or leave the stage out of `stages`)"
            )
        if "mix" in self.stages and not self.mix.weights:
            raise ValueError(
                "mix.weights: a weight for each dataset expected, "
                "for instance { crawl = 60, books = 40 }"
            )
        if "mix" in self.stages and self.mix.by and not self.mix.by_weights:
            raise ValueError(
                f"mix.by_weights: weights of the values of {brief(self.mix.by)} expected, for "
                "instance { crawl = { 1 = 0.5, 2 = 1 } }"
            )

    def _dataset_names(self) -> list[tuple[str, str, Sequence[str]]]:
        # an index has datasets of its own, and the same pairs
        free = self.dedup.across == "all" or self.dedup.index
        across = () if free else [n for pair in self.dedup.across for n in pair]
        return [
            ("filter", "datasets", self.filter.datasets),
            ("classify", "positives", self.classify.positives),
            ("classify", "negatives", self.classify.negatives),
            ("classify", "weights", tuple(self.classify.weights)),
            ("dedup", "across", across),
            ("mix", "weights", tuple(self.mix.weights)),
            ("mix", "by_weights", tuple(self.mix.by_weights)),
        ]

    def names(self) -> tuple[str, ...]:
        """The datasets' names, in their order."""
        return tuple(d.name for d in self.dataset)

    def place(self, name: str) -> int:
        """Position of a dataset in the recipe, which is its priority."""
        return self.names().index(name)

    def named(self, name: str) -> Dataset:
        """The dataset of this name."""
        return self.dataset[self.place(name)]

    def extracted(self, name: str) -> ExtractConfig:
        """The settings of `extract` for this dataset: those that it names itself come first."""
        dataset = self.named(name)
        own = {key: getattr(dataset, key) for key in ("languages", "language_threshold")}
        return replace(self.extract, **{k: v for k, v in own.items() if v is not None})

    def ruled(self, name: str) -> bool:
        """Whether `filter` decides on this dataset."""
        by_default = self.named(name).role == "crawl" and not self.filter.datasets
        return "filter" in self.stages and (by_default or name in self.filter.datasets)

    def classified(self, name: str) -> bool:
        """Whether `classify` decides on this dataset."""
        return "classify" in self.stages and self.named(name).role == "crawl"

    def decides(self, stage: str, name: str) -> bool:
        """Whether a stage of this recipe decides which documents of a dataset stay."""
        of_crawls = {"filter": self.ruled, "classify": self.classified}
        if stage in of_crawls:
            return of_crawls[stage](name)
        return stage in DECIDING and stage in self.stages

    def positives(self) -> tuple[str, ...]:
        """The datasets that the classifier learns as good."""
        return self.classify.positives or tuple(d.name for d in self.dataset if d.role == "trusted")

    def negatives(self) -> tuple[str, ...]:
        """The datasets that the classifier learns as unfiltered."""
        return self.classify.negatives or tuple(d.name for d in self.dataset if d.role == "crawl")
