//===- runtime/Train/Tokenizer.cpp - text to tokens and back -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bytes and numbers by hand, SentencePiece by its library.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Tokenizer.h"

#include "runtime/Core/File.h"

#include <algorithm>
#include <charconv>
#include <sentencepiece_processor.h>

namespace moire::runtime {

Result<Tokenizer> Tokenizer::make(const std::string &option) {
  if (option.empty())
    return Tokenizer(TokenizerKind::Automatic);
  if (option == "bytes")
    return Tokenizer(TokenizerKind::Bytes);
  if (option == "u16")
    return Tokenizer(TokenizerKind::U16);
  if (option == "u32")
    return Tokenizer(TokenizerKind::U32);
  if (!option.ends_with(".model"))
    return Status::error("unknown tokenizer `{}`: say bytes, u16, u32 or a SentencePiece model (FILE.model)", option);
  Tokenizer tokenizer(TokenizerKind::SentencePiece);
  tokenizer.path = option;
  MOIRE_ASSIGN(const std::string serialized, readFile(option));
  tokenizer.model = std::make_shared<sentencepiece::SentencePieceProcessor>();
  if (const auto loaded = tokenizer.model->LoadFromSerializedProto(serialized); !loaded.ok())
    return Status::error("`{}` is not a SentencePiece model", option);
  return tokenizer;
}

int64_t Tokenizer::pieces() const {
  if (isSentencePiece())
    return model->GetPieceSize();
  return what == TokenizerKind::U16 || what == TokenizerKind::U32 ? INT32_MAX : 256;
}

/// Where to end a part of `text` of about `limit` bytes: after a line, else before a UTF-8 character begins.
static size_t cut(std::string_view text, size_t limit) {
  if (text.size() <= limit)
    return text.size();
  if (const size_t line = text.rfind('\n', limit - 1); line != std::string_view::npos)
    return line + 1;
  size_t end = limit;
  while (end > limit - 4 && (text[end] & 0xc0) == 0x80)
    --end;
  return end;
}

Result<EncodedText> Tokenizer::encode(std::string_view text) const {
  constexpr size_t part = 1 << 14;
  EncodedText out;
  size_t unassigned = 0; // bytes of parts that made no token go to the next one
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, cut(text, part));
    text.remove_prefix(piece.size());
    const auto encoded = model->EncodeAsImmutableProto(piece);
    const size_t count = encoded.pieces_size();
    size_t done = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto token = encoded.pieces(static_cast<int>(i));
      const size_t end = i + 1 == count ? piece.size() : std::clamp<size_t>(token.end(), done, piece.size());
      const size_t bytes = end - done + unassigned;
      if (bytes > UINT16_MAX)
        return Status::error("`{}`: one token stands for {} bytes of text; the most is {}", path, bytes, UINT16_MAX);
      out.tokens.push_back(static_cast<int32_t>(token.id()));
      out.bytes.push_back(static_cast<uint16_t>(bytes));
      done = end, unassigned = 0;
    }
    unassigned += piece.size() - done;
  }
  return out;
}

Result<std::vector<int32_t>> Tokenizer::encodePrompt(const std::string &prompt) const {
  std::vector<int32_t> tokens;
  if (isSentencePiece()) {
    MOIRE_ASSIGN(EncodedText encoded, encode(prompt));
    tokens = std::move(encoded.tokens);
  } else if (pieces() == 256) {
    for (const char c : prompt)
      tokens.push_back(static_cast<unsigned char>(c));
  } else {
    const char *at = prompt.data(), *const end = at + prompt.size();
    while (at != end) {
      if (*at == ' ') {
        ++at;
        continue;
      }
      int32_t id = 0;
      const auto [next, code] = std::from_chars(at, end, id);
      if (code != std::errc() || id < 0)
        return Status::error("the model reads token numbers: give the prompt as numbers separated by spaces");
      tokens.push_back(id);
      at = next;
    }
  }
  if (tokens.empty())
    return Status::error("the prompt is empty: generation starts from at least one token");
  return tokens;
}

std::string Tokenizer::decode(const std::vector<int32_t> &tokens) const {
  std::string text;
  if (isSentencePiece())
    return model->DecodeIds(tokens);
  for (const int32_t token : tokens) {
    if (pieces() == 256)
      text += static_cast<char>(token);
    else
      text += fmt::format("{} ", token);
  }
  return text;
}

} // namespace moire::runtime
