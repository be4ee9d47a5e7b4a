//===- runtime/Train/TokenFile.h - one file of data as tokens ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text, `.bin` and `.npy` files are memory-mapped and turned into token numbers
// as they are read; text for a SentencePiece model is encoded when opened.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_TOKENFILE_H
#define MOIRE_RUNTIME_TRAIN_TOKENFILE_H

#include "runtime/Core/File.h"
#include "runtime/Train/Tokenizer.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace moire::runtime {

/// How a token is stored in a file.
enum class Element { U8, U16, U32, I32, I64, Encoded };

/// Where the tokens of a `.npy` file are.
struct NpyLayout {
  Element element;
  size_t offset; ///< bytes before the first element
  size_t count;  ///< elements
};

/// Reads a `.npy` header (NumPy's format 1.0 to 3.0, C order, dtype <u2, <u4, <i4 or <i8) and checks that exactly
/// the promised data follow. `path` is for messages.
Result<NpyLayout> parseNpy(std::string_view bytes, const std::string &path);

/// One file's tokens.
class TokenFile {
public:
  /// Opens `path` as the tokeniser says and checks every token against `vocab`. A file without tokens is an error.
  static Result<TokenFile> open(const std::string &path, const Tokenizer &tokenizer, int64_t vocab);

  int64_t size() const { return count; }
  /// Whether tokens are bytes or pieces of text, rather than bare numbers.
  bool isText() const { return element == Element::U8 || element == Element::Encoded; }
  /// Copies tokens [begin, begin + n) to `out`.
  void read(int64_t begin, int64_t n, int32_t *out) const;
  /// Bytes of text that tokens [begin, end) stand for; only when isText().
  int64_t textBytes(int64_t begin, int64_t end) const;
  /// Bytes of the file.
  size_t fileBytes() const { return file.bytes().size(); }
  /// The file's first bytes, at most `limit`.
  std::string head(size_t limit) const;
  const std::string &path() const { return name; }

private:
  Status checkVocabulary(int64_t vocab) const;

  std::string name;
  MappedFile file;
  Element element = Element::U8;
  size_t offset = 0;
  int64_t count = 0;
  EncodedText encoded;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_TOKENFILE_H
