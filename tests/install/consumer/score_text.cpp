// score_text MODEL TEXT: prints the reward of TEXT.
#include <exception>
#include <iostream>
#include <limits>
#include <stdexcept>

#include "prm_score/score/scorer.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    prm_score::ScorerOptions options;
    options.model = argv[1];
    prm_score::Scorer scorer(options);
    prm_score::Document document;
    document.text = argv[2];
    const auto scored = scorer.score(document);
    if (!scored.error.empty()) throw std::runtime_error(scored.error);
    std::cout.precision(std::numeric_limits<double>::max_digits10);
    std::cout << *scored.reward << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
