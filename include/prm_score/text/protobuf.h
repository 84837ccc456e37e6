// protobuf.h - the wire format of protocol buffers, as far as a sentencepiece model needs it.
//
//   message  field field ..
//   field    varint(number << 3 | wire type), then   type 0: varint   1: 8 bytes   2: varint length, bytes   5: 4 bytes
//
// Source: protobuf.dev, "Encoding". Groups (types 3 and 4) are not supported.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prm_score {

struct ProtobufField {
  uint64_t number = 0;
  int wire_type = 0;
  uint64_t value = 0;      // types 0, 1 and 5: the bits
  std::string_view bytes;  // type 2
};

// Reads the fields of one message. `message` and `name` must outlive it.
class ProtobufReader {
 public:
  // `name`: file and place of the message, starts every error.
  ProtobufReader(std::string_view message, std::string_view name) : rest_(message), name_(name) {}

  // The next field, or nothing at the end. Throws Error if the message is cut short or not of this format.
  [[nodiscard]] std::optional<ProtobufField> next();

  // The field's value, of the type that the schema says. Throw Error if it was written as another one.
  [[nodiscard]] std::string_view as_bytes(const ProtobufField& field) const;
  [[nodiscard]] uint64_t as_varint(const ProtobufField& field) const;
  [[nodiscard]] float as_float(const ProtobufField& field) const;

 private:
  [[nodiscard]] uint64_t take_varint();
  [[nodiscard]] uint64_t take_fixed(size_t num_bytes);
  [[nodiscard]] std::string_view take(uint64_t num_bytes);
  void expect_type(const ProtobufField& field, int wire_type) const;

  std::string_view rest_;
  std::string_view name_;
};

// Append one field.
void append_protobuf_bytes(uint64_t number, std::string_view bytes, std::string& message);
void append_protobuf_varint(uint64_t number, uint64_t value, std::string& message);
void append_protobuf_float(uint64_t number, float value, std::string& message);

}  // namespace prm_score
