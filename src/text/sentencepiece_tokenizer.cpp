#include "prm_score/text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/sentencepiece_decoder.h"
#include "prm_score/text/sentencepiece_encoder.h"
#include "prm_score/text/sentencepiece_model.h"
#include "prm_score/text/sha256.h"

namespace prm_score {
namespace {

constexpr const char* kFileName = "tokenizer.model";
constexpr const char* kConfigFileName = "tokenizer_config.json";
constexpr uintmax_t kMaxFileBytes = uintmax_t{256} << 20;

class SentencePieceTrunk : public Trunk {
 public:
  SentencePieceTrunk(const SentencePieceEncoder& encoder, std::string text)
      : encoder_(encoder), text_(std::move(text)), encoded_(encoder.encode(text_)) {}

  [[nodiscard]] const std::vector<TokenId>& ids() const override { return encoded_.ids; }

  [[nodiscard]] JoinedIds join(int64_t num_bytes, std::string_view tail) const override {
    SentencePieceEncoder::Joined joined = encoder_.join(encoded_, text_, num_bytes, tail);
    return {.num_shared = joined.num_shared, .rest = std::move(joined.rest.ids)};
  }

 private:
  const SentencePieceEncoder& encoder_;
  std::string text_;
  SourcedIds encoded_;
};

// From where pieces begin to what they stand for: the bytes of one character, and pieces that the normaliser makes of
// one character, all get the whole character, whose end is where the next piece begins that begins elsewhere. What the
// normaliser drops belongs to the piece before, at the front to the first. A space that was only put in front is of
// no character.
void widen_sources(SourcedIds& encoded, const SentencePieceModel& model, int64_t num_text_bytes) {
  std::vector<ByteRange>& sources = encoded.sources;
  if (sources.empty()) return;
  int64_t end = num_text_bytes;
  for (size_t i = sources.size(); i-- > 0;) {
    if (i + 1 < sources.size() && sources[i].begin < sources[i + 1].begin) end = sources[i + 1].begin;
    sources[i].end = end;
  }
  const bool begins_with_added_space = model.add_dummy_prefix && !model.treat_whitespace_as_suffix &&
                                       model.pieces[encoded.ids[0]].text == kSpaceMark && sources.size() > 1 &&
                                       sources[0].begin == sources[1].begin;
  if (begins_with_added_space) sources[0].end = sources[0].begin;
  sources[0].begin = 0;
}

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(SentencePieceModel model, std::string sha256)
      : encoder_(model, kFileName), decoder_(model), model_(std::move(model)), sha256_(std::move(sha256)) {}

  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const override { return encoder_.encode(text).ids; }

  [[nodiscard]] SourcedIds encode_with_sources(std::string_view text) const override {
    SourcedIds encoded = encoder_.encode(text);
    widen_sources(encoded, model_, static_cast<int64_t>(text.size()));
    return encoded;
  }

  [[nodiscard]] std::string decode(std::span<const TokenId> ids) const override { return decoder_.decode(ids); }

  [[nodiscard]] DecodedPrefixes decode_prefixes(std::span<const TokenId> ids,
                                                std::span<const int64_t> positions) const override {
    return decoder_.decode_prefixes(ids, positions);
  }

  [[nodiscard]] TokenId label_id(std::string_view label) const override;

  [[nodiscard]] std::optional<TokenId> bos_id() const override { return bos_id_; }
  [[nodiscard]] int64_t vocab_size() const override { return static_cast<int64_t>(model_.pieces.size()); }
  [[nodiscard]] bool contains_special_token(std::string_view) const override { return false; }

  [[nodiscard]] std::unique_ptr<Trunk> encode_trunk(std::string text) const override {
    return std::make_unique<SentencePieceTrunk>(encoder_, std::move(text));
  }

  [[nodiscard]] const std::string& file_name() const override { return file_name_; }
  [[nodiscard]] const std::string& file_sha256() const override { return sha256_; }

  // Throws Error if the model has no BOS.
  void use_bos() {
    const std::optional<TokenId> id = model_.find(model_.bos_piece);
    if (!id || model_.pieces[*id].type != SentencePieceModel::PieceType::kControl) {
      throw Error(std::string(kConfigFileName) + ": add_bos_token is true, but " + kFileName +
                  " has no control piece \"" + model_.bos_piece + "\"");
    }
    bos_id_ = id;
  }

 private:
  SentencePieceEncoder encoder_;
  SentencePieceDecoder decoder_;
  SentencePieceModel model_;
  std::string file_name_ = kFileName;
  std::string sha256_;
  std::optional<TokenId> bos_id_;
};

TokenId SentencePieceTokenizer::label_id(std::string_view label) const {
  std::string piece;
  for (const char c : label) c == ' ' ? piece += kSpaceMark : piece += c;
  const std::optional<TokenId> id = model_.find(piece);
  const auto type = id ? model_.pieces[*id].type : SentencePieceModel::PieceType::kUnused;
  using PieceType = SentencePieceModel::PieceType;
  if (type == PieceType::kNormal || type == PieceType::kUserDefined) return *id;

  const std::string place =
      std::string(kFileName) + ": label \"" + std::string(label) + "\": expected one piece \"" + piece + "\", ";
  if (id) throw Error(place + "got a reserved piece (type " + std::to_string(static_cast<int>(type)) + ")");
  const SourcedIds encoded = encoder_.encode(label);
  std::string found;
  for (const TokenId part : encoded.ids) found += " \"" + model_.pieces[part].text + "\"";
  throw Error(place + "got none; as a text it is " + std::to_string(encoded.ids.size()) + " tokens:" + found);
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw Error(path.string() + ": expected a file, found none");
  const uintmax_t num_bytes = std::filesystem::file_size(path, error);
  if (error) throw Error(path.string() + ": " + error.message());
  if (num_bytes > kMaxFileBytes) {
    throw Error(path.string() + ": expected at most 256 MiB, got " + std::to_string(num_bytes) + " bytes");
  }
  std::string bytes(num_bytes, '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(num_bytes)))
    throw Error(path.string() + ": cannot be read");
  return bytes;
}

bool wants_bos(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kConfigFileName;
  if (!std::filesystem::exists(path)) return false;
  const auto config = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw Error(path.string() + ": expected a JSON object");
  const auto field = config.find("add_bos_token");
  if (field == config.end() || field->is_null()) return false;
  if (!field->is_boolean()) throw Error(path.string() + ": add_bos_token: expected a boolean, got " + field->dump());
  return field->get<bool>();
}

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& folder, const TokenizerOptions&) {
  const std::filesystem::path path = folder / kFileName;
  const std::string bytes = read_file(path);
  auto tokenizer =
      std::make_unique<SentencePieceTokenizer>(parse_sentencepiece_model(bytes, path.string()), sha256_hex(bytes));
  if (wants_bos(folder)) tokenizer->use_bos();
  return tokenizer;
}

}  // namespace prm_score
