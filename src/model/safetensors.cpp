#include "prm_score/model/safetensors.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "json_fields.h"

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxOffset = int64_t{1} << 62;  // sums with it do not overflow
constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// Empty for types of less than a byte and types newer than this table: no weight of ours can have them.
std::optional<int64_t> element_bytes(std::string_view dtype) {
  struct Entry {
    std::string_view dtype;
    int64_t bytes;
  };
  static constexpr std::array<Entry, 16> kEntries = {{{"BOOL", 1},
                                                      {"U8", 1},
                                                      {"I8", 1},
                                                      {"F8_E5M2", 1},
                                                      {"F8_E4M3", 1},
                                                      {"F8_E8M0", 1},
                                                      {"I16", 2},
                                                      {"U16", 2},
                                                      {"F16", 2},
                                                      {"BF16", 2},
                                                      {"I32", 4},
                                                      {"U32", 4},
                                                      {"F32", 4},
                                                      {"F64", 8},
                                                      {"I64", 8},
                                                      {"U64", 8}}};
  const auto entry = std::find_if(kEntries.begin(), kEntries.end(), [&](const Entry& e) { return e.dtype == dtype; });
  if (entry == kEntries.end()) return std::nullopt;
  return entry->bytes;
}

int64_t checked_product(int64_t a, int64_t b, const std::string& place) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) throw Error(place + ": expected a size under 2^63, got more");
  return product;
}

// Of a file that is as long as it says it is.
void expect_to_hold(int64_t num_bytes, const char* by, int64_t file_size, const std::string& file_name) {
  if (num_bytes <= file_size) return;
  throw Error(file_name + ": ends early: expected " + std::to_string(num_bytes) + " bytes by its " + by + ", found " +
              std::to_string(file_size) + " (cut short, an interrupted download?)");
}

std::span<const std::byte> header_bytes(std::span<const std::byte> file, const std::string& file_name) {
  const auto file_size = static_cast<int64_t>(file.size());
  if (file_size < kLengthBytes) {
    throw Error(file_name + ": expected at least 8 bytes, got " + std::to_string(file_size));
  }
  uint64_t header_size = 0;
  for (int i = kLengthBytes - 1; i >= 0; --i) header_size = header_size << 8 | std::to_integer<uint64_t>(file[i]);
  if (header_size > static_cast<uint64_t>(kMaxHeaderBytes)) {
    throw Error(file_name + ": header length: expected at most " + std::to_string(kMaxHeaderBytes) + " bytes, got " +
                std::to_string(header_size));
  }
  expect_to_hold(kLengthBytes + static_cast<int64_t>(header_size), "header's length", file_size, file_name);
  return file.subspan(kLengthBytes, header_size);
}

std::vector<int64_t> read_shape(const JsonObject& entry) {
  const nlohmann::json& values = entry.at("shape");
  if (!values.is_array()) throw entry.unexpected("shape", "a list of integers");
  std::vector<int64_t> shape;
  for (const auto& value : values)
    shape.push_back(to_integer(value, {.min = 0, .max = kMaxInt64}, entry.place_of("shape")));
  return shape;
}

// Where a tensor's bytes are in the data behind the header, as the header says: perhaps behind the file's end.
struct Offsets {
  std::string tensor;
  int64_t begin = 0;
  int64_t end = 0;
};

Offsets read_offsets(const JsonObject& entry, const std::string& name) {
  const nlohmann::json& values = entry.at("data_offsets");
  if (!values.is_array() || values.size() != 2) throw entry.unexpected("data_offsets", "[begin, end]");
  const std::string place = entry.place_of("data_offsets");
  const int64_t begin = to_integer(values[0], {.min = 0, .max = kMaxOffset}, place);
  return {name, begin, to_integer(values[1], {.min = begin, .max = kMaxOffset}, place)};
}

void expect_size_of_shape(const StoredTensor& tensor, const Offsets& offsets, const std::string& place) {
  int64_t num_bytes = element_bytes(tensor.dtype).value_or(1);
  for (const int64_t size : tensor.shape) num_bytes = checked_product(num_bytes, size, place + ": shape");
  if (element_bytes(tensor.dtype) && num_bytes != offsets.end - offsets.begin) {
    throw Error(place + ": data_offsets: expected " + std::to_string(num_bytes) + " bytes (" + tensor.dtype + " " +
                shape_to_string(tensor.shape) + "), got " + std::to_string(offsets.end - offsets.begin));
  }
}

// In the order of their offsets, each tensor must begin where the one before ends. Returns where the last one ends.
int64_t expect_no_overlap_and_no_hole(std::vector<Offsets> tensors, const std::string& file_name) {
  std::ranges::sort(tensors, {}, [](const Offsets& offsets) { return std::pair(offsets.begin, offsets.end); });
  int64_t end = 0;
  std::string previous = "the header";
  for (const Offsets& offsets : tensors) {
    if (offsets.begin != end) {
      throw Error(file_name + ": " + offsets.tensor + ": data_offsets: expected to begin at " + std::to_string(end) +
                  ", where " + previous + " ends, got " + std::to_string(offsets.begin));
    }
    end = offsets.end;
    previous = offsets.tensor;
  }
  return end;
}

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

bool is_plain_file_name(const std::string& name) {
  const bool has_slash_or_nul = name.find('/') != std::string::npos || name.find('\0') != std::string::npos;
  return !name.empty() && name != "." && name != ".." && !has_slash_or_nul;
}

}  // namespace

StoredTensors parse_safetensors(std::span<const std::byte> file, const std::string& file_name) {
  const std::span<const std::byte> header = header_bytes(file, file_name);
  const std::span<const std::byte> data = file.subspan(kLengthBytes + header.size());
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  const std::string place = file_name + ": header";
  const nlohmann::json entries = parse_json(text, place);
  if (!entries.is_object()) throw Error(place + ": expected a JSON object, got " + describe(entries));

  StoredTensors tensors;
  std::vector<Offsets> all_offsets;
  for (const auto& [name, value] : entries.items()) {
    if (name == "__metadata__") continue;
    const JsonObject entry(value, file_name + ": " + name);
    StoredTensor tensor = {.file = file_name, .dtype = entry.string("dtype"), .shape = read_shape(entry), .bytes = {}};
    const Offsets& offsets = all_offsets.emplace_back(read_offsets(entry, name));
    expect_size_of_shape(tensor, offsets, file_name + ": " + name);
    tensors.emplace(name, std::move(tensor));
  }
  // The file's size comes last: a header that does not contradict itself is to be believed.
  const int64_t num_bytes = expect_no_overlap_and_no_hole(all_offsets, file_name);
  const int64_t data_begin = kLengthBytes + static_cast<int64_t>(header.size());
  expect_to_hold(data_begin + num_bytes, "header", static_cast<int64_t>(file.size()), file_name);
  if (num_bytes != static_cast<int64_t>(data.size())) {
    throw Error(file_name + ": expected " + std::to_string(num_bytes) + " bytes of tensor data, got " +
                std::to_string(data.size()));
  }
  for (const Offsets& offsets : all_offsets) {
    tensors.at(offsets.tensor).bytes = data.subspan(offsets.begin, offsets.end - offsets.begin);
  }
  return tensors;
}

namespace {

// Bits of the exponent, which are all set in nan and infinity.
template <typename Bits>
NonFinite find_non_finite(const StoredTensor& tensor, Bits exponent) {
  NonFinite found;
  const size_t num_elements = tensor.bytes.size() / sizeof(Bits);
  for (size_t i = 0; i < num_elements; ++i) {
    Bits bits = 0;
    std::memcpy(&bits, tensor.bytes.data() + i * sizeof(Bits), sizeof(Bits));
    if ((bits & exponent) != exponent) continue;
    if (found.count++ > 0) continue;
    found.first.resize(tensor.shape.size());
    auto rest = static_cast<int64_t>(i);
    for (size_t axis = tensor.shape.size(); axis-- > 0; rest /= tensor.shape[axis]) {
      found.first[axis] = rest % tensor.shape[axis];
    }
  }
  return found;
}

}  // namespace

NonFinite find_non_finite(const StoredTensor& tensor) {
  if (tensor.dtype == "F32") return find_non_finite<uint32_t>(tensor, 0x7F800000);
  if (tensor.dtype == "BF16") return find_non_finite<uint16_t>(tensor, 0x7F80);
  if (tensor.dtype == "F16") return find_non_finite<uint16_t>(tensor, 0x7C00);
  return {};
}

std::string shape_to_string(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

SafetensorsReader::SafetensorsReader(const std::filesystem::path& folder) : folder_(folder) {
  // As in the reference, a single file wins over an index.
  if (is_there(folder / kSingleFile)) {
    contents_file_ = kSingleFile;
    add_file(kSingleFile);
  } else if (is_there(folder / kIndexFile)) {
    contents_file_ = kIndexFile;
    read_shards();
  } else {
    throw Error(folder.string() + ": expected " + kSingleFile + " or " + kIndexFile + ", found neither");
  }
}

void SafetensorsReader::read_shards() {
  const MappedFile index_file(folder_ / kIndexFile);
  const std::string place = path_of(kIndexFile);
  const nlohmann::json index = parse_json(index_file.text(), place);
  const nlohmann::json& weight_map = JsonObject(index, place).at("weight_map");
  const JsonObject entries(weight_map, place + ": weight_map");

  std::set<std::string> file_names;
  for (const auto& [name, value] : weight_map.items()) {
    if (!value.is_string() || !is_plain_file_name(value.get<std::string>())) {
      throw Error(entries.place_of(name) + ": expected the plain name of a file in the same folder, got " +
                  describe(value));
    }
    file_names.insert(value.get<std::string>());
  }
  for (const std::string& file_name : file_names) add_file(file_name);

  for (const auto& [name, value] : weight_map.items()) {
    const auto tensor = tensors_.find(name);
    if (tensor == tensors_.end() || tensor->second.file != value.get<std::string>()) {
      throw Error(entries.place_of(name) + ": expected the tensor in " + value.get<std::string>() + ", found " +
                  (tensor == tensors_.end() ? "nowhere" : "in " + tensor->second.file));
    }
  }
}

void SafetensorsReader::add_file(const std::string& file_name) {
  const MappedFile& file = files_.emplace_back(folder_ / file_name);
  for (auto& [name, tensor] : parse_safetensors(file.bytes(), path_of(file_name))) {
    tensor.file = file_name;
    const auto [position, is_new] = tensors_.emplace(name, tensor);
    if (!is_new) {
      throw Error(path_of(file_name) + ": " + name + ": expected in one file only, also found in " +
                  position->second.file);
    }
  }
}

std::string SafetensorsReader::path_of(const std::string& file_name) const { return (folder_ / file_name).string(); }

void SafetensorsReader::expect_unchanged() const {
  for (const MappedFile& file : files_) file.expect_unchanged();
}

const StoredTensor& SafetensorsReader::find(std::string_view name, std::span<const int64_t> expected_shape) const {
  const auto position = tensors_.find(name);
  if (position == tensors_.end()) {
    throw Error(path_of(contents_file_) + ": " + std::string(name) + ": expected a tensor " +
                shape_to_string(expected_shape) + ", found none of that name");
  }
  const StoredTensor& tensor = position->second;
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), expected_shape.begin(), expected_shape.end())) {
    throw Error(path_of(tensor.file) + ": " + std::string(name) + ": expected " + shape_to_string(expected_shape) +
                ", got " + shape_to_string(tensor.shape));
  }
  return tensor;
}

const StoredTensor& SafetensorsReader::weight(std::string_view name, std::span<const int64_t> expected_shape) const {
  const StoredTensor& tensor = find(name, expected_shape);
  if (tensor.dtype == "F32" || tensor.dtype == "F16" || tensor.dtype == "BF16") return tensor;
  throw Error(path_of(tensor.file) + ": " + std::string(name) + ": dtype: expected F32, F16 or BF16, got " +
              tensor.dtype);
}

const StoredTensor& SafetensorsReader::packed(std::string_view name, int64_t num_bytes) const {
  const StoredTensor& tensor = find(name, std::array{num_bytes});
  if (tensor.dtype == "U8") return tensor;
  throw Error(path_of(tensor.file) + ": " + std::string(name) + ": dtype: expected U8, got " + tensor.dtype);
}

}  // namespace prm_score
