//===- test/runtime/DataTest.cpp - files to batches ------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every kind of data file, every way in which one can be wrong, and the batches
// that are cut from the good ones.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Data.h"
#include "Support.h"
#include "runtime/Core/Philox.h"

#include <set>

using namespace moire::runtime;

namespace {

class Data : public FolderTest {
protected:
  Result<TokenStream> open(const std::vector<std::string> &paths, const std::string &tokenizer = "",
                           int64_t vocab = 256) const {
    MOIRE_ASSIGN(const Tokenizer made, Tokenizer::make(tokenizer));
    return TokenStream::open(paths, made, vocab);
  }
  std::vector<int32_t> all(const TokenStream &stream) const {
    std::vector<int32_t> tokens(static_cast<size_t>(stream.size()));
    stream.read(0, stream.size(), tokens.data());
    return tokens;
  }
};

template <typename T> std::string raw(const std::vector<T> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

std::string npy(const std::string &dictionary, const std::string &data, char version = 1) {
  std::string header = dictionary + "\n";
  std::string bytes = std::string("\x93NUMPY") + version + '\0' + static_cast<char>(header.size() & 255) +
                      static_cast<char>(header.size() >> 8);
  if (version > 1)
    bytes += std::string(2, '\0');
  return bytes + header + data;
}

std::string npy(const std::string &dtype, int count, const std::string &data) {
  return npy(fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", dtype, count), data);
}

TEST_F(Data, TextIsBytes) {
  const auto stream = open({write("a.txt", "h\xffi")});
  ASSERT_OK(stream);
  EXPECT_EQ(all(*stream), (std::vector<int32_t>{'h', 255, 'i'}));
  EXPECT_TRUE(stream->isText());
  EXPECT_EQ(stream->textBytes({1, 3}), 2);
}

TEST_F(Data, FoldersGlobsAndFilesAreJoinedInOrder) {
  write("d/b.txt", "B"), write("d/a/z.txt", "Z"), write("d/.git/x", "hidden"), write("d/.y", "hidden");
  write("d/empty.txt", ""), write("g2.txt", "2"), write("g1.txt", "1"), write("f.txt", "F");
  const auto stream = open({path("f.txt"), path("d"), path("g*.txt")});
  ASSERT_OK(stream);
  EXPECT_EQ(all(*stream), (std::vector<int32_t>{'F', 'Z', 'B', '1', '2'}));
  std::vector<int32_t> middle(3);
  stream->read(1, 3, middle.data());
  EXPECT_EQ(middle, (std::vector<int32_t>{'Z', 'B', '1'}));
  EXPECT_EQ(stream->textBytes({1, 4}), 3);
}

TEST_F(Data, PathsThatGiveNothing) {
  EXPECT_ERROR(open({}), "no data");
  EXPECT_ERROR(open({path("none.txt")}), "cannot open `" + path("none.txt"));
  EXPECT_ERROR(open({path("*.txt")}), "matches no file");
  EXPECT_ERROR(open({write("e.txt", "")}), "e.txt` is empty");
  std::filesystem::create_directories(path("d"));
  EXPECT_ERROR(open({path("d")}), "holds no data");
}

TEST_F(Data, BinFiles) {
  const std::string u16 = write("a.bin", raw<uint16_t>({1, 65535, 3})), u32 = write("b.bin", raw<uint32_t>({1, 70000}));
  EXPECT_EQ(all(*open({u16}, "u16", 65536)), (std::vector<int32_t>{1, 65535, 3}));
  EXPECT_EQ(all(*open({u32}, "u32", 70001)), (std::vector<int32_t>{1, 70000}));
  EXPECT_FALSE(open({u16}, "u16", 65536)->isText());
  EXPECT_EQ(open({u16}, "bytes")->size(), 6);
  EXPECT_ERROR(open({u16}), "say --tokenizer u16, u32, or bytes");
  EXPECT_ERROR(open({write("odd.bin", "abc")}, "u16"), "has 3 bytes: not a whole number of u16 tokens");
  EXPECT_ERROR(open({write("odd.bin", "abcdef")}, "u32"), "not a whole number of u32 tokens");
  EXPECT_ERROR(open({write("t.txt", "ab")}, "u16"), "is not a .bin or .npy file");
}

TEST_F(Data, TokensPastTheVocabularyAreNamed) {
  EXPECT_ERROR(open({write("a.bin", raw<uint16_t>({1, 2, 300, 4}))}, "u16", 256),
               "a.bin`: token 2 is 300, but the model's vocab is 256");
  EXPECT_ERROR(open({write("a.txt", "ab\x80")}, "", 128), "a.txt`: token 2 is 128, but the model's vocab is 128");
  EXPECT_ERROR(open({write("a.npy", npy("<i8", 3, raw<int64_t>({0, -1, 2})))}), "token 1 is -1");
  EXPECT_ERROR(open({write("b.npy", npy("<i8", 2, raw<int64_t>({0, int64_t(1) << 32})))}), "token 1 is 4294967296");
  std::vector<uint32_t> far(3000000, 1);
  far[2500000] = UINT32_MAX;
  EXPECT_ERROR(open({write("far.bin", raw(far))}, "u32"), "token 2500000 is 4294967295");
}

TEST_F(Data, NpyFiles) {
  const std::vector<int32_t> expected = {1, 2, 250};
  EXPECT_EQ(all(*open({write("a.npy", npy("<u2", 3, raw<uint16_t>({1, 2, 250})))})), expected);
  EXPECT_EQ(all(*open({write("b.npy", npy("<u4", 3, raw<uint32_t>({1, 2, 250})))})), expected);
  EXPECT_EQ(all(*open({write("c.npy", npy("<i4", 3, raw<int32_t>({1, 2, 250})))})), expected);
  EXPECT_EQ(all(*open({write("d.npy", npy("<i8", 3, raw<int64_t>({1, 2, 250})))})), expected);
  const std::string square = "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), }";
  EXPECT_EQ(open({write("e.npy", npy(square, raw<uint16_t>({1, 2, 3, 4}), 2))})->size(), 4);
}

TEST_F(Data, NpyFilesThatAreWrong) {
  const std::string good = npy("<u2", 3, raw<uint16_t>({1, 2, 3}));
  const auto fails = [&](const std::string &bytes, const std::string &text) {
    EXPECT_ERROR(open({write("x.npy", bytes)}), text);
  };
  fails(good.substr(0, good.size() - 1), "is truncated: 3 tokens promised, 5 bytes of them found");
  fails(good.substr(0, 30), "is truncated: its header is incomplete");
  fails(good.substr(0, 9), "is truncated");
  fails(good + "x", "has 1 bytes after its 3 tokens");
  fails("not a numpy file at all", "is not a .npy file");
  fails(npy("<f4", 1, "abcd"), "has dtype `<f4`; tokens are");
  fails(npy(">u2", 1, "ab"), "has dtype `>u2`");
  fails(npy("<u2", 0, ""), "holds no tokens");
  fails(npy("{'descr': '<u2', 'fortran_order': True, 'shape': (2, 2), }", "abcdefgh"), "is in Fortran order");
  for (const char *dictionary :
       {"", "{", "{'descr': '<u2'}", "{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
        "{'descr': '<u2', 'descr': '<u2', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1,), } x", "{'descr': [('a', '<u2')], "})
    fails(npy(dictionary, "ab"), "malformed .npy header");
  std::string version = good;
  version[6] = 9;
  fails(version, "has .npy version 9.0");
}

TEST_F(Data, KindsDoNotMix) {
  const std::string numbers = write("a.npy", npy("<u2", 1, raw<uint16_t>({1}))), text = write("b.txt", "hi");
  EXPECT_ERROR(open({numbers, text}), "b.txt` holds text, but `" + numbers + "` holds token numbers");
  EXPECT_ERROR(Tokenizer::make("words"), "unknown tokenizer `words`");
  EXPECT_ERROR(Tokenizer::make(write("bad.model", "nonsense")), "is not a SentencePiece model");
}

TEST_F(Data, IdentityFollowsContentNotPath) {
  const Json first = open({write("a.txt", "hello")})->identity();
  EXPECT_EQ(open({write("b.txt", "hello")})->identity(), first);
  EXPECT_NE(open({write("c.txt", "hellO")})->identity(), first);
  EXPECT_NE(open({write("d.txt", "hel"), write("e.txt", "lo")})->identity(), first);
}

TEST(Split, IsByPosition) {
  const Split split = splitByPosition(1115394, 0.1);
  EXPECT_EQ(split.train.end, 1003854); // as int(0.9 n) of the usual recipe for this text
  EXPECT_EQ(split.heldOut.begin, 1003854);
  EXPECT_EQ(split.heldOut.end, 1115394);
  EXPECT_EQ(splitByPosition(7, 0).train.size(), 7);
}

TEST_F(Data, SampledBatchesAreAFunctionOfSeedStepAndMicroStep) {
  std::string text(1000, 0);
  for (size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(i % 251);
  const auto stream = open({write("a.txt", text)});
  ASSERT_OK(stream);
  const Range train = {100, 300};
  Batch batch(3, 5), other(3, 5);
  sampleBatch(*stream, train, 7, 2, 1, batch);
  for (int64_t r = 0; r < 3; ++r) {
    // The documented formula, once more.
    const auto block = Philox(7, "data").at({uint32_t(r), 1, 2, 0});
    const int64_t start = 100 + static_cast<int64_t>(boundedBy(200 - 5, block));
    for (int64_t t = 0; t < 5; ++t) {
      EXPECT_EQ(batch.tokens[static_cast<size_t>(r * 5 + t)], (start + t) % 251);
      EXPECT_EQ(batch.targets[static_cast<size_t>(r * 5 + t)], (start + t + 1) % 251);
    }
  }
  sampleBatch(*stream, train, 7, 2, 1, other);
  EXPECT_EQ(other.tokens, batch.tokens);
  for (const auto &[seed, step, micro] : {std::tuple(8, 2, 1), std::tuple(7, 3, 1), std::tuple(7, 2, 0)}) {
    sampleBatch(*stream, train, seed, step, micro, other);
    EXPECT_NE(other.tokens, batch.tokens);
  }
}

TEST_F(Data, SampledWindowsReachBothEnds) {
  const auto stream = open({write("a.txt", "0123456789")});
  ASSERT_OK(stream);
  Batch batch(4, 3);
  std::set<int32_t> firsts, lasts;
  for (int64_t step = 0; step < 200; ++step) {
    sampleBatch(*stream, {0, 10}, 0, step, 0, batch);
    for (int64_t r = 0; r < 4; ++r)
      firsts.insert(batch.tokens[size_t(r * 3)]), lasts.insert(batch.targets[size_t(r * 3 + 2)]);
  }
  EXPECT_EQ(*firsts.begin(), '0');
  EXPECT_EQ(*lasts.rbegin(), '9');
  EXPECT_EQ(*firsts.rbegin(), '6');
}

TEST_F(Data, EvaluationCoversEveryTargetOnce) {
  const std::string text = "abcdefghijklmnopqrstuvwxyz";
  const auto stream = open({write("a.txt", text)});
  for (int64_t end = 2; end <= 26; ++end) {
    Batch batch(2, 3);
    std::string seen;
    for (int64_t number = 0; number < batchesIn({0, end}, batch); ++number) {
      fillBatch(*stream, {0, end}, number, batch);
      for (size_t i = 0; i < batch.targets.size(); ++i)
        if (batch.targets[i] >= 0) {
          EXPECT_EQ(batch.targets[i], batch.tokens[i] + 1);
          seen += static_cast<char>(batch.targets[i]);
        }
    }
    EXPECT_EQ(seen, text.substr(1, static_cast<size_t>(end - 1)));
  }
}

} // namespace
