//===- runtime/Train/Tokenizer.h - text to tokens and back -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Three kinds: bytes (token = byte), ids (the data already is numbers; text is
// written as numbers separated by spaces), and SentencePiece models.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_TOKENIZER_H
#define MOIRE_RUNTIME_TRAIN_TOKENIZER_H

#include "runtime/Core/Status.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace moire::runtime {

/// What `--tokenizer` says.
enum class TokenizerKind {
  Automatic,    ///< nothing said: `.npy` holds ids, `.bin` must be explained, all else is bytes
  Bytes,        ///< every file is text, a token is a byte
  U16,          ///< every `.bin` file holds little-endian u16 ids
  U32,          ///< every `.bin` file holds little-endian u32 ids
  SentencePiece ///< every file is text for the model
};

/// Tokens of a piece of text, with the bytes of the text that each stands for (they add up to the text's length).
struct EncodedText {
  std::vector<int32_t> tokens;
  std::vector<uint16_t> bytes;
};

/// A tokeniser; cheap to copy.
class Tokenizer {
public:
  /// From `--tokenizer`: bytes, u16, u32, a SentencePiece model's path, or empty for Automatic.
  static Result<Tokenizer> make(const std::string &option);

  TokenizerKind kind() const { return what; }
  bool isSentencePiece() const { return what == TokenizerKind::SentencePiece; }
  /// The model's path; empty without one.
  const std::string &modelPath() const { return path; }
  /// Tokens that stand for text: 256, the model's pieces, or INT32_MAX when tokens are only numbers.
  int64_t pieces() const;

  /// Encodes text in parts of some ten thousand bytes, cut after a line's end where there is one.
  Result<EncodedText> encode(std::string_view text) const;
  /// The tokens of a prompt.
  Result<std::vector<int32_t>> encodePrompt(const std::string &prompt) const;
  /// The text of all of `tokens`.
  std::string decode(const std::vector<int32_t> &tokens) const;

private:
  explicit Tokenizer(TokenizerKind what) : what(what) {}
  TokenizerKind what;
  std::string path;
  std::shared_ptr<sentencepiece::SentencePieceProcessor> model;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_TOKENIZER_H
