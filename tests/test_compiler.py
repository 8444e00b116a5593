"""What registers itself with Numba is not loaded by our own processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from curation.engine.local import LocalEngine

REGISTERED = "awkward"
KERNEL = """
import sys
{}
from curation.kernels.buffers import text_buffers
from curation.kernels.repeats import repeated_chars
import pyarrow as pa
repeated_chars(*text_buffers(pa.array(["a line"])))
print(*(name in sys.modules for name in ("awkward", "scipy", "pandas")))
import scipy.linalg, pandas
"""
TOLD = "from curation.compiler import load_without_extras; load_without_extras()"


def loaded(_: int) -> bool:
    import pyarrow as pa

    from curation.kernels.buffers import text_buffers
    from curation.kernels.repeats import repeated_chars

    repeated_chars(*text_buffers(pa.array(["a line"])))
    return REGISTERED in sys.modules


@pytest.mark.parametrize("told", [True, False])
def test_a_process_that_is_told_so_loads_none(told: bool) -> None:
    for name, extra in ((REGISTERED, "fast"), ("scipy", "train"), ("pandas", "spark")):
        pytest.importorskip(name, reason=f"the extra `{extra}` is not installed")
    code = KERNEL.format(TOLD if told else "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == " ".join([str(not told)] * 3)


def test_workers_load_none(local: LocalEngine) -> None:
    assert local.map("loaded", loaded, [0, 1]) == [False, False]


def test_the_child_for_pages_loads_none() -> None:
    from curation.readers import page_sandbox
    from curation.readers.html import Form

    sandbox = page_sandbox.PageSandbox("blocks", Form(), 30.0)
    sandbox.read([page_sandbox._TRIAL])
    assert sandbox._child is not None
    with open(f"/proc/{sandbox._child.pid}/maps") as maps:
        assert "awkward" not in maps.read()
    sandbox._exit()


COMPILES = """
import pyarrow as pa
import numba, numpy as np
from curation.kernels.buffers import text_buffers
from curation.kernels.growing import with_room
from curation.kernels.repeats import repeated_chars
repeated_chars(*text_buffers(pa.array(["a line"])))
set_up = "numba.np.polynomial.polynomial_core" in sys.modules
function = numba.njit(lambda a: with_room(a, 3, 5)[:2].sum() + np.sqrt(a[0]))
print(set_up, function(np.ones(3)), "scipy" in sys.modules)
"""


def test_compiling_is_set_up_when_something_is_compiled() -> None:
    code = "import sys\n" + TOLD + COMPILES
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "3.0", "False"]


@pytest.mark.parametrize("name", ["_load_overload", "_guard_against_spurious_io_errors", ""])
def test_where_numba_lacks_a_name_its_loading_is_left_as_it_is(name: str) -> None:
    code = "from numba.core import caching\n"
    code += f"del caching.Cache.{name}\n" if name else ""
    code += f"{TOLD}\nprint(caching.Cache.load_overload.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ("numba.core.caching" if name else "curation.compiler")
