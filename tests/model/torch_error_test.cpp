#include "prm_score/model/torch_error.h"

#include <stdexcept>

#include "checkpoint_builder.h"
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

namespace prm_score {
namespace {

std::string message_of(const std::function<void()>& body) {
  return error_of([&] { with_torch_errors("place", body); });
}

TEST(WithTorchErrors, ReturnsWhatTheBodyReturns) {
  EXPECT_EQ(with_torch_errors("place", [] { return 7; }), 7);
}

TEST(WithTorchErrors, BrokenInvariantBecomesOneLine) {
  EXPECT_EQ(message_of([] { TORCH_CHECK(false, "sizes differ"); }), "place: sizes differ");
}

TEST(WithTorchErrors, OutOfMemoryBecomesAnError) {
  const std::string message = message_of([] { (void)at::empty({int64_t{1} << 50}, at::kByte); });
  EXPECT_EQ(message.substr(0, 7), "place: ");
  EXPECT_NE(message.find("memory"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

TEST(WithTorchErrors, MemoryThatRanOutIsToldApart) {
  EXPECT_THROW(with_torch_errors("place", [] { (void)at::empty({int64_t{1} << 50}, at::kByte); }), OutOfMemory);
  EXPECT_THROW(with_torch_errors("place", [] { throw std::bad_alloc(); }), OutOfMemory);
  for (const char* words : {"CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`"}) {
    EXPECT_THROW(with_torch_errors("place", [&] { TORCH_CHECK(false, words); }), OutOfMemory) << words;
  }
  try {
    with_torch_errors("place", [] { TORCH_CHECK(false, "CUDA error: an illegal memory access"); });
  } catch (const Error& error) {
    EXPECT_EQ(dynamic_cast<const OutOfMemory*>(&error), nullptr);
  }
}

TEST(WithTorchErrors, OurOwnErrorPassesUnchanged) {
  EXPECT_EQ(message_of([] { throw Error("config.json: hidden_size: missing field"); }),
            "config.json: hidden_size: missing field");
}

TEST(WithTorchErrors, OtherExceptionsAreTranslatedToo) {
  EXPECT_EQ(message_of([] { throw std::runtime_error("one\ntwo"); }), "place: one");
}

}  // namespace
}  // namespace prm_score
