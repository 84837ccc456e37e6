// quantized_checkpoint.h - a checkpoint folder whose linear layers are 8-bit integers already.
//
//   config.json        as it was, and quantization_config: {"quant_method": "prm-score-int8", "layout": 1}
//   model.safetensors  model.layers.1.self_attn.qkv_proj.int8   U8 [int8_packed_bytes], see Int8Weight; likewise
//                      ..o_proj.int8, ..mlp.gate_up_proj.int8, ..mlp.down_proj.int8, for all layers of which they are
//                      rounded (rounded_layers), at multiples of 64 bytes in the file: they serve where they are mapped
//                      model.layers.1.self_attn.qkv_proj.int8_scales   F32 [num_outputs], and so on
//                      every other tensor under its name, as it was
//   the files of the tokenizer, licences and the like: as they were
//
// A quantised checkpoint gives the bits that `--dtype int8` gives with the one it was made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

namespace prm_score {

struct QuantizedSize {
  int64_t num_bytes_before = 0;  // of all tensors
  int64_t num_bytes = 0;
};

// Called after each layer with how many are done and how many there are; false gives up.
using LayerProgress = std::function<bool(int64_t num_done, int64_t num_layers)>;

// Quantises the checkpoint in `from` to the new folder `to`, one layer in memory at a time, with `num_threads` of
// libtorch's, 0 = as many as there are processors; sets their number for the whole process. The folder is written under
// a name of its own, `{to}.` and six characters, and gets its name when it is whole and on the disk; an Error and
// giving up leave nothing, a kill leaves that one. nullopt if `progress` gave up. Throws Error: as load_model; if
// `from` is quantised already; if `to` is there, or cannot be written.
[[nodiscard]] std::optional<QuantizedSize> write_quantized(const std::filesystem::path& from,
                                                           const std::filesystem::path& to, int num_threads,
                                                           const LayerProgress& progress);

}  // namespace prm_score
