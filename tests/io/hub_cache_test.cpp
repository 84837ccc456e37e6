#include "prm_score/io/hub_cache.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "prm_score/error.h"

namespace prm_score {
namespace {

namespace fs = std::filesystem;

constexpr char kHash[] = "0123456789abcdef0123456789abcdef01234567";

TEST(ParseHubName, TakesNameAndRevision) {
  const auto plain = parse_hub_name("Quest-AI/pretrain-rm-baseline-7b");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->organisation, "Quest-AI");
  EXPECT_EQ(plain->name, "pretrain-rm-baseline-7b");
  EXPECT_EQ(plain->revision, "main");
  EXPECT_EQ(parse_hub_name("a/b.c_d@v1.0")->revision, "v1.0");
  EXPECT_EQ(parse_hub_name("a/b@refs/pr/1")->revision, "refs/pr/1");
  EXPECT_EQ(parse_hub_name(std::string("a/b@") + kHash)->revision, kHash);
}

TEST(ParseHubName, RefusesWhatIsNoNameOrLeavesTheCache) {
  for (const char* text :
       {"",       "a",       "/",        "a/",     "/b",          "a/b/c",      "./b",    "../b",    "a/..",
        "a/.",    "a/.b",    "a/b@",     "a/b@..", "a/b@../../x", "a/b@x/../y", "a/b@/x", "a/b@x/",  "a/b@x//y",
        "a/b@.x", "a/b@x y", "a/b@x\ny", "a b/c",  "a/b\n",       "~/b",        "a/b@x*", "a/b@x\\y"}) {
    EXPECT_FALSE(parse_hub_name(text)) << text;
  }
}

class HubCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    cache_ = fs::temp_directory_path() / ("hub_cache_test." + std::to_string(getpid()));
    model_ = cache_ / "models--org--name";
    fs::create_directories(model_ / "snapshots" / kHash);
    write_file(model_ / "refs" / "main", kHash);
    write_file(model_ / "refs" / "refs" / "pr" / "1", std::string(kHash) + "\n");
  }
  void TearDown() override { fs::remove_all(cache_); }

  static void write_file(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  std::string error_of(const std::string& model) const {
    try {
      return "found: " + find_checkpoint(model, cache_).string();
    } catch (const Error& error) {
      return error.what();
    }
  }

  fs::path cache_, model_;
};

TEST_F(HubCacheTest, FindsBranchesAndHashes) {
  const auto snapshot = model_ / "snapshots" / kHash;
  EXPECT_EQ(find_checkpoint("org/name", cache_), snapshot);
  EXPECT_EQ(find_checkpoint("org/name@main", cache_), snapshot);
  EXPECT_EQ(find_checkpoint("org/name@refs/pr/1", cache_), snapshot);
  EXPECT_EQ(find_checkpoint(std::string("org/name@") + kHash, cache_), snapshot);
}

TEST_F(HubCacheTest, AMissPrintsTheDownloadCommand) {
  EXPECT_EQ(error_of("org/other"), "org/other: no such folder; org/other: not in the hub cache: expected " +
                                       (cache_ / "models--org--other/refs/main").string() +
                                       ", found nothing; to download it: hf download org/other");
  EXPECT_TRUE(error_of("org/name@v2").ends_with("to download it: hf download org/name --revision v2"));
  fs::remove_all(model_ / "snapshots");
  EXPECT_NE(error_of("org/name").find(std::string("snapshots/") + kHash), std::string::npos);
}

TEST_F(HubCacheTest, AReferenceCannotLeadOutOfTheCache) {
  write_file(model_ / "refs" / "main", "../../..");
  EXPECT_EQ(error_of("org/name"), "org/name: no such folder; " + (model_ / "refs/main").string() +
                                      ": expected a commit hash, got something else");
}

TEST_F(HubCacheTest, AFolderWinsOverAHubName) {
  const auto before = fs::current_path();
  fs::current_path(cache_);
  fs::create_directories("org/name");
  EXPECT_EQ(find_checkpoint("org/name", cache_), "org/name");
  fs::current_path(before);
  EXPECT_EQ(find_checkpoint(cache_.string(), cache_), cache_);
}

TEST_F(HubCacheTest, WhatIsNeitherFolderNorNameIsSaidSo) {
  EXPECT_EQ(error_of("/no/such/folder"),
            "/no/such/folder: no such folder, and no hub name (ORG/NAME or ORG/NAME@REVISION) either");
  const auto file = model_ / "refs" / "main";
  EXPECT_EQ(error_of(file.string()), file.string() + ": expected a checkpoint folder, got a file");
}

class HubCacheFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}) unsetenv(name);
    setenv("HOME", "/home/x", 1);
  }
};

TEST_F(HubCacheFolderTest, FollowsTheVariablesInTheirOrder) {
  EXPECT_EQ(hub_cache_folder(), "/home/x/.cache/huggingface/hub");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(hub_cache_folder(), "/xdg/huggingface/hub");
  setenv("HF_HOME", "~/hf", 1);
  EXPECT_EQ(hub_cache_folder(), "/home/x/hf/hub");
  setenv("HF_HUB_CACHE", "/cache", 1);
  EXPECT_EQ(hub_cache_folder(), "/cache");
  setenv("HF_HUB_CACHE", "", 1);
  EXPECT_EQ(hub_cache_folder(), "/home/x/hf/hub");
}

}  // namespace
}  // namespace prm_score
