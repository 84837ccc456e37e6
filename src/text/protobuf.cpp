#include "prm_score/text/protobuf.h"

#include <bit>

#include "prm_score/error.h"

namespace prm_score {
namespace {

constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
constexpr int kMaxVarintBytes = 10;

void append_varint(uint64_t value, std::string& message) {
  while (value >= 0x80) {
    message += static_cast<char>(0x80 | (value & 0x7F));
    value >>= 7;
  }
  message += static_cast<char>(value);
}

void append_tag(uint64_t number, int wire_type, std::string& message) {
  append_varint(number << 3 | wire_type, message);
}

}  // namespace

std::optional<ProtobufField> ProtobufReader::next() {
  if (rest_.empty()) return std::nullopt;
  const uint64_t tag = take_varint();
  ProtobufField field{.number = tag >> 3, .wire_type = static_cast<int>(tag & 7), .value = 0, .bytes = {}};
  if (field.number == 0) throw Error(std::string(name_) + ": not a protobuf message: field number 0");
  switch (field.wire_type) {
    case kVarint:
      field.value = take_varint();
      break;
    case kFixed64:
      field.value = take_fixed(8);
      break;
    case kBytes:
      field.bytes = take(take_varint());
      break;
    case kFixed32:
      field.value = take_fixed(4);
      break;
    default:
      throw Error(std::string(name_) + ": not a protobuf message: expected wire type 0, 1, 2 or 5, got " +
                  std::to_string(field.wire_type));
  }
  return field;
}

std::string_view ProtobufReader::as_bytes(const ProtobufField& field) const {
  expect_type(field, kBytes);
  return field.bytes;
}

uint64_t ProtobufReader::as_varint(const ProtobufField& field) const {
  expect_type(field, kVarint);
  return field.value;
}

float ProtobufReader::as_float(const ProtobufField& field) const {
  expect_type(field, kFixed32);
  return std::bit_cast<float>(static_cast<uint32_t>(field.value));
}

uint64_t ProtobufReader::take_varint() {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const auto byte = static_cast<uint8_t>(take(1)[0]);
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  throw Error(std::string(name_) + ": not a protobuf message: a number of more than " +
              std::to_string(kMaxVarintBytes) + " bytes");
}

uint64_t ProtobufReader::take_fixed(size_t num_bytes) {
  const std::string_view bytes = take(num_bytes);
  uint64_t value = 0;
  for (size_t i = 0; i < num_bytes; ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

std::string_view ProtobufReader::take(uint64_t num_bytes) {
  if (num_bytes > rest_.size()) {
    throw Error(std::string(name_) + ": cut short or not a protobuf message: expected " + std::to_string(num_bytes) +
                " more bytes, got " + std::to_string(rest_.size()));
  }
  const std::string_view taken = rest_.substr(0, num_bytes);
  rest_.remove_prefix(num_bytes);
  return taken;
}

void ProtobufReader::expect_type(const ProtobufField& field, int wire_type) const {
  if (field.wire_type == wire_type) return;
  throw Error(std::string(name_) + ": field " + std::to_string(field.number) + ": expected wire type " +
              std::to_string(wire_type) + ", got " + std::to_string(field.wire_type));
}

void append_protobuf_bytes(uint64_t number, std::string_view bytes, std::string& message) {
  append_tag(number, kBytes, message);
  append_varint(bytes.size(), message);
  message += bytes;
}

void append_protobuf_varint(uint64_t number, uint64_t value, std::string& message) {
  append_tag(number, kVarint, message);
  append_varint(value, message);
}

void append_protobuf_float(uint64_t number, float value, std::string& message) {
  append_tag(number, kFixed32, message);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int i = 0; i < 4; ++i) message += static_cast<char>(bits >> (8 * i) & 0xFF);
}

}  // namespace prm_score
