#include <iostream>
#include <string>
#include <vector>

#include "client/cli/lossctl.h"

int main(int argc, char** argv) {
  return lossd::cli::RunLossctl(
      std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc),
      std::cout, std::cerr);
}
