// write_share.cpp - a tool of the build: writes the manual page and the completion scripts below the folder that is its
// only argument, where an installation has them below share/.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "prm_score/cli/completion.h"
#include "prm_score/cli/manual.h"
#include "prm_score/error.h"

namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw prm_score::Error(path.string() + ": cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "write_share: expected a folder\n";
    return 2;
  }
  try {
    const std::filesystem::path share = argv[1];
    write(share / "man/man1/prm-score.1", prm_score::manual_page());
    write(share / "bash-completion/completions/prm-score", prm_score::bash_completion());
    write(share / "zsh/site-functions/_prm-score", prm_score::zsh_completion());
    write(share / "fish/vendor_completions.d/prm-score.fish", prm_score::fish_completion());
  } catch (const std::exception& error) {
    std::cerr << "write_share: " << error.what() << '\n';
    return 1;
  }
}
