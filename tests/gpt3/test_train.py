from __future__ import annotations

import contextlib
import functools
import json
import math
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from curation.errors import CurationError, InputError, MissingExtra, RunError
from curation.gpt3 import checkpoint, data, update
from curation.gpt3 import train as module
from curation.gpt3.data import open_shards
from curation.gpt3.generate import load_checkpoint
from curation.gpt3.model import Block, build
from curation.gpt3.parallel import ONE
from curation.gpt3.sizes import SIZES, Size
from curation.gpt3.train import Options, train

MakeShards = Callable[..., Path]
OPTIONS = Options(tokens=1280, checkpoint_every=5, validate_every=10)


def lines(out: Path) -> list[dict[str, Any]]:
    """The log without the speeds, which no two runs share."""
    found = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key not in ("tokens_per_s", "mfu")}
        for line in found
    ]


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes() + (
        folder / "optimizer.safetensors"
    ).read_bytes()


def test_a_model_learns_and_writes_its_log(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    result = train(make_shards(), tmp_path / "out", size, OPTIONS)
    log = lines(tmp_path / "out")
    steps = [line for line in log if "loss" in line]
    assert (result.step, result.tokens, len(steps)) == (40, 1280, 40)
    assert [line["tokens"] for line in steps] == list(range(32, 1281, 32))
    assert steps[0]["loss"] == pytest.approx(math.log(61), rel=0.05)
    assert result.loss is not None
    assert result.loss < steps[0]["loss"] - 0.3
    assert result.validation["webtext2"] < math.log(61) - 0.3
    assert set(steps[0]) == {
        "step",
        "tokens",
        "loss",
        "lr",
        "batch_tokens",
        "grad_norm",
        "noise_scale_tokens",
    }
    assert [line["step"] for line in log if "validation" in line] == [10, 20, 30, 40]
    assert log[-1]["validation"] == result.validation
    assert [path.name for path in checkpoint.steps(tmp_path / "out")] == [
        "step-0000035",
        "step-0000040",
    ]
    assert sorted(path.name for path in result.checkpoint.iterdir()) == [
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


@pytest.mark.parametrize(("stop", "dropout"), [(1, 0.0), (5, 0.0), (13, 0.0), (5, 0.2), (13, 0.2)])
def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    make_shards: MakeShards, size: Size, tmp_path: Path, stop: int, dropout: float
) -> None:
    shards = make_shards()
    size = replace(size, dropout=dropout)
    whole = train(shards, tmp_path / "whole", size, OPTIONS)
    train(shards, tmp_path / "parts", size, replace(OPTIONS, max_steps=stop))
    resumed = train(shards, tmp_path / "parts", size, OPTIONS)
    names = ("whole", "parts")
    losses = [[line["loss"] for line in lines(tmp_path / name) if "loss" in line] for name in names]
    assert losses[0] == losses[1]
    assert weights(whole.checkpoint) == weights(resumed.checkpoint)
    assert whole.validation == resumed.validation


KILLED = """
import json, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from curation.gpt3 import train as module
from curation.gpt3.sizes import Size
shards, out, size, options = sys.argv[1:]
size = json.loads(size)
step = module._step
def slow(*arguments):
    time.sleep(0.02)
    return step(*arguments)
module._step = slow
module.train(Path(shards), Path(out), Size(**{**size, "attention": tuple(size["attention"])}),
             module.Options(**json.loads(options)))
"""


def test_a_run_killed_in_the_middle_goes_on_as_if_nothing_happened(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    whole = train(shards, tmp_path / "whole", size, OPTIONS)
    out = tmp_path / "killed"
    arguments = [str(shards), str(out), json.dumps(asdict(size)), json.dumps(asdict(OPTIONS))]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    deadline = time.monotonic() + 60
    while (
        not (out / "step-0000010").exists()
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (out / ".step-0000099.1").mkdir()  # what a kill inside `save` leaves
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 9')  # and inside a line of the log
    resumed = train(shards, out, size, OPTIONS)
    assert lines(out) == lines(tmp_path / "whole")
    assert weights(whole.checkpoint) == weights(resumed.checkpoint)
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("name", "rate", "last_rate"), [("gpt1", 3e-2, 0.0), ("gpt2-117M", 1e-2, 1e-3)]
)
def test_gpt1_and_gpt2_are_trained(
    make_shards: MakeShards, tmp_path: Path, name: str, rate: float, last_rate: float
) -> None:
    """Their sizes with fewer layers, narrower, on short windows."""
    small = replace(SIZES[name], layers=2, width=16, heads=2, context=16, batch_tokens=32)
    options = replace(OPTIONS, learning_rate=rate)
    result = train(make_shards(), tmp_path / "out", small, options)
    steps = [line for line in lines(tmp_path / "out") if "loss" in line]
    assert steps[0]["loss"] == pytest.approx(math.log(61), rel=0.1)
    assert result.loss is not None
    assert result.loss < steps[0]["loss"] - 0.2
    assert steps[-1]["lr"] == pytest.approx(last_rate)
    model, _, _ = load_checkpoint(result.checkpoint)
    assert (model.size.norm, model.training) == (small.norm, False)


def test_dropout_is_drawn_in_training_and_not_in_validation(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards, still = make_shards(), replace(OPTIONS, learning_rate=1e-12, max_steps=3)
    train(shards, tmp_path / "plain", size, still)
    train(shards, tmp_path / "dropped", replace(size, dropout=0.2), still)
    plain, dropped = lines(tmp_path / "plain"), lines(tmp_path / "dropped")
    assert plain[-1]["validation"]["webtext2"] == pytest.approx(
        dropped[-1]["validation"]["webtext2"], rel=1e-6
    )
    assert all(a["loss"] != b["loss"] for a, b in zip(plain[:-1], dropped[:-1], strict=True))
    again = train(shards, tmp_path / "again", replace(size, dropout=0.2), replace(still, seed=0))
    assert again.loss == dropped[-2]["loss"]


def test_a_checkpoint_from_before_a_size_had_a_norm_is_gone_on_from(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    first = train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=2))
    path = first.checkpoint / "state.json"
    state = json.loads(path.read_text())
    for key in ("norm", "dropout"):
        del state["config"]["size"][key]
    path.write_text(json.dumps(state))
    assert train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=3)).step == 3
    with pytest.raises(RunError, match=r"size.dropout is 0.0 there and 0.1 here"):
        train(shards, tmp_path / "out", replace(size, dropout=0.1), OPTIONS)


def test_a_finished_run_has_nothing_to_do(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    first = train(shards, tmp_path / "out", size, OPTIONS)
    log = (tmp_path / "out/log.jsonl").read_text()
    again = train(shards, tmp_path / "out", size, OPTIONS)
    assert again == replace(first, loss=None)
    assert (tmp_path / "out/log.jsonl").read_text() == log


def test_accumulating_gradients_changes_nothing(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    big = replace(size, batch_tokens=112)  # 7 windows: parts of 2, 2, 2 and 1
    train(shards, tmp_path / "one", big, replace(OPTIONS, max_steps=3))
    train(shards, tmp_path / "four", big, replace(OPTIONS, max_steps=3, micro_batch=2))
    for one, four in zip(lines(tmp_path / "one"), lines(tmp_path / "four"), strict=True):
        if "loss" in one:
            assert one["loss"] == pytest.approx(four["loss"], rel=1e-5)
            assert one["grad_norm"] == pytest.approx(four["grad_norm"], rel=1e-4)


def test_weight_decay_is_on_matrices_only(size: Size) -> None:
    optimizer = update.optimizer_for(build(size, 0))
    decayed, others = optimizer.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {p.dim() for p in decayed["params"]} == {2}
    assert {p.dim() for p in others["params"]} == {1}
    assert (decayed["betas"], decayed["eps"]) == ((0.9, 0.95), 1e-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"tokens": 640}, "schedule.budget_tokens is 1280 there and 640 here"),
        ({"learning_rate": 1.0}, "schedule.learning_rate is 0.01 there and 1.0 here"),
    ],
)
def test_another_configuration_is_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    shards = make_shards()
    train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=1))
    with pytest.raises(RunError, match=words):
        train(shards, tmp_path / "out", size, replace(OPTIONS, **change))


def test_another_size_or_other_shards_are_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=1))
    with pytest.raises(RunError, match=r"size.layers is 2 there and 3 here"):
        train(shards, tmp_path / "out", replace(size, layers=3), OPTIONS)
    with pytest.raises(RunError, match="trained on other shards"):
        train(make_shards((1600,), seed=2), tmp_path / "out", size, OPTIONS)


def test_too_few_tokens_are_refused(make_shards: MakeShards, size: Size, tmp_path: Path) -> None:
    shards, few = make_shards(), make_shards((30,), seed=2)
    with pytest.raises(
        InputError, match=r"2,000 training tokens were asked for, but .* hold 1,584"
    ):
        train(shards, tmp_path / "out", size, replace(OPTIONS, tokens=2000))
    with pytest.raises(
        InputError, match=r"16 training tokens are fewer than one batch .*32 tokens"
    ):
        train(few, tmp_path / "out", size, Options())
    with pytest.raises(InputError, match="31 training tokens are fewer than one batch"):
        train(shards, tmp_path / "out", size, Options(tokens=31))
    with pytest.raises(InputError, match="no size 'huge'"):
        train(shards, tmp_path / "out", "huge")
    assert not (tmp_path / "out").exists()


def test_without_a_budget_the_shards_or_the_size_set_it(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    shards = make_shards()
    result = train(shards, tmp_path / "all", size, Options(max_steps=1))
    assert result.budget_tokens == 1584
    result = train(shards, tmp_path / "some", replace(size, tokens=640), Options(max_steps=1))
    assert result.budget_tokens == 640


def test_a_loss_that_is_not_a_number_stops_the_run(
    make_shards: MakeShards, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, out = make_shards(), tmp_path / "out"
    gradient, calls = module.gradient, []

    def poisoned(this: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 8:
            torch.nn.init.constant_(this.model.norm.weight, math.nan)
        return gradient(this, *arguments)

    monkeypatch.setattr(module, "gradient", poisoned)
    with pytest.raises(RunError, match=r"loss is nan .* in step 8, at token 256; .*step-0000005"):
        train(shards, out, size, OPTIONS)
    assert [path.name for path in checkpoint.steps(out)] == ["step-0000005"]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_checkpoint_is_named(
    make_shards: MakeShards, size: Size, tmp_path: Path, file: str, damage: str
) -> None:
    shards = make_shards()
    result = train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=2))
    path = result.checkpoint / file
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    with pytest.raises(CurationError, match="step-0000002"):
        train(shards, tmp_path / "out", size, OPTIONS)


ODD = [None, True, "x", -1, 2.5, 10**30, float("inf"), [], [[]], {}, {"layers": {}}]


def test_a_checkpoint_made_by_hand_is_one_sentence(size: Size, tmp_path: Path) -> None:
    """Every value of its state, and of what stands in it, in turn of another kind."""
    config = {"size": asdict(size), "encoding": "gpt2", "end_of_text": 0}
    model = build(size, 0)
    optimizer = torch.optim.AdamW(model.parameters())
    folder = checkpoint.save(tmp_path, checkpoint.State(1, 1, 1, config), model, optimizer)
    whole = json.loads((folder / "state.json").read_text())
    load_checkpoint(folder)
    for where in ((), ("config",), ("config", "size"), ("noise",)):
        for key in functools.reduce(lambda part, name: part[name], where, whole):
            for odd in ODD:
                changed = json.loads(json.dumps(whole))
                functools.reduce(lambda part, name: part[name], where, changed)[key] = odd
                (folder / "state.json").write_text(json.dumps(changed))
                with contextlib.suppress(InputError):
                    load_checkpoint(folder)
    for text in ("[" * 100_000, "[]", "3", "", '{"format": 2}'):
        (folder / "state.json").write_text(text)
        with pytest.raises(InputError, match="state"):
            load_checkpoint(folder)
    (folder / "state.json").write_text(json.dumps(whole))
    path = str(folder / "optimizer.safetensors")
    tensors = load_file(path)
    tensors.popitem()
    save_file(tensors, path)
    with pytest.raises(InputError, match="does not hold the optimiser's state of"):
        checkpoint.load_optimizer(folder, model, optimizer)


def test_validation_counts_the_tail_and_can_be_empty(make_shards: MakeShards, size: Size) -> None:
    model = build(size, 0)
    shards = data.open_shards(make_shards(validation=100))
    held_out = data.windows(shards, shards.validation["webtext2"], size.context, None)
    assert len(held_out) == 6
    every, whole = (module.validation_loss(model, held_out, limit) for limit in (64, 6))
    assert every is not None
    assert whole is not None
    rest = model.loss(torch.from_numpy(held_out.rest()[None])).item()
    assert every == pytest.approx((whole * 96 + rest * 3) / 99, rel=1e-6)
    for count in (0, 1):
        short = data.open_shards(make_shards(validation=count, seed=2 + count))
        empty = data.windows(short, short.validation["webtext2"], size.context, None)
        assert module.validation_loss(model, empty, 64) is None


def test_the_clock_can_stop_a_run(make_shards: MakeShards, size: Size, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no step was trained"):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, seconds=0))
    assert SIZES["tiny"].tokens % SIZES["tiny"].batch_tokens == 0


def test_bits_per_byte_are_the_loss_over_the_bytes_of_the_text(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    from curation.kernels import bpe

    shards = make_shards()
    result = train(shards, tmp_path / "out", size, replace(OPTIONS, max_steps=1))
    tokens = np.fromfile(shards / "validation-webtext2-00000.bin", "<u2")[1:]
    # 0: end of text here.
    text = bpe.encoding("gpt2").decode_bytes([int(token) for token in tokens if token != 0])
    expected = result.validation["webtext2"] * len(tokens) / math.log(2) / len(text)
    assert result.bits_per_byte["webtext2"] == pytest.approx(expected)
    assert lines(tmp_path / "out")[-1]["bits_per_byte"] == result.bits_per_byte


def test_an_encoding_that_cannot_be_had_costs_the_bits_per_byte_only(
    make_shards: MakeShards, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    path = make_shards() / "shards.json"
    path.write_text(path.read_text().replace('"gpt2"', '"not-an-encoding"'))
    result = train(path.parent, tmp_path / "out", size, replace(OPTIONS, max_steps=1))
    assert result.bits_per_byte == {}
    assert result.validation["webtext2"] > 0


def test_bfloat16_learns_the_same(make_shards: MakeShards, size: Size, tmp_path: Path) -> None:
    shards = make_shards()
    losses = []
    for dtype in ("float32", "bfloat16"):
        train(shards, tmp_path / dtype, size, replace(OPTIONS, dtype=dtype))
        losses.append([line["loss"] for line in lines(tmp_path / dtype) if "loss" in line])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert all(
        p.dtype == torch.float32
        for p in checkpoint.load_model(tmp_path / "bfloat16/step-0000040", size).parameters()
    )


def test_compiled_blocks_compute_the_same(size: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    original = torch.compile

    # The compiler's front; its back end takes a minute here.
    def eager(function: Any, **options: Any) -> Any:
        compiled.append(function)
        return original(function, **{**options, "backend": "eager"})

    monkeypatch.setattr(torch, "compile", eager)
    windows = torch.randint(0, size.vocabulary, (2, size.context + 1))
    losses = []
    # torch's compiler looks at `.grad` of inner tensors and warns of it itself
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor")
    for flag in (False, True):
        this = update.learner(
            build(size, 0), module.Ranks(torch.device("cpu")), torch.float32, 2, flag
        )
        loss = this.loss(windows)
        loss.backward()
        losses.append((loss.item(), update.gradient_norm(this.model)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(compiled) == size.layers


def test_passes_are_of_two_lengths_at_most(
    size: Size, make_shards: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each other length would be compiled anew; how a batch is cut changes nothing that is learnt."""
    windows = module.windows(open_shards(make_shards(seed=2)), ("train-00000",), size.context, 1)
    lengths: list[int] = []
    forward = Block.forward

    def seen(self: Block, x: torch.Tensor, *more: Any) -> Any:
        lengths.append(len(x))
        return forward(self, x, *more)

    monkeypatch.setattr(Block, "forward", seen)
    found = {}
    for micro, expected in ((7, [7]), (4, [3, 4]), (3, [2, 2, 3])):
        lengths.clear()
        this = update.learner(
            build(size, 0), module.Ranks(torch.device("cpu")), torch.float32, micro, False
        )
        loss = update.gradient(this, windows, 0, 7).loss
        assert lengths[:: size.layers] == expected
        gradients = [p.grad.flatten() for p in this.model.parameters() if p.grad is not None]
        found[micro] = loss, torch.cat(gradients)
    for micro in (4, 3):
        assert found[micro][0] == pytest.approx(found[7][0], rel=1e-5)
        torch.testing.assert_close(found[micro][1], found[7][1], atol=1e-6, rtol=1e-4)


def test_samples_and_validation_compile_nothing(size: Size) -> None:
    """Their shapes are many."""
    here = module.Ranks(torch.device("cpu"))
    plain, compiled = (
        update.Learner(build(size, 0), build(size, 0), None, here, torch.float32, 1, flag)  # type: ignore[arg-type]
        for flag in (False, True)
    )
    calls = []
    function = torch.compile(lambda x: x + 1, backend=lambda g, _: calls.append(g) or g.forward)
    with module._uncompiled(compiled):
        assert function(torch.zeros(3)).sum() == 3
    assert not calls
    with module._uncompiled(plain):
        function(torch.zeros(3))
    assert len(calls) == 1


def test_a_device_that_is_not_there_is_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(
        InputError,
        match=r"device cuda was asked for, but torch .* sees 0 GPUs here; use --device cpu",
    ):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, device="cuda"))
    with pytest.raises(InputError, match="no device 'gpu'; expected cpu or cuda"):
        train(make_shards(seed=2), tmp_path / "out", size, replace(OPTIONS, device="gpu"))


def test_the_last_n_checkpoints_are_kept(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    train(make_shards(), tmp_path / "out", size, replace(OPTIONS, keep=3))
    assert [path.name[-2:] for path in checkpoint.steps(tmp_path / "out")] == ["30", "35", "40"]
    with pytest.raises(InputError, match=r"keep: a number in \[1, .* expected, got 0"):
        Options(keep=0)


def test_a_checkpoint_is_what_safetensors_itself_reads(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    """Our streaming writer against the library; and no pickle anywhere."""
    from safetensors.torch import load_file

    result = train(make_shards(), tmp_path / "out", size, replace(OPTIONS, max_steps=2))
    weights = load_file(result.checkpoint / "model.safetensors")
    model = checkpoint.load_model(result.checkpoint, size)
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    moments = load_file(result.checkpoint / "optimizer.safetensors")
    assert len(moments) == 3 * len(weights)
    assert moments["norm.weight/step"] == 2
    with pytest.raises(
        InputError, match=r"not a model of size 'test': expected blocks.2.*found None"
    ):
        checkpoint.load_model(result.checkpoint, replace(size, layers=3))


def test_tensorboard_events_hold_the_log(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(make_shards(), tmp_path / "out", size, replace(OPTIONS, max_steps=3, tensorboard=True))
    events = EventAccumulator(str(tmp_path / "out/tensorboard")).Reload()
    logged = [line["loss"] for line in lines(tmp_path / "out") if "loss" in line]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(logged)
    assert "validation/webtext2" in events.Tags()["scalars"]


def test_without_tensorboard_it_says_what_to_install(
    make_shards: MakeShards, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from curation.gpt3 import log

    monkeypatch.setattr(log, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install \'\.\[tensorboard\]\'"):
        train(make_shards(), tmp_path / "out", size, replace(OPTIONS, tensorboard=True))


def test_other_shards_of_equal_length_are_refused(
    make_shards: MakeShards, size: Size, tmp_path: Path
) -> None:
    first, other = make_shards(seed=1), make_shards(seed=2)
    train(first, tmp_path / "out", size, replace(OPTIONS, max_steps=1))
    with pytest.raises(RunError, match="trained on other shards than those in"):
        train(other, tmp_path / "out", size, replace(OPTIONS, max_steps=2))
    moved = first.rename(tmp_path / "moved")
    assert train(moved, tmp_path / "out", size, replace(OPTIONS, max_steps=2)).step == 2


def test_weights_are_cast_once_for_all_passes_of_a_step(
    make_shards: MakeShards, size: Size, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 16 bits: the gradient of four passes is that of passes which cast anew, bit by bit."""
    train_windows = data.windows(data.open_shards(make_shards()), ("train-00000",), size.context, 0)

    def gradients(cast_anew: bool) -> list[torch.Tensor]:
        this = update.learner(build(size, 0), ONE, torch.bfloat16, 1, False)
        original = torch.nn.functional.linear

        def counting(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
            if cast_anew:
                torch.clear_autocast_cache()
            return original(x, weight, bias)

        monkeypatch.setattr(torch.nn.functional, "linear", counting)
        found = update.gradient(this, train_windows, 0, 4)
        monkeypatch.setattr(torch.nn.functional, "linear", original)
        assert found.small == 1
        return [p.grad for p in this.model.parameters() if p.grad is not None]

    once, anew = gradients(False), gradients(True)
    assert len(once) == len(list(build(size, 0).parameters()))
    torch.testing.assert_close(once, anew, atol=0, rtol=0)
