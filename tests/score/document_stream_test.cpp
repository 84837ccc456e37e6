#include "prm_score/score/document_stream.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <new>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../text/byte_tokenizer.h"
#include <gtest/gtest.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

// A judge without a model: what it says of a prompt follows from its ids. As many rows a step as it is told.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(int64_t rows_of_a_step) : rows_of_a_step_(rows_of_a_step) {}

  void add(int64_t ticket, ScorePlan plan, int64_t num_chunks) override {
    num_rows_waiting_ += plan.num_rows();
    work_.push_back({.plan = std::move(plan), .judged = JudgedPlan::unanswered(ticket, num_chunks)});
  }
  [[nodiscard]] int64_t num_rows_waiting() const override { return num_rows_waiting_; }
  [[nodiscard]] std::vector<JudgedPlan> run_step() override {
    if (before_step) before_step();
    ++num_steps;
    if (fails_at && std::ranges::any_of(work_, [this](const Work& work) { return fails_at(work.judged.ticket); })) {
      clear();
      throw Error("out of order");
    }
    std::vector<JudgedPlan> judged;
    for (int64_t num_rows = 0; !work_.empty() && num_rows < rows_of_a_step_;) {
      Work& work = work_.front();
      for (const TrunkPlan& trunk : work.plan.trunks) {
        for (const Branch& branch : trunk.branches) {
          work.judged.log_odds[branch.chunk] = log_odds_of(prompt_of(trunk, branch));
        }
      }
      num_rows += work.plan.num_rows();
      num_rows_waiting_ -= work.plan.num_rows();
      judged.push_back(std::move(work.judged));
      work_.pop_front();
    }
    return judged;
  }
  void clear() override {
    work_.clear();
    num_rows_waiting_ = 0;
  }

  [[nodiscard]] static float log_odds_of(const std::vector<TokenId>& ids) {
    uint32_t hash = 17;
    for (const TokenId id : ids) hash = hash * 31 + static_cast<uint32_t>(id);
    if (ids.size() > 2 && ids.front() == '!') return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(hash % 1000) / 100;
  }

  std::function<void()> before_step;
  std::function<bool(int64_t ticket)> fails_at;  // a step with this document
  int64_t num_steps = 0;

 private:
  struct Work {
    ScorePlan plan;
    JudgedPlan judged;
  };

  int64_t rows_of_a_step_;
  int64_t num_rows_waiting_ = 0;
  std::deque<Work> work_;
};

InputLine line_of(int64_t number) {
  RowOrigin origin;
  origin.line = origin.num_lines = number;
  if (number % 7 == 0) return LineError{std::move(origin), "bad"};
  Document document;
  document.origin = std::move(origin);
  document.text = std::string(static_cast<size_t>(number * 37 % 301), 'a');  // some of them empty: bad
  return document;
}

// Lines 1 to `num_lines`; before each what `before` does with its number.
class Lines final : public LineSource {
 public:
  explicit Lines(int64_t num_lines, std::function<void(int64_t)> before = nullptr)
      : num_lines_(num_lines), before_(std::move(before)) {}

  std::optional<InputLine> next() override {
    if (number_ == num_lines_) return std::nullopt;
    if (before_) before_(number_ + 1);
    if (is_interrupted_) return std::nullopt;
    num_read_ = ++number_;
    return line_of(number_);
  }
  void interrupt() override {
    const std::lock_guard lock(mutex_);
    is_interrupted_ = true;
    wake_.notify_all();
  }
  // As a source does whose input pauses.
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return is_interrupted_.load(); });
  }
  [[nodiscard]] int64_t num_read() const { return num_read_; }

 private:
  const int64_t num_lines_;
  const std::function<void(int64_t)> before_;
  int64_t number_ = 0;
  std::atomic<int64_t> num_read_ = 0;
  std::atomic<bool> is_interrupted_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
};

class DocumentStream : public testing::Test {
 protected:
  struct Row {
    int64_t line;
    std::optional<double> reward;
    std::string error;
    friend bool operator==(const Row&, const Row&) = default;
  };

  void run(LineSource& source, Engine& engine, int64_t max_rows = 512) { run(source, {replica_of(engine)}, max_rows); }

  void run(LineSource& source, const std::vector<Replica>& replicas, int64_t max_rows = 512) {
    score_stream(builder_, replicas,
                 {.max_rows = max_rows,
                  .last_chunk = LastChunk::kScore,
                  .spans = false,
                  .stop = &stop_,
                  .times = &times_,
                  .warn = [this](const std::string& warning) { warnings_.push_back(warning); }},
                 source, [this](const RowOrigin& origin, const DocumentReward& reward) {
                   rows_.push_back({origin.line, reward.reward, reward.error});
                   return !take_ || take_();
                 });
  }

  [[nodiscard]] static Replica replica_of(Engine& engine, std::string name = "one") {
    return {.engine = &engine, .name = std::move(name), .begin = [] {}, .check = [] {}};
  }

  void expect_lines(int64_t num_lines) const {
    ASSERT_EQ(std::ssize(rows_), num_lines);
    for (int64_t i = 0; i < num_lines; ++i) {
      EXPECT_EQ(rows_[i].line, i + 1);
      EXPECT_EQ(rows_[i].reward.has_value(), rows_[i].error.empty());
      EXPECT_EQ(rows_[i].error == "bad", (i + 1) % 7 == 0);
    }
  }

  ByteTokenizer tokenizer_;
  PromptBuilder builder_{tokenizer_, PromptOptions{}, 4096};
  std::vector<Row> rows_;
  std::function<bool()> take_;
  std::atomic<bool> stop_ = false;
  StageTimes times_;
  std::vector<std::string> warnings_;
};

TEST_F(DocumentStream, EveryLineOnceInOrderWhateverTheSteps) {
  std::vector<Row> expected;
  for (const int64_t max_rows : {64, 512, 100000}) {
    rows_.clear();
    Lines lines(500);
    FakeEngine engine(max_rows);
    run(lines, engine, max_rows);
    expect_lines(500);
    if (expected.empty()) expected = rows_;
    EXPECT_EQ(rows_, expected);
  }
}

TEST_F(DocumentStream, EveryLineOnceInOrderWhateverTheSpeed) {
  for (int seed = 0; seed < 20; ++seed) {
    rows_.clear();
    std::mt19937 random(seed), other(seed + 100);
    const auto pause = [](std::mt19937& generator) {
      if (generator() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(generator() % 300));
    };
    Lines lines(200, [&](int64_t) { pause(random); });
    FakeEngine engine(64 << seed % 6);
    engine.before_step = [&] { pause(other); };
    run(lines, engine);
    expect_lines(200);
  }
}

TEST_F(DocumentStream, RowsDoNotWaitForALineThatDoesNotCome) {
  std::mutex mutex;
  std::condition_variable wake;
  int64_t num_taken = 0;
  Lines lines(20, [&](int64_t number) {
    if (number == 1) return;
    std::unique_lock lock(mutex);  // the next line comes once the row of the one before is there
    EXPECT_TRUE(wake.wait_for(lock, std::chrono::seconds(60), [&] { return num_taken == number - 1; }));
  });
  take_ = [&] {
    const std::lock_guard lock(mutex);
    ++num_taken;
    wake.notify_all();
    return true;
  };
  FakeEngine engine(100000);
  run(lines, engine, 100000);
  expect_lines(20);
}

TEST_F(DocumentStream, ReadsABoundedNumberAhead) {
  Lines lines(100000);
  FakeEngine engine(64);
  // Nobody takes the first row until reading rests.
  take_ = [&] {
    for (int64_t before = -1; before != lines.num_read();) {
      before = lines.num_read();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
  };
  run(lines, engine, 512);
  // About 8,000 results wait for their turn, 3 steps' worth of rows for theirs.
  EXPECT_GT(lines.num_read(), 4000);
  EXPECT_LE(lines.num_read(), 8192 + 3 * 512 / 200 + 8);
}

TEST_F(DocumentStream, EndsWhenThereIsEnough) {
  Lines lines(100000);
  FakeEngine engine(512);
  take_ = [this] { return rows_.size() < 10; };
  run(lines, engine);
  expect_lines(10);
}

TEST_F(DocumentStream, AStopEndsItWhileTheInputPauses) {
  Lines* source = nullptr;
  Lines lines(10, [&](int64_t number) {
    if (number == 5) source->wait();
  });
  source = &lines;
  FakeEngine engine(512);
  std::thread signal([&] {
    while (lines.num_read() < 4) std::this_thread::yield();
    stop_ = true;
    lines.interrupt();  // as the signal handler's pipe does
  });
  run(lines, engine);
  signal.join();
  EXPECT_LE(rows_.size(), 4u);
}

TEST_F(DocumentStream, ALineThatAStopFoundBeingTokenisedHasNoRow) {
  for (int round = 0; round < 100; ++round) {  // who is first is chance
    stop_ = false;
    rows_.clear();
    Lines lines(10, [this](int64_t number) {
      if (number != 4) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      stop_ = true;
    });
    FakeEngine engine(512);
    run(lines, engine);
    ASSERT_LT(rows_.size(), 4u);
  }
}

TEST_F(DocumentStream, AStopEndsItBetweenTwoStepsWhateverIsQueued) {
  Lines lines(100000);
  FakeEngine engine(64);
  engine.before_step = [&] { stop_ = engine.num_steps == 5; };
  run(lines, engine);
  EXPECT_EQ(engine.num_steps, 6);
  EXPECT_LT(rows_.size(), 1000u);
}

TEST_F(DocumentStream, WhatTheSourceThrowsComesAfterTheRowsBefore) {
  Lines lines(100, [](int64_t number) {
    if (number == 51) throw std::runtime_error("cable pulled");
  });
  FakeEngine engine(512);
  EXPECT_THROW(run(lines, engine), std::runtime_error);
  expect_lines(50);
}

TEST_F(DocumentStream, MemoryThatRunsOutOnTheReadingThreadEndsTheRun) {
  Lines lines(100, [](int64_t number) {
    if (number == 30) throw std::bad_alloc();
  });
  FakeEngine engine(512);
  EXPECT_THROW(run(lines, engine), std::bad_alloc);
  expect_lines(29);
}

TEST_F(DocumentStream, WhatTheEngineAndTheTakerThrowEndsTheRun) {
  for (const bool in_engine : {true, false}) {
    rows_.clear();
    Lines lines(100000);
    FakeEngine engine(512);
    const std::function<void()> fail = [n = 0]() mutable {
      if (++n == 5) throw std::runtime_error("enough");
    };
    if (in_engine) {
      engine.before_step = fail;
    } else {
      take_ = [fail] { return fail(), true; };
    }
    EXPECT_THROW(run(lines, engine), std::runtime_error);
    EXPECT_LT(rows_.size(), 100u);
    take_ = nullptr;
  }
}

TEST_F(DocumentStream, ADocumentWithoutAFiniteJudgementIsBadAlone) {
  class Odd final : public LineSource {
   public:
    std::optional<InputLine> next() override {
      if (number_ == 3) return std::nullopt;
      Document document;
      document.origin.line = ++number_;
      document.text = std::string(200, number_ == 2 ? '!' : 'a');
      return document;
    }
    void interrupt() override {}

   private:
    int64_t number_ = 0;
  } source;
  FakeEngine engine(512);
  run(source, engine);
  ASSERT_EQ(rows_.size(), 3u);
  EXPECT_TRUE(rows_[0].reward && rows_[2].reward);
  EXPECT_EQ(rows_[1].error, "log_odds: chunk 1: expected finite logits, got nan");
}

// --- Several replicas ---

class Replicas : public DocumentStream {
 protected:
  // What one replica gives.
  std::vector<Row> rows_of_one(int64_t num_lines) {
    Lines lines(num_lines);
    FakeEngine engine(512);
    run(lines, engine);
    return std::exchange(rows_, {});
  }
  // `engines`, named a, b, ..
  static std::vector<Replica> replicas_of(std::deque<FakeEngine>& engines) {
    std::vector<Replica> replicas;
    for (FakeEngine& engine : engines) {
      replicas.push_back(replica_of(engine, std::string(1, static_cast<char>('a' + replicas.size()))));
    }
    return replicas;
  }
};

TEST_F(Replicas, GiveTheRowsOfOneInOrderWhateverTheSpeed) {
  const std::vector<Row> expected = rows_of_one(300);
  const int64_t num_forward_rows = std::exchange(times_, {}).num_forward_rows;
  for (int seed = 0; seed < 20; ++seed) {
    rows_.clear();
    times_ = {};
    Lines lines(300);
    std::deque<FakeEngine> engines;
    for (int i = 0; i < 2 + seed % 4; ++i) {
      engines.emplace_back(64 << seed % 5).before_step = [random = std::mt19937(seed * 10 + i)]() mutable {
        if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
      };
    }
    run(lines, replicas_of(engines));
    ASSERT_EQ(rows_, expected);
    EXPECT_EQ(times_.num_forward_rows, num_forward_rows);
  }
}

TEST_F(Replicas, AllWork) {
  Lines lines(400);
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 4; ++i) {
    engines.emplace_back(512).before_step = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  }
  run(lines, replicas_of(engines));
  for (const FakeEngine& engine : engines) EXPECT_GE(engine.num_steps, 5);
}

TEST_F(Replicas, AreNotHeldUpByOneHugeDocument) {
  Lines lines(200);
  std::atomic<int64_t> num_steps = 0;
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 2; ++i) {
    FakeEngine& engine = engines.emplace_back(64);
    engine.before_step = [&engine, &num_steps, is_first = i == 0] {
      ++num_steps;
      // The first one sits at its first document until the other has come far.
      while (is_first && engine.num_steps == 0 && num_steps < 100) std::this_thread::yield();
    };
  }
  run(lines, replicas_of(engines));
  expect_lines(200);
}

TEST_F(Replicas, TheDocumentsOfOneThatFailMoveToTheOthers) {
  const std::vector<Row> expected = rows_of_one(300);
  Lines lines(300);
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 3; ++i) engines.emplace_back(64);
  engines[1].fails_at = [n = 0](int64_t) mutable { return ++n == 7; };
  run(lines, replicas_of(engines));
  EXPECT_EQ(rows_, expected);
  EXPECT_EQ(warnings_, std::vector<std::string>{"b: out of order"});
}

TEST_F(Replicas, ADocumentThatFailsTwiceIsBadAloneAndTheReplicasGoOn) {
  std::vector<Row> expected = rows_of_one(300);
  const size_t culprit = 200;
  ASSERT_TRUE(expected[culprit].reward);
  for (const int num_replicas : {2, 3}) {
    rows_.clear();
    warnings_.clear();
    Lines lines(300);
    std::deque<FakeEngine> engines;
    for (int i = 0; i < num_replicas; ++i) {
      engines.emplace_back(512).fails_at = [&](int64_t ticket) { return ticket == int64_t{culprit}; };
    }
    run(lines, replicas_of(engines));
    ASSERT_EQ(rows_.size(), 300u);
    EXPECT_TRUE(std::regex_match(rows_[culprit].error, std::regex("model: [abc]: out of order; [abc]: out of order")))
        << rows_[culprit].error;
    EXPECT_NE(rows_[culprit].error[7], rows_[culprit].error[24]);
    EXPECT_EQ(warnings_.size(), 2u);
    rows_[culprit] = expected[culprit];
    EXPECT_EQ(rows_, expected);
  }
}

TEST_F(Replicas, OneThatFailsItsCheckIsLeftOut) {
  const std::vector<Row> expected = rows_of_one(300);
  Lines lines(300);
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 2; ++i) engines.emplace_back(64);
  engines[0].fails_at = [](int64_t) { return true; };
  std::vector<Replica> replicas = replicas_of(engines);
  replicas[0].check = [] { throw Error("no answer"); };
  run(lines, replicas);
  EXPECT_EQ(rows_, expected);
  EXPECT_EQ(engines[0].num_steps, 1);
  EXPECT_EQ(warnings_, (std::vector<std::string>{"a: out of order", "a: takes no more documents: no answer"}));
}

TEST_F(Replicas, TheLastOneTriesAgainWhatItFailedAt) {
  const std::vector<Row> expected = rows_of_one(100);
  Lines lines(100);
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 2; ++i) engines.emplace_back(64);
  engines[0].fails_at = [](int64_t) { return true; };
  engines[1].fails_at = [n = 0](int64_t) mutable { return ++n == 5; };
  std::vector<Replica> replicas = replicas_of(engines);
  replicas[0].check = [] { throw Error("no answer"); };
  run(lines, replicas);
  int64_t num_failed = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i] == expected[i]) continue;
    EXPECT_TRUE(rows_[i].error.ends_with(": out of order")) << rows_[i].error;  // it was alone when it failed again
    ++num_failed;
  }
  EXPECT_LE(num_failed, 1);
}

TEST_F(Replicas, WithoutAnyLeftTheRunEnds) {
  const std::vector<Row> expected = rows_of_one(100);
  Lines lines(100);
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 3; ++i) engines.emplace_back(64).fails_at = [](int64_t ticket) { return ticket > 40; };
  std::vector<Replica> replicas = replicas_of(engines);
  for (Replica& replica : replicas) replica.check = [] { throw Error("no answer"); };
  EXPECT_THROW(run(lines, replicas), Error);
  EXPECT_LE(rows_.size(), 44u);  // one more may have failed twice, between bad lines
  rows_.resize(std::min<size_t>(rows_.size(), 41));
  EXPECT_TRUE(std::equal(rows_.begin(), rows_.end(), expected.begin()));
}

TEST_F(Replicas, WhateverFailsNoLineIsLostOrDoubled) {
  const std::vector<Row> expected = rows_of_one(150);
  for (unsigned seed = 0; seed < 60; ++seed) {  // failures are rare in some, and end the run in others
    rows_.clear();
    warnings_.clear();
    Lines lines(150, [random = std::mt19937(seed)](int64_t) mutable {
      if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
    });
    std::deque<FakeEngine> engines;
    for (unsigned i = 0; i < 2 + seed % 3; ++i) {
      engines.emplace_back(64 << seed % 4).fails_at = [random = std::mt19937(seed * 10 + i), seed](int64_t) mutable {
        return random() % (10U << seed % 5) == 0;
      };
    }
    std::vector<Replica> replicas = replicas_of(engines);
    for (Replica& replica : replicas) {
      replica.check = [random = std::mt19937(seed + 1)]() mutable {
        if (random() % 8 == 0) throw Error("no answer");
      };
    }
    try {
      run(lines, replicas);
      EXPECT_EQ(rows_.size(), expected.size());
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "no answer");
    }
    int64_t num_bad = 0;
    for (size_t i = 0; i < rows_.size(); ++i) {
      ASSERT_EQ(rows_[i].line, expected[i].line);
      if (rows_[i] == expected[i]) continue;
      EXPECT_TRUE(rows_[i].error.ends_with(": out of order")) << rows_[i].error;
      ++num_bad;
    }
    EXPECT_LE(2 * num_bad, std::ssize(warnings_));
  }
}

TEST_F(Replicas, AFailureIsMendedWhileTheInputPauses) {
  std::mutex mutex;
  std::condition_variable wake;
  int64_t num_taken = 0;
  Lines lines(12, [&](int64_t number) {
    if (number != 6) return;
    std::unique_lock lock(mutex);  // the sixth line comes once all before are answered
    EXPECT_TRUE(wake.wait_for(lock, std::chrono::seconds(60), [&] { return num_taken == 5; }));
  });
  take_ = [&] {
    const std::lock_guard lock(mutex);
    ++num_taken;
    wake.notify_all();
    return true;
  };
  std::deque<FakeEngine> engines;
  for (int i = 0; i < 2; ++i) engines.emplace_back(512);
  std::atomic<bool> has_failed = false;
  const auto fails_once = [&](int64_t ticket) { return ticket == 4 && !has_failed.exchange(true); };
  for (FakeEngine& engine : engines) engine.fails_at = fails_once;
  run(lines, replicas_of(engines));
  expect_lines(12);
  EXPECT_TRUE(has_failed);
}

TEST_F(Replicas, AStopEndsThemAllAlsoThoseThatWait) {
  for (int round = 0; round < 20; ++round) {
    stop_ = false;
    rows_.clear();
    Lines* source = nullptr;
    Lines lines(10, [&](int64_t number) {
      if (number == 2) source->wait();
    });
    source = &lines;
    std::deque<FakeEngine> engines;
    std::atomic<int> num_steps = 0;
    for (int i = 0; i < 3; ++i) {
      engines.emplace_back(512).before_step = [&] {
        ++num_steps;
        while (!stop_) std::this_thread::yield();
      };
    }
    std::thread signal([&] {
      while (num_steps == 0) std::this_thread::yield();
      stop_ = true;
      lines.interrupt();
    });
    run(lines, replicas_of(engines));
    signal.join();
    EXPECT_LE(rows_.size(), 1u);
  }
}

}  // namespace
}  // namespace prm_score
