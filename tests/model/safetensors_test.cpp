#include "prm_score/model/safetensors.h"

#include <array>
#include <random>

#include "checkpoint_builder.h"
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace prm_score {
namespace {

std::span<const std::byte> as_bytes(const std::string& file) { return std::as_bytes(std::span(file)); }

std::string parse_error(const std::string& file) {
  return error_of([&] { (void)parse_safetensors(as_bytes(file), "m"); });
}

std::string header_error(const std::string& header, size_t data_size) {
  return parse_error(safetensors_file(header, std::string(data_size, 'x')));
}

TEST(ParseSafetensors, FindsEachTensorInPlace) {
  const std::string file = safetensors_file({{"a", "F32", {2, 1}, "aaaabbbb"}, {"b", "BF16", {}, "cc"}});
  const StoredTensors tensors = parse_safetensors(as_bytes(file), "m");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("a").shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(tensors.at("a").dtype, "F32");
  EXPECT_EQ(tensors.at("a").bytes.data(), as_bytes(file).last(10).data());
  EXPECT_EQ(tensors.at("b").bytes.size(), 2u);
  EXPECT_EQ(tensors.at("b").file, "m");
}

TEST(ParseSafetensors, AcceptsNoTensorsEmptyTensorsAndPaddedHeaders) {
  EXPECT_EQ(header_error("{}", 0), "");
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}}   )", 0), "");
}

TEST(ParseSafetensors, AcceptsDtypesThatItDoesNotKnow) {
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2), "");
}

TEST(ParseSafetensors, RejectsFilesCutShort) {
  const std::string file = safetensors_file({{"a", "F32", {2}, "aaaabbbb"}});
  for (size_t size = 0; size < file.size(); ++size) EXPECT_NE(parse_error(file.substr(0, size)), "") << size;
  EXPECT_EQ(parse_error("1234567"), "m: expected at least 8 bytes, got 7");
  const std::string hint = " (cut short, an interrupted download?)";
  EXPECT_EQ(file.size(), 101u);
  EXPECT_EQ(parse_error(file.substr(0, 20)),
            "m: ends early: expected 93 bytes by its header's length, found 20" + hint);
  EXPECT_EQ(parse_error(file.substr(0, 93)), "m: ends early: expected 101 bytes by its header, found 93" + hint);
  EXPECT_EQ(parse_error(file.substr(0, 100)), "m: ends early: expected 101 bytes by its header, found 100" + hint);
}

TEST(ParseSafetensors, RejectsTrailingBytes) {
  EXPECT_EQ(parse_error(safetensors_file({{"a", "F32", {1}, "aaaa"}}) + "x"),
            "m: expected 4 bytes of tensor data, got 5");
}

TEST(ParseSafetensors, RejectsHeaderLengthsThatOverflow) {
  EXPECT_EQ(parse_error(std::string(8, '\xff') + "{}"),
            "m: header length: expected at most 100000000 bytes, got 18446744073709551615");
}

TEST(ParseSafetensors, RejectsHeadersThatAreNoJsonObject) {
  EXPECT_EQ(header_error("[]", 0), "m: header: expected a JSON object, got []");
  EXPECT_NE(header_error("{", 0).find("m: header: expected JSON: "), std::string::npos);
  EXPECT_NE(header_error("{} {}", 0), "");
  EXPECT_NE(header_error("", 0), "");
  EXPECT_NE(header_error("{\"\xff\":1}", 0), "");
  EXPECT_EQ(header_error(R"({"a":1,"a":1})", 0), R"(m: header: expected each key once, got "a" twice)");
  EXPECT_EQ(header_error(std::string(100000, '['), 0), "m: header: expected at most 32 levels of JSON, found more");
}

TEST(ParseSafetensors, RejectsEntriesOfTheWrongType) {
  const auto error = [](const char* entry) { return header_error(std::string(R"({"a":)") + entry + "}", 4); };
  EXPECT_EQ(error("1"), "m: a: expected an object, got 1");
  EXPECT_EQ(error(R"({"shape":[1],"data_offsets":[0,4]})"), "m: a: dtype: missing field");
  EXPECT_EQ(error(R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})"), "m: a: dtype: expected a string, got 7");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"),
            "m: a: shape: expected a list of integers, got 1");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"),
            "m: a: shape: expected an integer from 0 to 9223372036854775807, got -1");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"),
            "m: a: shape: expected an integer from 0 to 9223372036854775807, got 1.0");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"),
            "m: a: shape: expected an integer from 0 to 9223372036854775807, got 18446744073709551615");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":[1],"data_offsets":[0,2,4]})"),
            "m: a: data_offsets: expected [begin, end], got [0,2,4]");
  EXPECT_EQ(error(R"({"dtype":"F32","shape":[1],"data_offsets":[0,"4"]})"),
            "m: a: data_offsets: expected an integer from 0 to 4611686018427387904, got \"4\"");
}

TEST(ParseSafetensors, RejectsOffsetsOutsideTheFileAndBackwards) {
  const auto error = [](const char* offsets) {
    return header_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + std::string(offsets) + "}}", 4);
  };
  const std::string most = "4611686018427387904";
  EXPECT_EQ(error("[0,5]"), "m: a: data_offsets: expected 4 bytes (F32 [1]), got 5");
  EXPECT_EQ(error("[4,8]"), "m: a: data_offsets: expected to begin at 0, where the header ends, got 4");
  EXPECT_EQ(error("[-1,3]"), "m: a: data_offsets: expected an integer from 0 to " + most + ", got -1");
  EXPECT_EQ(error("[4,0]"), "m: a: data_offsets: expected an integer from 4 to " + most + ", got 0");
  EXPECT_EQ(error("[9223372036854775804,9223372036854775807]"),
            "m: a: data_offsets: expected an integer from 0 to " + most + ", got 9223372036854775804");
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,4611686018427387904]}})", 4),
            "m: ends early: expected 4611686018427387983 bytes by its header, found 83 (cut short, an interrupted "
            "download?)");
}

TEST(ParseSafetensors, RejectsSizesThatAreNotThoseOfTheShape) {
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F16","shape":[3],"data_offsets":[0,4]}})", 4),
            "m: a: data_offsets: expected 6 bytes (F16 [3]), got 4");
  // 2^31 * 2^31 * 4 bytes = 2^64, which is 0 if nobody looks.
  EXPECT_EQ(header_error(R"({"a":{"dtype":"F32","shape":[2147483648,2147483648],"data_offsets":[0,0]}})", 0),
            "m: a: shape: expected a size under 2^63, got more");
}

TEST(ParseSafetensors, RejectsOverlapsAndHoles) {
  const auto error = [](const char* second, size_t data_size) {
    return header_error(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":)" +
            std::string(second) + "}}",
        data_size);
  };
  EXPECT_EQ(error("[4,8]", 8), "");
  EXPECT_EQ(error("[3,7]", 8), "m: b: data_offsets: expected to begin at 4, where a ends, got 3");
  EXPECT_EQ(error("[0,4]", 8), "m: b: data_offsets: expected to begin at 4, where a ends, got 0");
  EXPECT_EQ(error("[5,9]", 9), "m: b: data_offsets: expected to begin at 4, where a ends, got 5");
}

// Any damage gives an Error or a file whose tensors lie inside it; run under sanitizers by scripts/check.sh.
TEST(ParseSafetensors, SurvivesRandomDamage) {
  const std::string file =
      safetensors_file({{"a", "F32", {2, 3}, std::string(24, 'a')}, {"b", "BF16", {4}, "12345678"}});
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = file;
    for (uint32_t n = random() % 3 + 1; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
    if (random() % 4 == 0) damaged.resize(random() % damaged.size());
    (void)error_of([&] {
      for (const auto& [name, tensor] : parse_safetensors(as_bytes(damaged), "m")) {
        ASSERT_GE(tensor.bytes.data(), as_bytes(damaged).data());
        ASSERT_LE(tensor.bytes.data() + tensor.bytes.size(), as_bytes(damaged).data() + damaged.size());
      }
    });
  }
}

std::string index_of(const std::string& weight_map) { return R"({"metadata":{},"weight_map":)" + weight_map + "}"; }

class SafetensorsReaderTest : public ::testing::Test {
 protected:
  std::string open_error() const {
    return error_of([&] { SafetensorsReader{folder_.path()}; });
  }
  std::string index_error(const std::string& weight_map) const {
    folder_.write("model.safetensors.index.json", index_of(weight_map));
    return open_error();
  }

  TempFolder folder_;
};

TEST_F(SafetensorsReaderTest, ReadsOneFile) {
  folder_.write("model.safetensors", safetensors_file({{"a", "F32", {2}, "aaaabbbb"}}));
  const SafetensorsReader reader(folder_.path());
  EXPECT_TRUE(reader.contains("a"));
  EXPECT_FALSE(reader.contains("b"));
  EXPECT_EQ(reader.weight("a", std::array<int64_t, 1>{2}).bytes.size(), 8u);
}

TEST_F(SafetensorsReaderTest, ReadsShardsThroughSymlinks) {
  folder_.write("blob1", safetensors_file({{"a", "F16", {1}, "aa"}}));
  folder_.write("2.safetensors", safetensors_file({{"b", "F16", {1}, "bb"}, {"c", "I64", {0}, ""}}));
  std::filesystem::create_symlink("blob1", folder_ / "1.safetensors");
  ASSERT_EQ(index_error(R"({"a":"1.safetensors","b":"2.safetensors"})"), "");
  const SafetensorsReader reader(folder_.path());
  EXPECT_EQ(reader.tensors().size(), 3u);
  EXPECT_EQ(reader.tensors().at("a").file, "1.safetensors");
}

TEST_F(SafetensorsReaderTest, NamesWhatIsMissing) {
  EXPECT_EQ(open_error(),
            folder_.path().string() + ": expected model.safetensors or model.safetensors.index.json, found neither");
  EXPECT_EQ(index_error(R"({"a":"1.safetensors"})"),
            (folder_ / "1.safetensors").string() + ": cannot open: No such file or directory");
  folder_.write("1.safetensors", safetensors_file({{"a", "F16", {1}, "aa"}}));
  folder_.write("2.safetensors", safetensors_file({{"c", "F16", {1}, "aa"}}));
  const std::string place = (folder_ / "model.safetensors.index.json").string() + ": weight_map: ";
  EXPECT_EQ(index_error(R"({"a":"1.safetensors","b":"2.safetensors"})"),
            place + "b: expected the tensor in 2.safetensors, found nowhere");
  EXPECT_EQ(index_error(R"({"a":"2.safetensors","c":"1.safetensors"})"),
            place + "a: expected the tensor in 2.safetensors, found in 1.safetensors");
}

TEST_F(SafetensorsReaderTest, RejectsNamesThatLeaveTheFolder) {
  for (const char* name : {R"("../1.safetensors")", R"("/etc/passwd")", R"("x/1.safetensors")", R"("..")", R"(".")",
                           R"("")", R"("a\u0000b")", "7", "null"}) {
    EXPECT_NE(index_error(R"({"a":)" + std::string(name) + "}").find("expected the plain name of a file"),
              std::string::npos)
        << name;
  }
}

TEST_F(SafetensorsReaderTest, RejectsATensorInTwoShards) {
  folder_.write("1.safetensors", safetensors_file({{"a", "F16", {1}, "aa"}}));
  folder_.write("2.safetensors", safetensors_file({{"a", "F16", {1}, "aa"}, {"b", "F16", {1}, "aa"}}));
  EXPECT_EQ(index_error(R"({"a":"1.safetensors","b":"2.safetensors"})"),
            (folder_ / "2.safetensors").string() + ": a: expected in one file only, also found in 1.safetensors");
}

TEST_F(SafetensorsReaderTest, RejectsMalformedIndexes) {
  const std::string index = (folder_ / "model.safetensors.index.json").string();
  EXPECT_EQ(index_error("[]"), index + ": weight_map: expected an object, got []");
  folder_.write("model.safetensors.index.json", "{}");
  EXPECT_EQ(open_error(), index + ": weight_map: missing field");
  folder_.write("model.safetensors.index.json", "[");
  EXPECT_TRUE(open_error().starts_with(index + ": expected JSON: ")) << open_error();
}

TEST_F(SafetensorsReaderTest, NamesTheFolderOfAFileCutShort) {
  const std::string whole = safetensors_file({{"a", "F32", {2}, "aaaabbbb"}});
  folder_.write("model.safetensors", whole.substr(0, 90));
  EXPECT_TRUE(open_error().starts_with((folder_ / "model.safetensors").string() + ": ends early: expected "));
}

TEST_F(SafetensorsReaderTest, RefusesDevicesAndFifos) {
  std::filesystem::create_symlink("/dev/zero", folder_ / "model.safetensors");
  EXPECT_EQ(open_error(), (folder_ / "model.safetensors").string() + ": expected a regular file, found a device");
  std::filesystem::remove(folder_ / "model.safetensors");
  ASSERT_EQ(::mkfifo((folder_ / "model.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(open_error(), (folder_ / "model.safetensors").string() + ": expected a regular file, found a FIFO");
}

TEST_F(SafetensorsReaderTest, WeightSaysWhatIsWrong) {
  folder_.write("model.safetensors",
                safetensors_file({{"lm_head.weight", "F16", {3, 1}, "123456"}, {"ids", "I64", {1}, "12345678"}}));
  const SafetensorsReader reader(folder_.path());
  const auto error = [&](const char* name, std::vector<int64_t> shape) {
    return error_of([&] { (void)reader.weight(name, shape); });
  };
  const std::string file = (folder_ / "model.safetensors").string();
  EXPECT_EQ(error("lm_head.weight", {4, 1}), file + ": lm_head.weight: expected [4, 1], got [3, 1]");
  EXPECT_EQ(error("lm_head.weight", {3}), file + ": lm_head.weight: expected [3], got [3, 1]");
  EXPECT_EQ(error("ids", {1}), file + ": ids: dtype: expected F32, F16 or BF16, got I64");
  EXPECT_EQ(error("norm", {4}), file + ": norm: expected a tensor [4], found none of that name");
}

}  // namespace
}  // namespace prm_score
