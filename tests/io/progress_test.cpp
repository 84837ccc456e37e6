#include "prm_score/io/progress.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ProgressTime kStart{seconds(1000)};

// `rows` rows of 100 bytes, 2 chunks and 100 tokens each, the last `num_bad` of them bad.
ProgressCounts rows(int64_t num_rows, int64_t num_bad = 0) {
  ProgressCounts done;
  done.counts.num_lines = num_rows;
  done.counts.num_scored_rows = num_rows - num_bad;
  done.counts.num_bad_rows = num_bad;
  done.counts.num_chunks = 2 * num_rows;
  done.counts.num_tokens = 100 * num_rows;
  done.num_input_bytes = 100 * num_rows;
  return done;
}

ProgressMeter meter_of(int64_t num_bytes) { return {{.num_bytes = num_bytes, .num_lines = {}}, {}, kStart}; }

TEST(ProgressMeter, TellsPartTimeRowsRatesAndBytes) {
  auto meter = meter_of(10'000);
  meter.update(rows(30, 2), kStart + seconds(10));
  EXPECT_EQ(meter.line(kStart + seconds(10)),
            "30 %, 0:10, 0:23 left, 30 rows (2 bad), 6.0 chunks/s, 300 tokens/s, 3.0 of 10.0 kB");
}

TEST(ProgressMeter, KnowsNoRatesAtFirst) {
  auto meter = meter_of(10'000);
  EXPECT_EQ(meter.line(kStart), "0 %, 0:00, --:-- left, 0 rows (0 bad), - chunks/s, - tokens/s, 0.0 of 10.0 kB");
  meter.update(rows(1), kStart + seconds(1));
  EXPECT_EQ(meter.line(kStart + seconds(2)),
            "1 %, 0:02, --:-- left, 1 row (0 bad), - chunks/s, - tokens/s, 0.1 of 10.0 kB");
  meter.update(rows(3), kStart + seconds(3));
  EXPECT_EQ(meter.line(kStart + seconds(3)),
            "3 %, 0:03, 1:37 left, 3 rows (0 bad), 2.0 chunks/s, 100 tokens/s, 0.3 of 10.0 kB");
}

TEST(ProgressMeter, AFirstRowThatComesSoonIsNoHighRate) {
  auto meter = meter_of(10'000);
  meter.update(rows(3), kStart + milliseconds(1));
  EXPECT_NE(meter.line(kStart + seconds(2)).find(" - chunks/s"), std::string::npos);
  for (const int second : {3, 10}) {
    EXPECT_NE(meter.line(kStart + seconds(second)).find(" 2.0 chunks/s"), std::string::npos) << second;
  }
}

TEST(ProgressMeter, OfAPipeNoPartAndNoTimeLeftAreKnown) {
  ProgressMeter meter({}, {}, kStart);
  meter.update(rows(30), kStart + seconds(10));
  EXPECT_EQ(meter.line(kStart + seconds(3671)), "1:01:11, 30 rows (0 bad), 0.0 chunks/s, 0.8 tokens/s, 3.0 kB");
  EXPECT_EQ(meter.bar(kStart + seconds(10), 200).find('['), std::string::npos);
}

TEST(ProgressMeter, AnEmptyInputHasNoPart) {
  EXPECT_EQ(meter_of(0).line(kStart), "0:00, 0 rows (0 bad), - chunks/s, - tokens/s, 0 of 0 B");
}

TEST(ProgressMeter, WhatAnEarlierRunDidCountsAsDoneAndInNoRate) {
  ProgressMeter meter({.num_bytes = 10'000, .num_lines = {}}, rows(50), kStart);
  EXPECT_TRUE(meter.line(kStart).starts_with("50 %, 0:00, --:-- left, 50 rows"));
  meter.update(rows(60), kStart + seconds(10));
  EXPECT_EQ(meter.line(kStart + seconds(10)),
            "60 %, 0:10, 0:40 left, 60 rows (0 bad), 2.0 chunks/s, 100 tokens/s, 6.0 of 10.0 kB");
}

TEST(ProgressMeter, RatesAreThoseOfTheLastSeconds) {
  auto meter = meter_of(1'000'000);
  for (int second = 1; second <= 100; ++second) meter.update(rows(second), kStart + seconds(second));
  for (int second = 101; second <= 130; ++second) {
    meter.update(rows(100 + 10 * (second - 100)), kStart + seconds(second));
  }
  // 20 chunks a second for more than 20 seconds, after 100 seconds of 2.
  EXPECT_NE(meter.line(kStart + seconds(130)).find(" 20 chunks/s, 1000 tokens/s"), std::string::npos);
}

TEST(ProgressMeter, TheTimeLeftFollowsTheBytesAndNotTheRows) {
  auto meter = meter_of(10'000);
  ProgressCounts done = rows(50);  // many short rows
  done.num_input_bytes = 1000;
  meter.update(done, kStart + seconds(10));
  EXPECT_NE(meter.line(kStart + seconds(10)).find("10 %, 0:10, 1:30 left"), std::string::npos);
}

TEST(ProgressMeter, BetweenBurstsTheClockGoesOnAndTheRatesStay) {
  auto meter = meter_of(10'000);
  meter.update(rows(10), kStart + seconds(5));
  meter.update(rows(20), kStart + seconds(10));
  EXPECT_NE(meter.line(kStart + seconds(10)).find("0:10, 0:40 left, 20 rows (0 bad), 4.0 chunks/s"), std::string::npos);
  EXPECT_NE(meter.line(kStart + seconds(15)).find("0:15, 0:35 left, 20 rows (0 bad), 4.0 chunks/s"), std::string::npos);
}

TEST(ProgressMeter, OneLongDocumentIsNoStandstill) {
  auto meter = meter_of(10'000);
  meter.update(rows(10), kStart + seconds(10));
  meter.update(rows(20), kStart + seconds(310));
  // The 10 rows that came before the long one are over 20 seconds away, and are what its time is known from.
  EXPECT_NE(meter.line(kStart + seconds(310)).find(" 0.1 chunks/s"), std::string::npos);
  EXPECT_NE(meter.line(kStart + seconds(350)).find(" 0.1 chunks/s"), std::string::npos);
  EXPECT_EQ(meter.line(kStart + seconds(350)).find("--:--"), std::string::npos);
}

TEST(ProgressMeter, AfterLongPausesRatesFall) {
  auto meter = meter_of(10'000);
  meter.update(rows(10), kStart + seconds(10));
  EXPECT_NE(meter.line(kStart + seconds(20)).find(" 2.0 chunks/s"), std::string::npos);
  EXPECT_NE(meter.line(kStart + seconds(30)).find(" 1.0 chunks/s"), std::string::npos);
  EXPECT_NE(meter.line(kStart + seconds(110)).find(" 0.2 chunks/s"), std::string::npos);
}

TEST(ProgressMeter, LinesOfALimitCountWhereTheyAreNearerThanTheBytes) {
  ProgressMeter meter({.num_bytes = 1'000'000, .num_lines = 100}, {}, kStart);
  meter.update(rows(25), kStart + seconds(10));
  EXPECT_EQ(meter.line(kStart + seconds(10)),
            "25 %, 0:10, 0:30 left, 25 rows (0 bad), 5.0 chunks/s, 250 tokens/s, 2.5 kB");  // 0.3 % of the bytes
  EXPECT_TRUE(ProgressMeter({.num_bytes = 1'000'000, .num_lines = 100}, {}, kStart).line(kStart).ends_with(", 0 B"));
  ProgressMeter longer({.num_bytes = 5'000, .num_lines = 1000}, {}, kStart);
  longer.update(rows(25), kStart + seconds(10));
  EXPECT_TRUE(longer.line(kStart + seconds(10)).starts_with("50 %, 0:10, 0:10 left, "));
  EXPECT_TRUE(longer.line(kStart + seconds(10)).ends_with(", 2.5 of 5.0 kB"));
}

TEST(ProgressMeter, AFileThatHasGrownIsNoMoreThanDone) {
  auto meter = meter_of(1000);
  meter.update(rows(30), kStart + seconds(10));
  EXPECT_TRUE(meter.line(kStart + seconds(10)).starts_with("100 %, 0:10, 0:00 left, "));
}

TEST(ProgressMeter, ATimeLeftWithoutSenseIsNotShown) {
  auto meter = meter_of(INT64_MAX);
  meter.update(rows(1), kStart + seconds(10));
  EXPECT_TRUE(meter.line(kStart + seconds(10)).starts_with("0 %, 0:10, --:-- left, "));
}

TEST(ProgressMeter, BytesHaveTheUnitOfTheTotal) {
  const auto bytes_of = [](int64_t done, int64_t total) {
    ProgressMeter meter({.num_bytes = total, .num_lines = {}}, {.counts = {}, .num_input_bytes = done}, kStart);
    const std::string line = meter.line(kStart);
    return line.substr(line.rfind(", ") + 2);
  };
  EXPECT_EQ(bytes_of(7, 999), "7 of 999 B");
  EXPECT_EQ(bytes_of(999, 1000), "1.0 of 1.0 kB");
  EXPECT_EQ(bytes_of(12'300'000, 45'600'000), "12.3 of 45.6 MB");
  EXPECT_EQ(bytes_of(100'000'000, 7'654'000'000), "0.1 of 7.7 GB");
}

TEST(ProgressMeter, ABarShowsAsMuchAsFits) {
  auto meter = meter_of(10'000);
  meter.update(rows(30, 2), kStart + seconds(10));
  const auto now = kStart + seconds(10);
  EXPECT_EQ(meter.bar(now, 200),
            "30 % [=========>                    ] 0:10, 0:23 left, 30 rows (2 bad), 6.0 chunks/s, 300 tokens/s, "
            "3.0 of 10.0 kB");
  EXPECT_EQ(meter.bar(now, 77), "30 % [==>      ] 0:10, 0:23 left, 30 rows (2 bad), 6.0 chunks/s, 300 tokens/s");
  EXPECT_EQ(meter.bar(now, 24), "30 % 0:10, 0:23 left");
  EXPECT_EQ(meter.bar(now, 2), "30");
  for (size_t width = 0; width < 200; ++width) EXPECT_LE(meter.bar(now, width).size(), width);
}

TEST(ProgressMeter, AFullBarHasNoTip) {
  auto meter = meter_of(1000);
  meter.update(rows(10), kStart + seconds(10));
  EXPECT_TRUE(meter.bar(kStart + seconds(10), 200).starts_with("100 % [==============================] 0:10"));
}

TEST(ProgressWatch, ShowsNewsAndTheClockWithoutNews) {
  std::atomic<int> num_calls = 0;
  std::atomic<bool> has_seen_rows = false;
  ProgressWatch watch(
      ProgressMeter({}, {}, kStart),
      [&](const ProgressMeter& meter, ProgressTime now) {
        if (meter.line(now).find("7 rows") != std::string::npos) has_seen_rows = true;
        ++num_calls;
      },
      milliseconds(1));
  while (num_calls < 3) std::this_thread::yield();
  EXPECT_FALSE(has_seen_rows);
  watch.update(rows(7));
  while (!has_seen_rows) std::this_thread::yield();
}

TEST(ProgressWatch, UpdatesDoNotWaitForAShowThatHangs) {
  std::atomic<bool> is_hanging = false, may_go_on = false;
  ProgressWatch watch(
      ProgressMeter({}, {}, kStart),
      [&](const ProgressMeter&, ProgressTime) {
        is_hanging = true;
        while (!may_go_on) std::this_thread::yield();
      },
      milliseconds(1));
  while (!is_hanging) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) watch.update(rows(i));
  may_go_on = true;
}

TEST(ProgressWatch, NothingIsShownAfterItsEnd) {
  std::atomic<int> num_calls = 0;
  for (int i = 0; i < 100; ++i) {
    {
      ProgressWatch watch(
          ProgressMeter({}, {}, kStart), [&](const ProgressMeter&, ProgressTime) { ++num_calls; }, milliseconds(1));
      watch.update(rows(i));
      std::this_thread::sleep_for(milliseconds(i % 3));
    }
    const int at_end = num_calls;
    std::this_thread::yield();
    EXPECT_EQ(num_calls, at_end);
  }
  EXPECT_GT(num_calls, 0);
}

TEST(ProgressWatch, EndsWithoutWaitingForItsInterval) {
  const auto start = std::chrono::steady_clock::now();
  {
    const ProgressWatch watch(
        ProgressMeter({}, {}, kStart), [](const auto&, auto) {}, std::chrono::hours(1));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(60));
}

}  // namespace
}  // namespace prm_score
