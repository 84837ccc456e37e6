#include "prm_score/score/engine.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

#include "prm_score/error.h"
#include "prm_score/score/shared_prefix_engine.h"

namespace prm_score {
namespace {

// Answers with the sum of a branch's prompt, each id weighted by its position, and checks that nothing is asked before
// what it needs.
class SummingModel final : public StepModel {
 public:
  std::vector<int64_t> step_sizes;

  std::vector<float> run(const Step& step) override {
    step_sizes.push_back(std::ssize(step.input_ids));
    std::vector<float> answers;
    int64_t begin = 0;
    for (const Segment& segment : step.segments) {
      EXPECT_EQ(segment.begin, begin);
      EXPECT_LT(segment.begin, segment.end);
      begin = segment.end;
      std::vector<int32_t>& trunk = trunks_[segment.trunk.get()];
      std::vector<int32_t> prompt;
      if (segment.num_shared > 0) {
        EXPECT_LE(segment.num_shared, std::ssize(trunk));
        prompt.assign(trunk.begin(), trunk.begin() + segment.num_shared);
      }
      prompt.insert(prompt.end(), step.input_ids.begin() + segment.begin, step.input_ids.begin() + segment.end);
      if (segment.extends_trunk) {
        EXPECT_EQ(segment.num_shared, std::ssize(trunk));
        EXPECT_EQ(segment.num_shared % kTileRows, 0);
        EXPECT_LE(segment.num_rows(), kTileRows);
        trunk = std::move(prompt);
      } else {
        answers.push_back(sum_of(prompt));
      }
    }
    EXPECT_EQ(begin, std::ssize(step.input_ids));
    return answers;
  }

  std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override {
    ModelConfig config;
    config.num_hidden_layers = config.num_key_value_heads = config.head_dim = 1;
    auto cache = std::make_shared<TrunkCache>(config, num_rows, config.key_value_size(), at::TensorOptions());
    kept_.push_back(cache);  // no two trunks at one address
    return cache;
  }

  int64_t block_rows() const override { return 1; }

  static float sum_of(const std::vector<int32_t>& prompt) {
    float sum = 0;
    for (size_t i = 0; i < prompt.size(); ++i) sum += static_cast<float>(prompt[i] * (i + 1) % 1009);
    return sum;
  }

 private:
  std::map<const TrunkCache*, std::vector<int32_t>> trunks_;
  mutable std::vector<std::shared_ptr<TrunkCache>> kept_;
};

struct Document {
  ScorePlan plan;
  std::vector<std::optional<float>> expected;
};

Document random_document(std::mt19937& random) {
  const auto below = [&](int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(random); };
  Document document;
  const int64_t num_chunks = below(8);
  document.expected.resize(num_chunks);
  const int64_t num_trunks = num_chunks == 0 ? below(2) : 1 + below(3);
  document.plan.trunks.resize(num_trunks);
  for (TrunkPlan& trunk : document.plan.trunks) {
    for (int64_t left = below(300); left > 0; --left) trunk.ids.push_back(static_cast<TokenId>(below(1000)));
  }
  for (int64_t chunk = 0; chunk < num_chunks; ++chunk) {
    if (below(5) == 0) continue;  // skipped
    TrunkPlan& trunk = document.plan.trunks[chunk * num_trunks / num_chunks];
    Branch branch = {.chunk = chunk, .num_shared = below(std::ssize(trunk.ids) + 1), .ids = {}};
    for (int64_t left = 1 + below(100); left > 0; --left) branch.ids.push_back(static_cast<TokenId>(below(1000)));
    std::vector<int32_t> prompt(trunk.ids.begin(), trunk.ids.begin() + branch.num_shared);
    prompt.insert(prompt.end(), branch.ids.begin(), branch.ids.end());
    document.expected[chunk] = SummingModel::sum_of(prompt);
    trunk.branches.push_back(std::move(branch));
  }
  for (TrunkPlan& trunk : document.plan.trunks) {
    std::stable_sort(trunk.branches.begin(), trunk.branches.end(),
                     [](const Branch& a, const Branch& b) { return a.num_shared < b.num_shared; });
  }
  return document;
}

TEST(SharedPrefixEngineTest, EveryPromptIsAnsweredInBoundedSteps) {
  std::mt19937 random(9);
  for (const int64_t max_batch_tokens : {64, 100, 1000}) {
    auto owned = std::make_unique<SummingModel>();
    SummingModel& model = *owned;
    SharedPrefixEngine engine(std::move(owned), max_batch_tokens);
    std::vector<Document> documents;
    int64_t num_rows = 0, num_done = 0;
    while (num_done < 200) {
      if (documents.size() < 200 && random() % 2 == 0) {
        documents.push_back(random_document(random));
        num_rows += documents.back().plan.num_rows();
        engine.add(std::ssize(documents) - 1, documents.back().plan, std::ssize(documents.back().expected));
      }
      for (const JudgedPlan& judged : engine.run_step()) {
        EXPECT_EQ(judged.ticket, num_done++);
        EXPECT_EQ(judged.log_odds, documents[judged.ticket].expected);
      }
    }
    EXPECT_EQ(engine.num_rows_waiting(), 0);
    int64_t num_rows_run = 0;
    for (const int64_t size : model.step_sizes) {
      EXPECT_LE(size, std::max<int64_t>(max_batch_tokens, 100));  // a branch is never cut
      num_rows_run += size;
    }
    EXPECT_EQ(num_rows_run, num_rows);  // nothing twice
  }
}

TEST(SharedPrefixEngineTest, StepsAreFilledFromManyDocuments) {
  auto owned = std::make_unique<SummingModel>();
  SummingModel& model = *owned;
  SharedPrefixEngine engine(std::move(owned), 1000);
  for (int64_t i = 0; i < 50; ++i) {
    ScorePlan plan;
    plan.trunks.push_back({.ids = {}, .branches = {{.chunk = 0, .num_shared = 0, .ids = std::vector<TokenId>(100)}}});
    engine.add(i, std::move(plan), 1);
  }
  while (engine.num_rows_waiting() > 0) (void)engine.run_step();
  EXPECT_EQ(model.step_sizes, std::vector<int64_t>(5, 1000));
}

// Has memory for a few trunks at a time.
class FewTrunks final : public StepModel {
 public:
  explicit FewTrunks(int64_t max_trunks) : max_trunks_(max_trunks) {}

  std::vector<float> run(const Step& step) override { return model_.run(step); }
  std::shared_ptr<TrunkCache> make_trunk(int64_t num_rows) const override {
    if (*num_trunks_ == max_trunks_) throw OutOfMemory("keys and values of a document: no memory");
    ++*num_trunks_;
    const auto trunk = model_.make_trunk(num_rows);
    return {trunk.get(), [trunk, count = num_trunks_](TrunkCache*) { --*count; }};
  }
  int64_t block_rows() const override { return 1; }

 private:
  SummingModel model_;
  int64_t max_trunks_;
  std::shared_ptr<int64_t> num_trunks_ = std::make_shared<int64_t>(0);
};

TEST(SharedPrefixEngineTest, ADocumentWaitsForMemoryThatOthersHold) {
  std::mt19937 random(10);
  SharedPrefixEngine engine(std::make_unique<FewTrunks>(2), 5000);
  std::vector<Document> documents;
  for (int64_t i = 0; i < 50; ++i) {
    documents.push_back(random_document(random));
    engine.add(i, documents.back().plan, std::ssize(documents.back().expected));
  }
  int64_t num_done = 0;
  for (int step = 0; step < 1000 && num_done < 50; ++step) {
    for (const JudgedPlan& judged : engine.run_step()) {
      EXPECT_EQ(judged.ticket, num_done++);
      EXPECT_EQ(judged.log_odds, documents[judged.ticket].expected);
    }
  }
  EXPECT_EQ(num_done, 50);

  SharedPrefixEngine hopeless(std::make_unique<FewTrunks>(0), 5000);
  ScorePlan plan;
  plan.trunks.push_back({.ids = {1}, .branches = {{.chunk = 0, .num_shared = 1, .ids = {2}}}});
  hopeless.add(0, std::move(plan), 1);
  EXPECT_THROW((void)hopeless.run_step(), OutOfMemory);
}

TEST(SharedPrefixEngineTest, ClearGivesUpWhatIsUnderWay) {
  SharedPrefixEngine engine(std::make_unique<SummingModel>(), 64);
  std::mt19937 random(3);
  for (int64_t i = 0; i < 20; ++i) engine.add(i, random_document(random).plan, 8);
  (void)engine.run_step();
  engine.clear();
  EXPECT_EQ(engine.num_rows_waiting(), 0);
  EXPECT_TRUE(engine.run_step().empty());
}

}  // namespace
}  // namespace prm_score
