"""Converts a Qwen2 checkpoint to GGUF. Run in an interpreter that has gguf and numpy.

Matrices get the given type, norms and biases stay in float32, as llama.cpp wants them. There is no tokenizer in the
file: prompts are given as ids.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bench.safetensors_file import SafetensorsReader
from bench.work import ModelShape, shape_of

if TYPE_CHECKING:
    import gguf

TYPES = ("F32", "F16", "BF16", "Q8_0")
OUTER_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER_NAME = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")


def gguf_name(name: str) -> str:
    """`model.layers.3.mlp.up_proj.weight` -> `blk.3.ffn_up.weight`. Throws ValueError for a name of another model."""
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    match = LAYER_NAME.fullmatch(name)
    if match is None or match[2] not in LAYER_NAMES:
        raise ValueError(f"{name}: expected the name of a Qwen2 tensor")
    return f"blk.{match[1]}.{LAYER_NAMES[match[2]]}.{match[3]}"


def add_sizes(writer: gguf.GGUFWriter, shape: ModelShape) -> None:
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_tokenizer_model("none")


def convert(checkpoint: Path, path: Path, type_name: str) -> None:
    """The file appears when it is whole."""
    import gguf

    wanted = gguf.GGMLQuantizationType[type_name]
    shape, reader = shape_of(checkpoint), SafetensorsReader(checkpoint)
    unfinished = path.with_name(path.name + ".unfinished")
    writer = gguf.GGUFWriter(unfinished, "qwen2", use_temp_file=True)
    add_sizes(writer, shape)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if type_name == "F32" else f"MOSTLY_{type_name}"])
    for name in reader.names():
        if name == "lm_head.weight" and shape.tie_word_embeddings:
            continue
        values = reader.read(name)
        kind = wanted if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("type", choices=TYPES)
    args = parser.parse_args()
    convert(args.checkpoint, args.output, args.type)


if __name__ == "__main__":
    main()
