#include "prm_score/score/line_dispatcher.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

// Of one chunk whose prompt has `num_rows` rows.
LineUnderWay line_of(int64_t number, int64_t num_rows = 100) {
  LineUnderWay line;
  line.origin.line = number;
  line.result.num_chunks = 1;
  line.chunks = {{.begin = 0, .end = 1}};
  line.plan.trunks.push_back({.ids = {}, .branches = {{.chunk = 0, .ids = std::vector<TokenId>(num_rows)}}});
  return line;
}

class LineDispatcherTest : public testing::Test {
 protected:
  void push(LineDispatcher& dispatcher, int64_t num_lines, int64_t num_rows = 100) {
    for (int64_t i = 0; i < num_lines; ++i) ASSERT_TRUE(dispatcher.push(line_of(++num_pushed_, num_rows)));
  }
  static void answer(LineDispatcher& dispatcher, int64_t ticket) {
    dispatcher.answer({{.ticket = ticket, .log_odds = {static_cast<float>(ticket)}}});
  }
  // Lines that are done, in order.
  static std::vector<int64_t> given(LineDispatcher& dispatcher) {
    std::vector<int64_t> lines;
    dispatcher.give([&](const LineUnderWay& line) { return lines.push_back(line.origin.line), true; },
                    [](const std::string&) {});
    return lines;
  }
  // Tickets of all that `replica` may take now.
  static std::vector<int64_t> taken(LineDispatcher& dispatcher, int replica) {
    std::vector<int64_t> tickets;
    while (auto order = dispatcher.next(replica)) tickets.push_back(order->ticket);
    return tickets;
  }
  static std::exception_ptr failure(const char* message) {
    return std::make_exception_ptr(std::runtime_error(message));
  }

  int64_t num_pushed_ = 0;
};

using Tickets = std::vector<int64_t>;

TEST_F(LineDispatcherTest, GivesInOrderWhateverTheOrderOfAnswers) {
  LineDispatcher dispatcher({"a", "b"}, 512, LastChunk::kScore);
  push(dispatcher, 3);
  EXPECT_EQ(dispatcher.next(0)->ticket, 0);
  EXPECT_EQ(dispatcher.next(1)->ticket, 1);
  EXPECT_EQ(dispatcher.next(1)->ticket, 2);
  dispatcher.close();
  answer(dispatcher, 2);
  answer(dispatcher, 0);
  answer(dispatcher, 1);
  EXPECT_EQ(given(dispatcher), (Tickets{1, 2, 3}));
}

TEST_F(LineDispatcherTest, AtTheEndOfTheInputNobodyTakesMoreThanAFairPart) {
  LineDispatcher dispatcher({"a", "b"}, 1000, LastChunk::kScore);
  push(dispatcher, 12);
  dispatcher.close();
  EXPECT_EQ(taken(dispatcher, 0), (Tickets{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(taken(dispatcher, 1), (Tickets{6, 7, 8}));
  for (const int64_t ticket : {0, 1, 2, 3, 4, 5}) answer(dispatcher, ticket);
  EXPECT_EQ(taken(dispatcher, 0), (Tickets{9, 10}));
}

TEST_F(LineDispatcherTest, AsLongAsMoreMayComeAReplicaTakesAllItWants) {
  LineDispatcher dispatcher({"a", "b"}, 1000, LastChunk::kScore);
  push(dispatcher, 12);
  EXPECT_EQ(taken(dispatcher, 0).size(), 12u);
}

TEST_F(LineDispatcherTest, KeepsABoundedWeightReady) {
  LineDispatcher dispatcher({"a"}, 500, LastChunk::kScore);
  push(dispatcher, 1, /*num_rows=*/100000);  // whatever it weighs, one is let in
  std::atomic<int> num_pushed = 0;
  std::thread reader([&] {
    for (int i = 2; i <= 30; ++i) {
      if (!dispatcher.push(line_of(i))) return;
      ++num_pushed;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(num_pushed, 0);
  EXPECT_EQ(dispatcher.next(0)->ticket, 0);
  while (num_pushed < 9) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(num_pushed, 9);  // of 101 each, in 1000
  dispatcher.cancel();
  reader.join();
  EXPECT_FALSE(dispatcher.push(line_of(31)));
}

TEST_F(LineDispatcherTest, SuspectsAreTakenOneByOneAndByAnotherReplica) {
  LineDispatcher dispatcher({"a", "b"}, 512, LastChunk::kScore);
  push(dispatcher, 5);
  EXPECT_EQ(dispatcher.next(0)->ticket, 0);
  EXPECT_EQ(dispatcher.next(0)->ticket, 1);
  EXPECT_EQ(dispatcher.next(1)->ticket, 2);
  ASSERT_TRUE(dispatcher.fail(0, failure("broken")));
  EXPECT_FALSE(dispatcher.has_work(0));
  EXPECT_FALSE(dispatcher.next(1));  // first it does what it has
  answer(dispatcher, 2);
  const auto suspect = dispatcher.next(1);
  EXPECT_EQ(suspect->ticket, 0);
  EXPECT_EQ(suspect->plan.num_rows(), 100);
  EXPECT_FALSE(dispatcher.next(1));          // alone
  EXPECT_EQ(dispatcher.next(0)->ticket, 3);  // not its own
  answer(dispatcher, 0);
  EXPECT_EQ(dispatcher.next(1)->ticket, 1);
  ASSERT_TRUE(dispatcher.fail(1, failure("broken, too")));
  answer(dispatcher, 3);
  EXPECT_EQ(dispatcher.next(1)->ticket, 4);
  answer(dispatcher, 4);
  dispatcher.close();
  std::vector<std::string> errors, warnings;
  dispatcher.give([&](const LineUnderWay& line) { return errors.push_back(line.result.error), true; },
                  [&](const std::string& warning) { warnings.push_back(warning); });
  EXPECT_EQ(errors, (std::vector<std::string>{"", "model: a: broken; b: broken, too", "", "", ""}));
  EXPECT_EQ(warnings, (std::vector<std::string>{"a: broken", "b: broken, too"}));
}

TEST_F(LineDispatcherTest, ASingleReplicasFailureEndsTheRun) {
  LineDispatcher dispatcher({"a"}, 512, LastChunk::kScore);
  push(dispatcher, 1);
  EXPECT_TRUE(dispatcher.next(0));
  ASSERT_FALSE(dispatcher.fail(0, failure("broken")));
  dispatcher.leave(0, failure("broken"));
  EXPECT_THROW(given(dispatcher), std::runtime_error);
}

TEST_F(LineDispatcherTest, WhoLeavesWithWorkBecauseOfAFailureEndsTheRun) {
  LineDispatcher dispatcher({"a", "b"}, 512, LastChunk::kScore);
  push(dispatcher, 2);
  EXPECT_TRUE(dispatcher.next(0));
  dispatcher.leave(0, failure("a bug"));
  EXPECT_THROW(given(dispatcher), std::runtime_error);
}

TEST_F(LineDispatcherTest, CancelEndsEveryWait) {
  LineDispatcher dispatcher({"a", "b"}, 512, LastChunk::kScore);
  std::thread replica([&] { EXPECT_FALSE(dispatcher.next(0)); });
  std::thread run([&] { EXPECT_EQ(given(dispatcher), Tickets{}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  dispatcher.cancel();
  replica.join();
  run.join();
}

TEST_F(LineDispatcherTest, LinesThatAreDoneWhenTheyComeAreNobodysWork) {
  LineDispatcher dispatcher({"a"}, 512, LastChunk::kScore);
  LineUnderWay bad;
  bad.origin.line = 1;
  bad.fail("bad");
  ASSERT_TRUE(dispatcher.push(bad));
  dispatcher.close();
  EXPECT_FALSE(dispatcher.next(0));
  EXPECT_EQ(given(dispatcher), Tickets{1});
}

}  // namespace
}  // namespace prm_score
