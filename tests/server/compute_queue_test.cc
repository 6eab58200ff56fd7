#include "server/compute_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace lossd {
namespace {

using ::testing::ElementsAre;

void Ignore(size_t /*depth*/) {}

TEST(ComputeQueueTest, RunsJobsInOrderOnOneThread) {
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  {
    ComputeQueue queue(2, 100, Ignore);
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(queue.Push([&, i] {
        order.push_back(i);
        threads.push_back(std::this_thread::get_id());
      }));
    }
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(threads, testing::Each(threads.front()));
  EXPECT_NE(threads.front(), std::this_thread::get_id());
}

TEST(ComputeQueueTest, RefusesWhatItHasNoRoomFor) {
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<int> ran = 0;
  {
    ComputeQueue queue(1, 2, Ignore);
    EXPECT_TRUE(queue.Push([&] {
      started.set_value();
      release.get_future().wait();
    }));
    started.get_future().wait();
    EXPECT_TRUE(queue.Push([&] { ++ran; }));
    EXPECT_TRUE(queue.Push([&] { ++ran; }));
    EXPECT_FALSE(queue.Push([&] { ++ran; }));
    release.set_value();
  }
  EXPECT_EQ(ran, 2);
}

TEST(ComputeQueueTest, TellsItsDepth) {
  std::vector<size_t> depths;
  std::promise<void> release;
  std::promise<void> started;
  {
    ComputeQueue queue(1, 10, [&](size_t depth) { depths.push_back(depth); });
    queue.Push([&] {
      started.set_value();
      release.get_future().wait();
    });
    started.get_future().wait();
    queue.Push([] {});
    queue.Push([] {});
    release.set_value();
  }
  EXPECT_THAT(depths, ElementsAre(1, 0, 1, 2, 1, 0));
}

TEST(ComputeQueueTest, ManyThreadsPush) {
  // Only the queue's thread touches it, so it needs no lock.
  int sum = 0;
  {
    ComputeQueue queue(2, 100000, Ignore);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) queue.Push([&sum] { ++sum; });
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(sum, 4000);
}

}  // namespace
}  // namespace lossd
