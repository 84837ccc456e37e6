#include "prm_score/model/safetensors_writer.h"

#include "checkpoint_builder.h"
#include <gtest/gtest.h>

#include "prm_score/model/mapped_file.h"
#include "prm_score/model/safetensors.h"

namespace prm_score {
namespace {

const std::vector<TensorEntry> kEntries = {{"z.int8", "U8", {64}, 64}, {"a", "F32", {2, 1}, 8}, {"b", "BF16", {}, 2}};

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(SafetensorsWriter, LaysTensorsDownInOrderAtMultiplesOf64) {
  const TempFolder folder;
  for (const size_t length : {0, 1, 63, 64}) {  // whatever the length of the header
    auto entries = kEntries;
    entries[0].name = std::string(length, 'n');
    SafetensorsWriter writer(folder / "m", entries);
    writer.write(as_bytes(std::string(60, 'z')));  // in parts
    writer.write(as_bytes("zzzzaaaabbbb"));
    writer.write(as_bytes("cc"));
    writer.finish();
    const MappedFile file(folder / "m");
    const StoredTensors tensors = parse_safetensors(file.bytes(), "m");
    ASSERT_EQ(tensors.size(), 3u);
    const StoredTensor &first = tensors.at(entries[0].name), &second = tensors.at("a");
    EXPECT_EQ((first.bytes.data() - file.bytes().data()) % 64, 0) << length;
    EXPECT_EQ(second.bytes.data(), first.bytes.data() + 64);
    EXPECT_EQ(second.dtype, "F32");
    EXPECT_EQ(second.shape, (std::vector<int64_t>{2, 1}));
    EXPECT_EQ(file.text().substr(file.text().size() - 10), "aaaabbbbcc");
  }
}

TEST(SafetensorsWriter, CountsWhatIsWritten) {
  const TempFolder folder;
  SafetensorsWriter writer(folder / "m", kEntries);
  writer.write(as_bytes(std::string(70, 'z')));
  const std::string name = (folder / "m").string();
  EXPECT_EQ(error_of([&] { writer.finish(); }), name + ": expected the bytes that its header says, got 4 fewer");
  writer.write(as_bytes("zzzzz"));
  EXPECT_EQ(error_of([&] { writer.finish(); }), name + ": expected the bytes that its header says, got 1 more");
}

TEST(SafetensorsWriter, NamesAFileThatCannotBeWritten) {
  const TempFolder folder;
  const std::string name = (folder / "nowhere/m").string();
  EXPECT_EQ(error_of([&] { SafetensorsWriter(name, kEntries); }),
            name + ": cannot be written: No such file or directory");
  EXPECT_EQ(error_of([&] { SafetensorsWriter("/dev/full", kEntries); }),
            "/dev/full: cannot be written: No space left on device");
}

}  // namespace
}  // namespace prm_score
