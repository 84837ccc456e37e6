// prm_score_tokenize.cpp - lets scripts/compare_tokenizers.py ask our tokenizers.
//
//   prm_score_tokenize FOLDER parse|text ids|sources|decode < lines > lines
//
// ids: a JSON string per line in, its ids out. sources: the same and each id's byte range: [[id, begin, end], ..].
// decode: a list of ids per line in, the text out.
#include <iostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "prm_score/error.h"
#include "prm_score/text/tokenizer.h"

namespace {

using nlohmann::json;

json answer(const prm_score::Tokenizer& tokenizer, const std::string& what, const json& question) {
  if (what == "decode") return tokenizer.decode(question.get<std::vector<prm_score::TokenId>>());
  if (what == "ids") return tokenizer.encode(question.get_ref<const std::string&>());
  const prm_score::SourcedIds sourced = tokenizer.encode_with_sources(question.get_ref<const std::string&>());
  json rows = json::array();
  for (size_t i = 0; i < sourced.ids.size(); ++i) {
    rows.push_back({sourced.ids[i], sourced.sources[i].begin, sourced.sources[i].end});
  }
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: prm_score_tokenize FOLDER parse|text ids|sources|decode\n";
    return 2;
  }
  try {
    prm_score::TokenizerOptions options;
    if (std::string(argv[2]) == "text") options.special_tokens = prm_score::SpecialTokens::kText;
    const auto tokenizer = prm_score::load_tokenizer(argv[1], options);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(*tokenizer, argv[3], json::parse(line)).dump() << '\n';
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
