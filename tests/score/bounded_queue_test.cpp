#include "prm_score/score/bounded_queue.h"

#include <atomic>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

namespace prm_score {
namespace {

TEST(BoundedQueueTest, KeepsTheOrderAndEndsWhenClosed) {
  BoundedQueue<int> queue(10);
  std::thread producer([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(queue.push(i, 3));
    queue.close();
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(queue.pop(), i);
  EXPECT_EQ(queue.pop(), std::nullopt);
  producer.join();
}

TEST(BoundedQueueTest, HoldsNoMoreThanItsWeightOrOneItem) {
  BoundedQueue<int> queue(10);
  std::atomic<int> num_pushed = 0;
  std::thread producer([&] {
    for (const int weight : {4, 6, 1, 50, 1}) {
      ASSERT_TRUE(queue.push(weight, weight));
      ++num_pushed;
    }
    queue.close();
  });
  while (num_pushed < 2) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(num_pushed, 2);  // full
  EXPECT_EQ(queue.pop(), 4);
  EXPECT_EQ(queue.pop(), 6);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 50);  // alone
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), std::nullopt);
  producer.join();
}

TEST(BoundedQueueTest, TryPopDoesNotWait) {
  BoundedQueue<int> queue(10);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
  ASSERT_TRUE(queue.push(1, 1));
  EXPECT_EQ(queue.try_pop(), 1);
}

TEST(BoundedQueueTest, AnErrorComesAfterTheLastItem) {
  BoundedQueue<int> queue(10);
  ASSERT_TRUE(queue.push(1, 1));
  queue.close(std::make_exception_ptr(std::runtime_error("disk")));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_THROW((void)queue.pop(), std::runtime_error);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueueTest, CancelEndsAWaitForRoom) {
  BoundedQueue<int> queue(1);
  ASSERT_TRUE(queue.push(1, 1));
  std::thread producer([&] { EXPECT_FALSE(queue.push(2, 1)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  queue.cancel();
  producer.join();
}

}  // namespace
}  // namespace prm_score
