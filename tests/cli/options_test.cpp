#include "prm_score/cli/options.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "prm_score/cli/option_table.h"

namespace prm_score {
namespace {

// An environment without variables of ours; those a test sets are gone after it.
class CommandLineTest : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }

  static void clear() {
    for (const auto& spec : option_table()) unsetenv(environment_name(spec.name).c_str());
  }

  static ParsedCommandLine parse(std::vector<const char*> words) {
    words.insert(words.begin(), "prm-score");
    return parse_command_line(static_cast<int>(words.size()), words.data(), "version 1");
  }

  static Options options(std::vector<const char*> words) { return parse(std::move(words)).options; }

  static std::string error_of(std::vector<const char*> words) {
    try {
      (void)parse(std::move(words));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }
};

using Words = std::vector<std::string>;

TEST_F(CommandLineTest, DefaultsAreTheDocumentedOnes) {
  const std::map<std::string, std::string> expected = {{"model", "null"},
                                                       {"device", "\"auto\""},
                                                       {"dtype", "\"auto\""},
                                                       {"threads", "null"},
                                                       {"max-batch-tokens", "null"},
                                                       {"weight-memory", "null"},
                                                       {"random-weights", "null"},
                                                       {"self-check", "null"},
                                                       {"text-field", "\"text\""},
                                                       {"id-field", "\"id\""},
                                                       {"context-field", "null"},
                                                       {"keep", "[]"},
                                                       {"keep-all", "false"},
                                                       {"limit", "null"},
                                                       {"shard", "null"},
                                                       {"num-shards", "null"},
                                                       {"max-line-bytes", "268435456"},
                                                       {"chunk-size", "64"},
                                                       {"stride", "64"},
                                                       {"first-chunk", "\"score\""},
                                                       {"last-chunk", "\"score\""},
                                                       {"max-context", "null"},
                                                       {"join", "\"text\""},
                                                       {"labels", "\"A,B\""},
                                                       {"special-tokens", "\"parse\""},
                                                       {"no-prefix-sharing", "false"},
                                                       {"spans", "false"},
                                                       {"output", "null"},
                                                       {"resume", "false"},
                                                       {"overwrite", "false"},
                                                       {"metadata", "null"},
                                                       {"fingerprint", "false"},
                                                       {"max-errors", "null"},
                                                       {"errors-ok", "false"},
                                                       {"progress", "\"auto\""},
                                                       {"log-level", "\"info\""}};
  const auto values = effective_options(options({}));
  EXPECT_EQ((std::map<std::string, std::string>(values.begin(), values.end())), expected);
}

// A value other than the default for every option that has one, and its JSON.
struct Example {
  const char* name;
  const char* value;
  const char* json;
};

constexpr Example kExamples[] = {{"model", "m", "\"m\""},
                                 {"device", "cuda:0,cuda:1", "\"cuda:0,cuda:1\""},
                                 {"dtype", "bfloat16", "\"bfloat16\""},
                                 {"threads", "3", "3"},
                                 {"text-field", "body", "\"body\""},
                                 {"id-field", "key", "\"key\""},
                                 {"context-field", "prompt", "\"prompt\""},
                                 {"chosen-field", "a", "\"a\""},
                                 {"rejected-field", "b", "\"b\""},
                                 {"subset-field", "c", "\"c\""},
                                 {"keep", "a,b c", "[\"a\",\"b c\"]"},
                                 {"keep-all", "true", "true"},
                                 {"limit", "0", "0"},
                                 {"shard", "2", "2"},
                                 {"num-shards", "3", "3"},
                                 {"max-line-bytes", "3K", "3072"},
                                 {"chunk-size", "32", "32"},
                                 {"stride", "7", "7"},
                                 {"first-chunk", "skip", "\"skip\""},
                                 {"last-chunk", "weight", "\"weight\""},
                                 {"max-context", "0", "0"},
                                 {"join", "tokens", "\"tokens\""},
                                 {"labels", "yes,no", "\"yes,no\""},
                                 {"special-tokens", "text", "\"text\""},
                                 {"no-prefix-sharing", "true", "true"},
                                 {"spans", "true", "true"},
                                 {"output", "f", "\"f\""},
                                 {"resume", "true", "true"},
                                 {"overwrite", "true", "true"},
                                 {"metadata", "f", "\"f\""},
                                 {"fingerprint", "true", "true"},
                                 {"max-batch-tokens", "512", "512"},
                                 {"weight-memory", "3G", "3221225472"},
                                 {"random-weights", "c.json", "\"c.json\""},
                                 {"self-check", "false", "false"},
                                 {"docs", "a,b", "[\"a\",\"b\"]"},
                                 {"details", "0", "0"},
                                 {"max-text", "7", "7"},
                                 {"color", "always", "\"always\""},
                                 {"plan", "f", "\"f\""},
                                 {"verify", "true", "true"},
                                 {"json", "true", "true"},
                                 {"golden", "g", "\"g\""},
                                 {"against", "int8", "\"int8\""},
                                 {"update", "true", "true"},
                                 {"atol", "1e-3", "0.001"},
                                 {"rtol", "0", "0"},
                                 {"exact", "true", "true"},
                                 {"junit", "j.xml", "\"j.xml\""},
                                 {"max-errors", "1", "1"},
                                 {"errors-ok", "true", "true"},
                                 {"progress", "none", "\"none\""},
                                 {"log-level", "debug", "\"debug\""}};

std::string effective(const Options& options, const std::string& name) {
  for (const auto& [option_name, json] : effective_options(options)) {
    if (option_name == name) return json;
  }
  return "no such option";
}

// Words for a command that has the option.
std::vector<const char*> command_with(const std::string& option_name) {
  constexpr std::pair<unsigned, const char*> kSubcommands[] = {
      {kForInfo, "info"}, {kForPairs, "pairs"}, {kForReport, "report"}, {kForShow, "show"}, {kForCheck, "check"}};
  const auto spec = std::ranges::find(option_table(), option_name, [](const OptionSpec& s) { return s.name; });
  if ((spec->commands & kForScore) != 0) return {};
  for (const auto& [bit, word] : kSubcommands) {
    if (option_name == "against") return {"check"};
    if ((spec->commands & bit) != 0 && bit == kForCheck) return {word, "--golden=g"};
    if ((spec->commands & bit) != 0) return {word};
  }
  return {"no command"};
}

TEST_F(CommandLineTest, EveryOptionComesFromTheCommandLineOrTheEnvironment) {
  EXPECT_EQ(std::size(kExamples), option_table().size()) << "an option without an example";
  for (const auto& example : kExamples) {
    const std::string flag = std::string("--") + example.name + "=" + example.value;
    const std::string variable = environment_name(example.name);
    const bool is_about_output = std::string(example.name) == "resume" || std::string(example.name) == "overwrite";
    std::vector<const char*> command = is_about_output ? std::vector{"--output=f"} : command_with(example.name);
    if (std::string(example.name) == "shard") command = {"--num-shards=3"};
    if (std::string(example.name) == "num-shards") command = {"--shard=0"};
    auto with_flag = command;
    with_flag.push_back(flag.c_str());
    EXPECT_EQ(effective(options(with_flag), example.name), example.json);
    setenv(variable.c_str(), example.value, 1);
    EXPECT_EQ(effective(options(command), example.name), example.json) << variable;
    unsetenv(variable.c_str());
  }
}

TEST_F(CommandLineTest, VariablesThatLookLikeAnOptionsAndAreNonesAreToldOf) {
  const auto warnings = [] {
    const char* command[] = {"prm-score"};
    return parse_command_line(1, command, "1").warnings;
  };
  setenv("PRM_SCORE_THREADS", "2", 1);
  setenv("PRM_SCORE_GOLDEN", "of another command", 1);
  setenv("PRM_SCORE_TEST_PROGRAM", "x", 1);
  setenv("PRM_SCORE_TORCH_DIR", "of the build", 1);
  EXPECT_EQ(warnings(), std::vector<std::string>{});
  setenv("PRM_SCORE_TREADS", "2", 1);
  const std::string unknown = ": expected a variable of an option (see --help), found that no option has this name";
  EXPECT_EQ(warnings(), std::vector<std::string>{"PRM_SCORE_TREADS" + unknown + "; the nearest is PRM_SCORE_THREADS"});
  unsetenv("PRM_SCORE_TREADS");
  setenv("PRM_SCORE_ANYTHING_ELSE", "2", 1);
  EXPECT_EQ(warnings(), std::vector<std::string>{"PRM_SCORE_ANYTHING_ELSE" + unknown});
  for (const char* name : {"PRM_SCORE_THREADS", "PRM_SCORE_GOLDEN", "PRM_SCORE_TEST_PROGRAM", "PRM_SCORE_TORCH_DIR",
                           "PRM_SCORE_ANYTHING_ELSE"}) {
    unsetenv(name);
  }
}

TEST_F(CommandLineTest, OptionsOfRowsAreThoseThatChangeThem) {
  std::map<std::string, std::string> values;
  for (const auto& [name, json] : options_of_rows(options({"--chunk-size=32", "--threads=1"}))) values[name] = json;
  EXPECT_EQ(values["chunk-size"], "32");
  EXPECT_EQ(values["stride"], "32");
  for (const char* name : {"text-field", "keep", "limit", "max-line-bytes", "labels", "spans", "no-prefix-sharing"}) {
    EXPECT_TRUE(values.contains(name)) << name;
  }
  for (const char* name : {"model", "device", "dtype", "threads", "max-batch-tokens", "output", "resume", "metadata",
                           "shard", "num-shards", "max-errors", "errors-ok", "progress", "log-level", "self-check"}) {
    EXPECT_FALSE(values.contains(name)) << name;
  }
}

TEST_F(CommandLineTest, ResumeAndOverwriteNeedAnOutputAndEachOtherNot) {
  for (const std::vector<const char*>& arguments : std::vector<std::vector<const char*>>{
           {"--resume"}, {"--overwrite"}, {"--output=f", "--resume", "--overwrite"}, {"--output=-"}}) {
    EXPECT_THROW(static_cast<void>(options(arguments)), UsageError);
  }
}

TEST_F(CommandLineTest, ATextIsNotItsOwnContext) {
  EXPECT_EQ(error_of({"--context-field=text"}),
            "--text-field and --context-field: expected different fields, got \"text\" for both");
  for (const char* command : {"prompts", "show", "info"}) {
    EXPECT_NE(error_of({command, "--text-field=a", "--context-field=a"}), "") << command;
  }
  EXPECT_NE(error_of({"check", "--golden=g", "--context-field=text"}), "");
  setenv("PRM_SCORE_TEXT_FIELD", "body", 1);
  EXPECT_EQ(options({"--context-field=text"}).fields.context, "text");
  EXPECT_NE(error_of({"--context-field=body"}), "");
  unsetenv("PRM_SCORE_TEXT_FIELD");
}

TEST_F(CommandLineTest, TheTextsOfAPairAndItsContextAreDifferentFields) {
  EXPECT_EQ(error_of({"pairs", "--rejected-field=chosen"}),
            "--chosen-field and --rejected-field: expected different fields, got \"chosen\" for both");
  EXPECT_EQ(error_of({"pairs", "--rejected-field=prompt"}),
            "--rejected-field and --context-field: expected different fields, got \"prompt\" for both");
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{"pairs", "--chosen-field=rejected"},
                                             {"pairs", "--chosen-field=prompt"},
                                             {"pairs", "--context-field=chosen"},
                                             {"pairs", "--context-field=rejected"},
                                             {"pairs", "--subset-field=chosen"},
                                             {"pairs", "--subset-field=rejected"}}) {
    EXPECT_NE(error_of(arguments), "") << arguments[1];
  }
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{"pairs", "--context-field=text"},
                                             {"pairs", "--subset-field=prompt"},
                                             {"pairs", "--id-field=prompt"},
                                             {"pairs", "--chosen-field=prompt", "--context-field=question"}}) {
    EXPECT_EQ(error_of(arguments), "") << arguments[1];
  }
}

TEST_F(CommandLineTest, AShardIsOneOfSeveral) {
  const auto shard = options({"a", "--shard", "2", "--num-shards", "3"});
  EXPECT_EQ(shard.shard, 2);
  EXPECT_EQ(shard.num_shards, 3);
  EXPECT_EQ(error_of({"--shard=0"}), "--shard: expected --num-shards with it, got none");
  EXPECT_EQ(error_of({"--num-shards=2"}), "--num-shards: expected --shard with it, got none");
  EXPECT_EQ(error_of({"--shard=2", "--num-shards=2"}),
            "--shard: expected a number from 0 to 1 (--num-shards is 2), got 2");
  for (const char* value : {"-1", "one", "1/2", "", "Auto"}) {
    EXPECT_EQ(error_of({"--num-shards=2", "--shard", value}),
              std::string("--shard: expected auto or an integer >= 0, got \"") + value + "\"");
  }
  EXPECT_EQ(error_of({"--shard=0", "--num-shards=0"}), "--num-shards: expected an integer >= 1, got \"0\"");
  for (const char* command : {"prompts", "pairs", "info"}) {
    EXPECT_EQ(options({command, "--shard=1", "--num-shards=2"}).shard, 1) << command;
  }
}

TEST_F(CommandLineTest, ShardAutoIsTheTaskOfSlurm) {
  unsetenv("SLURM_ARRAY_TASK_ID");
  EXPECT_EQ(error_of({"--shard=auto", "--num-shards=2"}),
            "--shard auto: expected a task of a Slurm array (SLURM_ARRAY_TASK_ID), got none");
  setenv("SLURM_ARRAY_TASK_ID", "3", 1);
  EXPECT_EQ(options({"--shard=auto", "--num-shards=4"}).shard, 3);
  EXPECT_EQ(options({"--shard=auto", "--shard=1", "--num-shards=4"}).shard, 1);
  EXPECT_EQ(
      error_of({"--shard=auto", "--num-shards=3"}),
      "--shard: expected a number from 0 to 2 (--num-shards is 3), got 3, this task's; shards count from 0, as tasks "
      "of --array=0-2");
  unsetenv("SLURM_ARRAY_TASK_ID");
}

TEST_F(CommandLineTest, CheckNeedsAGoldenAndAtMostOneWayToCompare) {
  EXPECT_EQ(error_of({"check", "a"}), "--golden: expected a file name, or --against, got none");
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{"--golden=-"},
                                             {"--golden=g", "--junit=-"},
                                             {"--golden=g", "--atol=-1"},
                                             {"--golden=g", "--atol=nan"},
                                             {"--golden=g", "--rtol=inf"},
                                             {"--golden=g", "--rtol=1e999"},
                                             {"--golden=g", "--rtol=x"},
                                             {"--golden=g", "--atol=1,"},
                                             {"--golden=g", "--atol="},
                                             {"--golden=g", "--metadata=f"},
                                             {"--golden=g", "--output=f"},
                                             {"--golden=g", "--errors-ok"}}) {
    auto words = arguments;
    words.insert(words.begin(), "check");
    EXPECT_NE(error_of(words), "") << words.back();
  }
  EXPECT_EQ(error_of({"check", "--golden=g", "--atol=-0.5"}),
            "--atol: expected a finite number >= 0, such as 0.001 or 1e-4, got \"-0.5\"");
  EXPECT_EQ(error_of({"check", "--golden=g", "--exact", "--rtol=0"}),
            "--exact: expected no --atol and no --rtol with it, got one");
  for (const char* other : {"--exact", "--atol=1", "--rtol=1", "--junit=j"}) {
    EXPECT_TRUE(error_of({"check", "--golden=g", "--update", other}).starts_with("--update: expected no ")) << other;
  }
  for (const char* other : {"--golden=g", "--update", "--exact", "--atol=1", "--rtol=1", "--junit=j"}) {
    EXPECT_TRUE(error_of({"check", "--against=float32", other}).starts_with("--against: expected no ")) << other;
  }
  EXPECT_EQ(error_of({"check", "--against=auto"}), "--against: expected float32, bfloat16, int8 or fp8, got \"auto\"");
  EXPECT_EQ(options({"check", "a", "--against=float32", "--dtype=int8"}).against, "float32");
  EXPECT_TRUE(error_of({"--golden=g"}).starts_with("\"--golden=g\": expected an option of prm-score "));
  const auto check = options({"check", "a", "--golden", "g", "--atol", "0.5", "--spans", "--context-field=c"});
  EXPECT_EQ(check.command, Command::kCheck);
  EXPECT_EQ(check.files, Words{"a"});
  EXPECT_EQ(check.atol, 0.5);
  EXPECT_FALSE(check.rtol);
}

// Or the golden's fingerprint would differ from the run's that is to be compared.
TEST_F(CommandLineTest, CheckHasTheRowsOptionsOfScoring) {
  const auto values = options_of_rows(options({}));
  EXPECT_EQ(options_of_rows(options({"check", "--golden=g", "--exact", "--junit=j"})), values);
  EXPECT_GT(values.size(), 10U);
}

TEST_F(CommandLineTest, TheCommandLineWinsAndAnEmptyVariableIsNotSet) {
  setenv("PRM_SCORE_LIMIT", "5", 1);
  setenv("PRM_SCORE_SPANS", "yes", 1);
  setenv("PRM_SCORE_THREADS", "", 1);
  EXPECT_EQ(options({}).limit, 5);
  EXPECT_EQ(options({"--limit", "6"}).limit, 6);
  EXPECT_TRUE(options({}).spans);
  EXPECT_FALSE(options({"--spans=false"}).spans);
  EXPECT_EQ(options({}).threads, 0);
  setenv("PRM_SCORE_LIMIT", "nonsense", 1);
  EXPECT_EQ(options({"--limit", "6"}).limit, 6);
}

TEST_F(CommandLineTest, WrongValuesNameFlagExpectedAndFound) {
  EXPECT_EQ(error_of({"--limit", "-1"}), "--limit: expected an integer >= 0, got \"-1\"");
  EXPECT_EQ(error_of({"--limit", "1.5"}), "--limit: expected an integer >= 0, got \"1.5\"");
  EXPECT_EQ(error_of({"--limit", "99999999999999999999"}),
            "--limit: expected an integer >= 0, got \"99999999999999999999\"");
  EXPECT_EQ(error_of({"--limit="}), "--limit: expected an integer >= 0, got none");
  EXPECT_EQ(error_of({"--limit"}), "--limit: expected an integer >= 0, got none");
  EXPECT_EQ(error_of({"--join", "a\nb"}), "--join: expected text or tokens, got \"a\\nb\"");
  for (const auto& [flag, value] : std::vector<std::pair<const char*, const char*>>{{"--model", ""},
                                                                                    {"--device", "gpu"},
                                                                                    {"--device", "cuda:"},
                                                                                    {"--device", "cuda:-1"},
                                                                                    {"--device", "cuda:x"},
                                                                                    {"--device", "cpu,"},
                                                                                    {"--device", "cpu,auto"},
                                                                                    {"--device", "cuda:0,,cuda:1"},
                                                                                    {"--dtype", "float64"},
                                                                                    {"--threads", "0"},
                                                                                    {"--threads", "5000"},
                                                                                    {"--text-field", ""},
                                                                                    {"--keep", "a,,b"},
                                                                                    {"--keep", ","},
                                                                                    {"--keep", "\\,,"},
                                                                                    {"--keep", ""},
                                                                                    {"--max-line-bytes", "0"},
                                                                                    {"--max-line-bytes", "1T"},
                                                                                    {"--max-line-bytes", "M"},
                                                                                    {"--max-line-bytes", "1025G"},
                                                                                    {"--max-line-bytes", "5k"},
                                                                                    {"--chunk-size", "0"},
                                                                                    {"--stride", "0"},
                                                                                    {"--first-chunk", "drop"},
                                                                                    {"--last-chunk", "skip"},
                                                                                    {"--max-context", "-1"},
                                                                                    {"--join", "Text"},
                                                                                    {"--labels", "A"},
                                                                                    {"--labels", "A,A"},
                                                                                    {"--labels", "A,B,C"},
                                                                                    {"--labels", "A,"},
                                                                                    {"--special-tokens", "x"},
                                                                                    {"--max-errors", "0"},
                                                                                    {"--progress", "bar"},
                                                                                    {"--log-level", "loud"}}) {
    EXPECT_TRUE(error_of({flag, value}).starts_with(std::string(flag) + ": expected ")) << flag << " " << value;
    const auto variable = environment_name(flag + 2);
    setenv(variable.c_str(), value, 1);
    if (*value != '\0') {
      EXPECT_TRUE(error_of({}).starts_with(variable + ": expected "))
          << variable << "=" << value << ": " << error_of({});
    }
    unsetenv(variable.c_str());
  }
  EXPECT_EQ(error_of({"report", "--details", "-1"}), "--details: expected an integer from 0 to 100000, got \"-1\"");
  EXPECT_EQ(error_of({"report", "--max-text", "0"}), "--max-text: expected an integer >= 1, got \"0\"");
  EXPECT_EQ(error_of({"report", "--docs", "a,,b"}),
            "--docs: expected file names separated by commas (\\, = a comma in a name), got \"a,,b\"");
  EXPECT_EQ(error_of({"report", "-o"}), "--output: expected a file name, got none");
  EXPECT_EQ(error_of({"--spans=perhaps"}), "--spans: expected true or false, got \"perhaps\"");
}

TEST_F(CommandLineTest, NamesMayHoldCommas) {
  EXPECT_EQ(options({"report", "--docs", R"(a\,b,c\d\)"}).docs, (std::vector<std::string>{"a,b", R"(c\d\)"}));
  EXPECT_EQ(options({"--keep", R"(\,)"}).fields.keep, std::vector<std::string>{","});
  EXPECT_EQ(options({"--labels", R"(\,B)"}).label_a, R"(\)");
}

TEST_F(CommandLineTest, HelpIsThatOfTheCommand) {
  const auto help_of = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "prm-score");
    arguments.push_back("--help");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), "1").text.value();
  };
  for (const char* command : {"", "merge"}) {
    const std::string help = help_of(*command == '\0' ? std::vector<const char*>{} : std::vector{command});
    EXPECT_NE(help.find("write the rows to FILE.partial"), std::string::npos) << command;
    EXPECT_EQ(help.find("page"), std::string::npos) << command;
  }
  const std::string help = help_of({"report"});
  EXPECT_NE(help.find("write the page to FILE"), std::string::npos);
  for (const char* other : {".partial", "the text to score", "that rows repeat"}) {
    EXPECT_EQ(help.find(other), std::string::npos) << other;
  }
}

TEST_F(CommandLineTest, SizesCountInPowersOfTwo) {
  EXPECT_EQ(options({"--max-line-bytes", "1"}).max_line_bytes, 1);
  EXPECT_EQ(options({"--max-line-bytes", "5K"}).max_line_bytes, 5 * 1024);
  EXPECT_EQ(options({"--max-line-bytes", "256M"}).max_line_bytes, 268435456);
  EXPECT_EQ(options({"--max-line-bytes", "2G"}).max_line_bytes, int64_t{2} << 30);
}

TEST_F(CommandLineTest, TheStrideIsTheChunkSizeIfNotGivenAndNeverMore) {
  EXPECT_EQ(options({"--chunk-size", "100"}).prompt.chunking.stride, 100);
  EXPECT_EQ(options({"--chunk-size", "32", "--stride", "32"}).prompt.chunking.stride, 32);
  EXPECT_EQ(error_of({"--chunk-size", "32", "--stride", "33"}),
            "--stride: expected at most the chunk size, 32, got 33");
}

TEST_F(CommandLineTest, FilesAndOptionsMix) {
  EXPECT_EQ(options({}).files, Words{});
  EXPECT_EQ(options({"a", "--limit", "2", "-", "--spans", "b"}).files, (Words{"a", "-", "b"}));
  EXPECT_EQ(options({"--", "--limit"}).files, Words{"--limit"});
  EXPECT_EQ(options({"--limit", "1", "--limit", "2"}).limit, 2);
}

TEST_F(CommandLineTest, SubcommandsTakeTheSameOptions) {
  const auto prompts = options({"prompts", "a", "info", "--model", "m", "--join", "tokens"});
  EXPECT_EQ(prompts.command, Command::kPrompts);
  EXPECT_EQ(prompts.files, (Words{"a", "info"}));
  EXPECT_EQ(prompts.model, "m");
  EXPECT_EQ(prompts.prompt.join, Join::kTokens);
  const auto info = options({"--model", "m", "info", "--json"});
  EXPECT_EQ(info.command, Command::kInfo);
  EXPECT_EQ(info.model, "m");
  EXPECT_TRUE(info.json);
  EXPECT_EQ(options({"./info"}).command, Command::kScore);
  const auto report = options({"report", "a", "b", "-o", "page.html", "--docs=c"});
  EXPECT_EQ(report.command, Command::kReport);
  EXPECT_EQ(report.files, (Words{"a", "b"}));
  EXPECT_EQ(report.output, "page.html");
  EXPECT_EQ(report.docs, Words{"c"});
  EXPECT_EQ(options({"-o", "rows"}).output, "rows");
  const auto merge = options({"merge", "a", "b", "-o", "rows", "--resume"});
  EXPECT_EQ(merge.command, Command::kMerge);
  EXPECT_EQ(merge.files, (Words{"a", "b"}));
  const auto quantize = options({"quantize", "folder", "--model", "m", "--threads", "3"});
  EXPECT_EQ(quantize.command, Command::kQuantize);
  EXPECT_EQ(quantize.files, Words{"folder"});
  EXPECT_EQ(quantize.model, "m");
}

TEST_F(CommandLineTest, WordsThatFitNowhereAreRefused) {
  EXPECT_EQ(error_of({"--foo"}), "\"--foo\": expected an option of prm-score (see --help), got an unknown one");
  EXPECT_EQ(error_of({"-x"}), "\"-x\": expected an option of prm-score (see --help), got an unknown one");
  EXPECT_EQ(error_of({"prompts", "--spans"}),
            "\"--spans\": expected an option of prm-score prompts (see --help), got an unknown one");
  EXPECT_EQ(
      error_of({"info", "a"}),
      "\"a\": expected only options of prm-score info (see --help), got a word; documents to plan for are named by "
      "--plan");
  EXPECT_EQ(error_of({"--spans", "prompts"}), "--spans: expected an option of prompts, got one that it does not have");
  EXPECT_EQ(
      error_of({"a", "prompts", "b"}),
      "\"a\": expected files behind the subcommand prompts, got one before it (a file of that name is ./prompts)");
}

TEST_F(CommandLineTest, TheNearestOptionIsNamed) {
  const std::string unknown = ": expected an option of prm-score (see --help), got an unknown one";
  EXPECT_EQ(error_of({"--modle", "m"}), "\"--modle\"" + unknown + "; the nearest is --model");
  EXPECT_EQ(error_of({"--modle=m"}), "\"--modle=m\"" + unknown + "; the nearest is --model");
  EXPECT_EQ(error_of({"--verison"}), "\"--verison\"" + unknown + "; the nearest is --version");
  EXPECT_EQ(
      error_of({"pairs", "--chosen-feld=a"}),
      "\"--chosen-feld=a\": expected an option of prm-score pairs (see --help), got an unknown one; the nearest is "
      "--chosen-field");
}

TEST_F(CommandLineTest, TheNearestSubcommandIsNamedWhereNoFileIsCalledSo) {
  EXPECT_EQ(parse({"pair", "a.jsonl"}).warnings,
            Words{"\"pair\": expected a file or a subcommand, found neither; the nearest subcommand is pairs"});
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{
           {"docs.jsonl"}, {"a.jsonl", "pair"}, {"prompts", "pair"}, {"./pair"}, {"-"}, {}}) {
    EXPECT_EQ(parse(words).warnings, Words{}) << words.size();
  }
  const std::string folder = testing::TempDir() + "prm_score_options_test";
  const auto before = std::filesystem::current_path();
  std::filesystem::create_directory(folder);
  std::filesystem::current_path(folder);
  std::ofstream("pair") << "{}\n";
  EXPECT_EQ(parse({"pair"}).warnings, Words{});
  std::filesystem::current_path(before);
  std::filesystem::remove_all(folder);
}

TEST_F(CommandLineTest, HelpOfPairsSaysWhereTheAccuracyGoes) {
  EXPECT_NE(parse({"pairs", "--help"}).text.value_or("").find("--metadata."), std::string::npos);
}

TEST_F(CommandLineTest, HelpNamesEveryOptionAndItsDefault) {
  const auto info_help = parse({"info", "-h"}).text.value_or("");
  for (const auto& spec : option_table()) {
    auto words = command_with(spec.name);
    words.push_back("--help");
    const auto text = parse(words).text.value_or("");
    EXPECT_NE(text.find(std::string("--") + spec.name + " "), std::string::npos) << spec.name;
    if (*spec.value_name == '\0') continue;
    EXPECT_NE(text.find(std::string("(default: ") + spec.default_text + ")"), std::string::npos) << spec.name;
  }
  EXPECT_EQ(info_help.find("--spans"), std::string::npos);
  EXPECT_EQ(parse({"--version"}).text, "version 1\n");
}

}  // namespace
}  // namespace prm_score
