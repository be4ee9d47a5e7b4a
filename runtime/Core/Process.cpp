//===- runtime/Core/Process.cpp - running another program ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// posix_spawn with a pipe on the child's standard output.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Process.h"

#include "runtime/Core/File.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace moire::runtime {

Result<std::string> runProgram(const std::vector<std::string> &command, bool quiet) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Status::system("cannot make a pipe");
  Descriptor reading(ends[0]);
  pid_t child = 0;
  {
    const Descriptor writing(ends[1]);
    std::vector<char *> arguments;
    for (const std::string &argument : command)
      arguments.push_back(const_cast<char *>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
    if (quiet)
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int code = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
      return Status::system(fmt::format("cannot run `{}`", command[0]), code);
  }
  std::string output;
  char chunk[65536];
  for (;;) {
    const ssize_t got = ::read(reading.get(), chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      break;
    output.append(chunk, static_cast<size_t>(got));
  }
  int ended = 0;
  while (::waitpid(child, &ended, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)
    return output;
  if (WIFSIGNALED(ended))
    return Status::error("`{}` was ended by signal {}", command[0], WTERMSIG(ended));
  return Status::error("`{}` failed with exit code {}", command[0], WEXITSTATUS(ended));
}

Result<std::string> executablePath() {
  std::error_code code;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code)
    return Status::system("cannot find the running program", code.value());
  return path.string();
}

} // namespace moire::runtime
