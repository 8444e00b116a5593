"""The model folder: what is written can be read, by anybody, and what is not a model is refused in one sentence."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from curation.errors import InputError
from curation.stages.classify.model import (
    NUM_FEATURES,
    copy_model,
    load_folds,
    load_model,
    write_model,
)

CARD: dict[str, Any] = {"scaling": "tf"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, m, and one with folds, f: packing so many weights takes half a second."""
    base, weights = tmp_path_factory.mktemp("written"), np.arange(NUM_FEATURES, dtype=float)
    write_model(str(base / "m"), weights, -1.5, CARD, {"auc": 0.5})
    folds = [(weights + 0.5 + k, k / 2) for k in range(3)]
    write_model(str(base / "f"), weights + 0.5, -1.5, {**CARD, "folds": 3}, folds=folds)
    return base


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "m", tmp_path / "m"))


def change(folder: Path, **values: Any) -> None:
    card = folder / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), **values}))


def replace_arrays(folder: Path, **arrays: Any) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (folder / "model.npz").write_bytes(buffer.getvalue())
    change(folder, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())


def test_a_model_comes_back_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    model = load_model(str(folder))
    assert (model.weights.tolist(), model.intercept, model.scaling) == (
        list(range(NUM_FEATURES)),
        -1.5,
        "tf",
    )
    assert model.identity == hashlib.sha256((folder / "model.npz").read_bytes()).hexdigest()
    copy_model(str(folder), str(tmp_path / "copy"))
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()
    }


@pytest.fixture
def with_folds(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "f", tmp_path / "f"))


def test_folds_come_back_in_their_order_under_the_identity_of_their_file(with_folds: Path) -> None:
    folds = load_folds(str(with_folds))
    assert [(m.weights[0], m.intercept) for m in folds] == [(0.5, 0.0), (1.5, 0.5), (2.5, 1.0)]
    file = hashlib.sha256((with_folds / "folds.npz").read_bytes()).hexdigest()
    assert {m.identity for m in folds} == {file} != {load_model(str(with_folds)).identity}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"folds": 2}, "shape .2, 262144. expected"),
        ({"folds": "3"}, "`folds` and `folds_sha256` expected"),
        ({"folds_sha256": None}, "`folds` and `folds_sha256` expected"),
        ({"folds_sha256": "0"}, "sha256 differs"),
    ],
)
def test_folds_of_another_kind_are_refused(
    with_folds: Path, values: dict[str, Any], said: str
) -> None:
    change(with_folds, **values)
    assert load_model(str(with_folds)).intercept == -1.5
    with pytest.raises(InputError, match=said):
        load_folds(str(with_folds))


def test_a_copy_of_a_model_has_no_folds(with_folds: Path, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(with_folds, copy)
    copy_model(str(folder), str(copy))
    assert load_model(str(copy)).identity == load_model(str(folder)).identity
    assert sorted(p.name for p in copy.iterdir()) == ["card.json", "model.npz", "report.json"]


def test_anybody_can_read_it_without_this_package_and_without_pickle(folder: Path) -> None:
    with np.load(folder / "model.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"weights", "intercept"}
    assert json.loads((folder / "card.json").read_text())["features"] == NUM_FEATURES


def test_a_copied_model_does_not_keep_the_report_of_the_one_before(
    folder: Path, tmp_path: Path
) -> None:
    write_model(str(tmp_path / "other"), np.ones(NUM_FEATURES), 0.0, CARD)
    copy_model(str(tmp_path / "other"), str(folder))
    assert not (folder / "report.json").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 1}, "format 2 expected, got 1"),
        ({"format": None}, "format 2 expected, got None"),
        ({"features": 1 << 20}, "another feature size"),
        ({"scaling": "idf"}, "a scaling of none, tf, binary, l2, log-l2 expected, got 'idf'"),
        ({"sha256": "0"}, "sha256 differs"),
    ],
)
def test_a_card_of_another_kind_is_refused(folder: Path, values: dict[str, Any], said: str) -> None:
    change(folder, **values)
    with pytest.raises(InputError, match=said):
        load_model(str(folder))


def test_arrays_of_another_kind_are_refused(folder: Path) -> None:
    for arrays, said in (
        ({"weights": np.zeros(8), "intercept": 0.0}, "another feature size"),
        ({"w": np.zeros(8)}, "`weights` and `intercept` expected"),
        (
            {"weights": np.array([None, "code"], object), "intercept": 0.0},
            "`weights` and `intercept` expected",
        ),
        ({"weights": np.full(NUM_FEATURES, np.nan), "intercept": 0.0}, "finite weights expected"),
    ):
        replace_arrays(folder, **arrays)
        with pytest.raises(InputError, match=said):
            load_model(str(folder))


def zipped(member: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """An .npz whose weights are these bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("weights.npy", member)
        file.writestr("intercept.npy", member)
    return buffer.getvalue()


def header(shape: str, kind: str = "<f8") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        zipped(b""),
        zipped(b"\x93NUMPY"),
        zipped(header("(262144,)")),
        zipped(header("(10**15,)")),
        zipped(header("(999999999999999,)")),
        zipped(header("(" * 900 + ")" * 900)),
        zipped(header("(262144,)", "<U9") + bytes(36 * 262144), zipfile.ZIP_DEFLATED),
        zipped(header("(262144,)", "<c16") + bytes(16 * 262144), zipfile.ZIP_DEFLATED),
        zipped(header("(262144,)") + bytes(8 * 262144), zipfile.ZIP_DEFLATED),
        zipped(bytes(99), zipfile.ZIP_BZIP2)[:-9] + b"123456789",
    ],
    ids=range(12),
)
def test_arrays_made_by_hand_are_one_sentence(folder: Path, data: bytes) -> None:
    (folder / "model.npz").write_bytes(data)
    change(folder, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(InputError, match=r"model\.npz: \S+"):
        load_model(str(folder))


ODD = [None, True, -1, 1e308, "", "x" * 99, [], [[]], {}, {"x": {}}, 2**63]


@pytest.mark.parametrize("file", ["card.json", "report.json"])
def test_a_card_or_report_made_by_hand_is_shown_or_one_sentence(
    tiny_run: Path, tmp_path: Path, file: str
) -> None:
    from curation.cli import main

    shutil.copytree(tiny_run / "classify" / "model", tmp_path / "m")
    path = tmp_path / "m" / file
    whole = json.loads(path.read_text())
    assert CliRunner().invoke(main, ["model", str(tmp_path / "m")]).exit_code == 0
    draw = random.Random(3)
    for key in [*whole, *whole]:
        path.write_text(json.dumps({**whole, key: draw.choice(ODD)}))
        done = CliRunner().invoke(main, ["model", str(tmp_path / "m")])
        assert done.exception is None or isinstance(done.exception, SystemExit), (key, done)
    path.write_text("[" * 100_000)
    assert CliRunner().invoke(main, ["model", str(tmp_path / "m")]).exit_code == 1


def test_what_is_no_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a model"):
        load_model(str(tmp_path))
    (folder / "model.npz").write_bytes((folder / "model.npz").read_bytes()[:-1])
    with pytest.raises(InputError, match="sha256 differs"):
        load_model(str(folder))
    (folder / "card.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_model(str(folder))
