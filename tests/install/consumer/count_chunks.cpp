// Prints how many 64-token chunks 150 tokens have.
#include <iostream>

#include "prm_score/text/chunk.h"

int main() { std::cout << prm_score::split_into_chunks(150, {.chunk_size = 64, .stride = 64}).size() << '\n'; }
