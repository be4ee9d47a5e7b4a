//===- runtime/Train/Data.cpp - all the tokens of a run ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finding files, joining them, and cutting batches.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Data.h"

#include "runtime/Core/Philox.h"

#include <algorithm>
#include <filesystem>
#include <glob.h>

namespace moire::runtime {

namespace fs = std::filesystem;

/// All files below `folder` that are neither hidden nor empty, sorted.
static Status addFolder(const std::string &folder, std::vector<std::string> &out) {
  std::vector<std::string> found;
  std::error_code code;
  fs::recursive_directory_iterator it(folder, code), end;
  for (; !code && it != end; it.increment(code)) {
    const bool hidden = it->path().filename().string().starts_with('.');
    std::error_code ignored; // a dangling link is no file
    if (hidden && it->is_directory(ignored))
      it.disable_recursion_pending();
    else if (!hidden && it->is_regular_file(ignored) && it->file_size(ignored) > 0)
      found.push_back(it->path().string());
  }
  if (code)
    return Status::system(fmt::format("cannot read folder `{}`", folder), code.value());
  if (found.empty())
    return Status::error("folder `{}` holds no data", folder);
  std::sort(found.begin(), found.end());
  out.insert(out.end(), found.begin(), found.end());
  return {};
}

Result<std::vector<std::string>> expandDataPaths(const std::vector<std::string> &paths) {
  std::vector<std::string> files;
  if (paths.empty())
    return Status::error("no data: name files, folders or globs with --data");
  for (const std::string &path : paths) {
    std::error_code code;
    if (fs::is_directory(path, code)) {
      MOIRE_TRY(addFolder(path, files));
    } else if (fs::exists(path, code) || path.find_first_of("*?[") == std::string::npos) {
      files.push_back(path);
    } else {
      glob_t found{};
      const int failed = ::glob(path.c_str(), 0, nullptr, &found);
      const std::vector<std::string> matches(found.gl_pathv, found.gl_pathv + (failed ? 0 : found.gl_pathc));
      ::globfree(&found);
      if (matches.empty())
        return Status::error("`{}` matches no file", path);
      for (const std::string &match : matches) {
        if (fs::is_directory(match, code))
          MOIRE_TRY(addFolder(match, files));
        else
          files.push_back(match);
      }
    }
  }
  return files;
}

Result<TokenStream> TokenStream::open(const std::vector<std::string> &paths, const Tokenizer &tokenizer,
                                      int64_t vocab) {
  if (tokenizer.isSentencePiece() && tokenizer.pieces() > vocab)
    return Status::error("tokenizer `{}` has {} pieces, but the model's vocab is {}", tokenizer.modelPath(),
                         tokenizer.pieces(), vocab);
  MOIRE_ASSIGN(const std::vector<std::string> names, expandDataPaths(paths));
  TokenStream stream;
  for (const std::string &name : names) {
    MOIRE_ASSIGN(TokenFile file, TokenFile::open(name, tokenizer, vocab));
    if (!stream.files.empty() && stream.isText() != file.isText())
      return Status::error("`{}` holds {}, but `{}` holds {}: one run reads one kind", name,
                           file.isText() ? "text" : "token numbers", stream.files.front().path(),
                           stream.isText() ? "text" : "token numbers");
    stream.starts.push_back(stream.total);
    stream.total += file.size();
    stream.files.push_back(std::move(file));
  }
  return stream;
}

size_t TokenStream::fileAt(int64_t position) const {
  return static_cast<size_t>(std::upper_bound(starts.begin(), starts.end(), position) - starts.begin()) - 1;
}

void TokenStream::read(int64_t begin, int64_t n, int32_t *out) const {
  for (size_t f = fileAt(begin); n > 0; ++f) {
    const int64_t at = begin - starts[f], take = std::min(n, files[f].size() - at);
    files[f].read(at, take, out);
    begin += take, n -= take, out += take;
  }
}

int64_t TokenStream::textBytes(Range range) const {
  int64_t bytes = 0;
  for (size_t f = fileAt(range.begin); f < files.size() && starts[f] < range.end; ++f)
    bytes += files[f].textBytes(std::max(range.begin - starts[f], int64_t(0)),
                                std::min(range.end - starts[f], files[f].size()));
  return bytes;
}

Json TokenStream::identity() const {
  Sha256 digest;
  uint64_t bytes = 0;
  for (const TokenFile &file : files) {
    digest.update(fmt::format("{}\n", file.fileBytes())).update(file.head(65536));
    bytes += file.fileBytes();
  }
  return {{"files", files.size()}, {"bytes", bytes}, {"tokens", total}, {"sha256", digest.hex()}};
}

Split splitByPosition(int64_t size, double holdout) {
  const auto train = static_cast<int64_t>(static_cast<double>(size) * (1.0 - holdout));
  return {{0, train}, {train, size}};
}

/// Fills row `row` from the tokens at `start`; targets at or beyond `end` do not count.
static void fillRow(const TokenStream &data, int64_t start, int64_t end, int64_t row, Batch &batch) {
  int32_t *const tokens = batch.tokens.data() + row * batch.context;
  int32_t *const targets = batch.targets.data() + row * batch.context;
  const int64_t inputs = std::clamp<int64_t>(end - start, 0, batch.context);
  const int64_t known = std::clamp<int64_t>(end - start - 1, 0, batch.context);
  std::fill_n(tokens + inputs, batch.context - inputs, 0);
  std::fill_n(targets + known, batch.context - known, -1);
  if (inputs > 0)
    data.read(start, inputs, tokens);
  if (known == 0)
    return;
  std::copy_n(tokens + 1, known - 1, targets);
  data.read(start + known, 1, targets + known - 1);
}

void sampleBatch(const TokenStream &data, Range train, int64_t seed, int64_t step, int64_t micro, Batch &batch) {
  const Philox random(static_cast<uint64_t>(seed), "data");
  const auto starts = static_cast<uint64_t>(train.size() - batch.context);
  for (int64_t row = 0; row < batch.rows; ++row) {
    const auto block = random.at({static_cast<uint32_t>(row), static_cast<uint32_t>(micro), static_cast<uint32_t>(step),
                                  static_cast<uint32_t>(step >> 32)});
    fillRow(data, train.begin + static_cast<int64_t>(boundedBy(starts, block)), train.end, row, batch);
  }
}

int64_t batchesIn(Range range, const Batch &batch) {
  const int64_t tokens = batch.rows * batch.context;
  return (range.size() - 1 + tokens - 1) / tokens;
}

void fillBatch(const TokenStream &data, Range range, int64_t number, Batch &batch) {
  for (int64_t row = 0; row < batch.rows; ++row) {
    const int64_t start = range.begin + (number * batch.rows + row) * batch.context;
    fillRow(data, std::min(start, range.end), range.end, row, batch);
  }
}

} // namespace moire::runtime
