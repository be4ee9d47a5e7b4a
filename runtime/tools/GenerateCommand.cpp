//===- runtime/tools/GenerateCommand.cpp - moire generate ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the prompt and what the model makes of it, token by token.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Generate.h"
#include "runtime/Train/RunFolder.h"
#include "runtime/tools/Commands.h"

#include <cstdio>

namespace moire::runtime {
namespace {

struct Options {
  std::string run, prompt;
  int64_t tokens = 0, checkpoint = -1;
  Sampling sampling;
  int32_t threads = 1;
};

/// Writes the text of a growing list of tokens.
class TextStream {
public:
  explicit TextStream(const Tokenizer &tokenizer, std::vector<int32_t> tokens)
      : tokenizer(tokenizer), tokens(std::move(tokens)) {}

  /// Adds a token and writes what it adds to the text.
  Status add(int32_t token) {
    if (!tokenizer.isSentencePiece())
      return write(tokenizer.decode({token}));
    // A piece's text depends on its neighbours (spaces, bytes of one character): decode all, write the new end.
    const std::string before = stable(tokenizer.decode(tokens));
    tokens.push_back(token);
    const std::string after = stable(tokenizer.decode(tokens));
    return after.starts_with(before) ? write(after.substr(before.size())) : Status();
  }

  Status write(const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? Status() : Status::system("cannot write the text");
  }

private:
  /// Without a last character that is not complete yet (written as U+FFFD by the tokeniser).
  static std::string stable(std::string text) {
    while (text.ends_with("\xef\xbf\xbd"))
      text.resize(text.size() - 3);
    return text;
  }

  const Tokenizer &tokenizer;
  std::vector<int32_t> tokens;
};

Result<int> runGenerate(const Options &options) {
  useThreads(options.threads);
  MOIRE_ASSIGN(OpenedRun run, openRun(options.run, options.checkpoint, Use::Generate));
  MOIRE_ASSIGN(const std::vector<int32_t> prompt, run.tokenizer.encodePrompt(options.prompt));
  TextStream stream(run.tokenizer, prompt);
  bool begun = false;
  const auto emit = [&](int32_t token) -> Status {
    if (!std::exchange(begun, true)) // not before the model has taken the prompt: an error leaves no output
      MOIRE_TRY(stream.write(options.prompt + (run.tokenizer.pieces() == INT32_MAX ? " " : "")));
    return stream.add(token);
  };
  Sampling sampling = options.sampling;
  sampling.end = run.state.config.separator; // the next document begins with it
  MOIRE_ASSIGN(const int64_t made, generate(run.model, prompt, options.tokens, run.tokenizer.pieces(), sampling, emit));
  if (made == 0)
    MOIRE_TRY(stream.write(options.prompt));
  MOIRE_TRY(stream.write("\n"));
  const bool isFull = static_cast<int64_t>(prompt.size()) + made > run.model.package()->decode_context;
  if (made < options.tokens && !isFull)
    fmt::print(stderr, "moire: note: stopped after {} of {} tokens: the document ends\n", made, options.tokens);
  else if (made < options.tokens)
    fmt::print(stderr, "moire: note: stopped after {} of {} tokens: the model's context of {} positions is full\n",
               made, options.tokens, run.model.package()->decode_context);
  return 0;
}

} // namespace

void addGenerateCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("generate", "Generate text with a trained model");
  command.add_option("run", options->run, "Folder of the run, or of one of its checkpoints")->required();
  command.add_option("--prompt", options->prompt, "Text to go on from")->required();
  command.add_option("--tokens", options->tokens, "Tokens to generate")
      ->required()
      ->check(CLI::Range(int64_t(1), INT64_MAX, "count"));
  command.add_option("--temperature", options->sampling.temperature, "0: always the likeliest token")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--top-k", options->sampling.topK, "Choose among the K likeliest (0: all)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "count"));
  command.add_option("--top-p", options->sampling.topP, "Choose among the likeliest of total probability P")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--seed", options->sampling.seed, "Seed of the choices")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "seed"));
  command.add_option("--checkpoint", options->checkpoint, "Step of the checkpoint (the last one by default)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "step"));
  addThreadsOption(command, options->threads);
  command.callback([options, &action] { action = [options] { return runGenerate(*options); }; });
}

} // namespace moire::runtime
