//===- test/runtime/CoreTest.cpp - hashes, random numbers, JSON, files ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The small parts that everything else stands on, against published vectors
// where there are some.
//
//===------------------------------------------------------------------------===//
#include "Support.h"
#include "runtime/Core/Buffer.h"
#include "runtime/Core/CpuFeatures.h"
#include "runtime/Core/Elf.h"
#include "runtime/Core/File.h"
#include "runtime/Core/Hash.h"
#include "runtime/Core/Json.h"
#include "runtime/Core/Philox.h"
#include "runtime/Core/Process.h"

#include <cstring>

using namespace moire::runtime;

namespace {

class Files : public FolderTest {};

TEST(Hash, Sha256MatchesFips180) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // In pieces that do not fit blocks.
  Sha256 pieces;
  for (int i = 0; i < 1000; ++i)
    pieces.update(std::string(1000, 'a'));
  EXPECT_EQ(pieces.hex(), sha256(std::string(1000000, 'a')));
}

TEST(Hash, Fnv1aMatchesItsVectors) {
  EXPECT_EQ(fnv1a64(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a64("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171f73967e8u);
}

TEST(Philox, MatchesKnownAnswers) {
  // The known-answer vectors of Random123 for philox4x32 with 10 rounds.
  EXPECT_EQ(Philox(0).at(Philox::Block{0, 0, 0, 0}), (Philox::Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox(UINT64_MAX).at(Philox::Block{~0u, ~0u, ~0u, ~0u}),
            (Philox::Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox(0x299f31d0a4093822).at(Philox::Block{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Philox::Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamsDifferByNameAndSeed) {
  EXPECT_NE(Philox(1, "a").at(0), Philox(1, "b").at(0));
  EXPECT_NE(Philox(1, "a").at(0), Philox(2, "a").at(0));
  EXPECT_EQ(Philox(1, "a").at(5, 9), Philox(1, "a").at(5, 9));
}

TEST(Philox, BoundedNumbersStayInside) {
  EXPECT_EQ(boundedBy(10, {~0u, ~0u, 0, 0}), 9u);
  EXPECT_EQ(boundedBy(10, {0, 0, ~0u, ~0u}), 0u);
  EXPECT_GT(openUnit(0), 0.0);
  EXPECT_LT(openUnit(~0u), 1.0);
}

TEST(Json, RefusesDuplicatesAndNonsense) {
  EXPECT_ERROR(parseJson(R"({"a":1,"b":{"a":2},"a":3})", "x"), "key `a` is given twice");
  EXPECT_OK(parseJson(R"([{"a":1},{"a":2}])", "x"));
  EXPECT_ERROR(parseJson("{", "x"), "x: not valid JSON");
}

TEST(Json, ReaderChecksKinds) {
  const auto read = [](const char *text) {
    int64_t n = 0;
    double d = 0;
    const auto json = parseJson(text, "x");
    ObjectReader reader(*json, "x");
    reader.count("n", n, 1).optional().number("d", d, 0, 1);
    return reader.finish();
  };
  EXPECT_OK(read(R"({"n":4})"));
  EXPECT_ERROR(read(R"({"n":4.0})"), "`n` must be a whole number");
  EXPECT_ERROR(read(R"({"n":18446744073709551615})"), "`n` must be a whole number");
  EXPECT_ERROR(read(R"({"n":0})"), "`n` must be a whole number");
  EXPECT_ERROR(read(R"({"n":"4"})"), "`n` must be a whole number");
  EXPECT_ERROR(read(R"({"n":4,"d":2})"), "`d` must be a number from 0 to 1, not 2");
  EXPECT_ERROR(read(R"({"n":4,"e":2})"), "unknown key `e` (known: d, n)");
  EXPECT_ERROR(read(R"({"d":1})"), "key `n` is missing");
  EXPECT_ERROR(read("[1]"), "expected an object");
}

TEST(Buffer, IsAlignedAndZero) {
  for (const size_t bytes : {size_t(1), size_t(4096), size_t(5) << 20}) {
    auto buffer = Buffer::allocate(bytes, "test");
    ASSERT_OK(buffer);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % (bytes > (2u << 20) ? 2u << 20 : 64u), 0u);
    const auto *data = static_cast<const unsigned char *>(buffer->data());
    EXPECT_EQ(data[0] | data[bytes - 1], 0);
  }
  EXPECT_EQ(Buffer::allocate(0, "nothing")->data(), nullptr);
  EXPECT_ERROR(Buffer::allocate(SIZE_MAX / 2, "moon"), "not enough memory: the moon takes");
  EXPECT_ERROR(Buffer::allocate(SIZE_MAX, "moon"), "not enough memory");
}

TEST(CpuFeatures, NamesWhatIsMissing) {
  EXPECT_TRUE(missingCpuFeatures("").empty());
  EXPECT_TRUE(missingCpuFeatures("sse2").empty());
  EXPECT_EQ(missingCpuFeatures("sse2,warp-drive"), std::vector<std::string>{"warp-drive"});
  EXPECT_TRUE(missingCpuFeatures(cpuFeatures()).empty());
}

TEST_F(Files, ReplaceKeepsTheOldFileOnFailure) {
  const std::string file = write("a", "old");
  EXPECT_OK(replaceFile(file, "new"));
  EXPECT_EQ(*readFile(file), "new");
  EXPECT_ERROR(replaceFile(path("missing/a"), "new"), "cannot write `" + path("missing/a"));
  EXPECT_ERROR(MappedFile::open(path("missing")), "No such file");
  EXPECT_ERROR(MappedFile::open(folder), "is not a regular file");
}

TEST_F(Files, MappingSurvivesRelease) {
  std::string text(300000, 'x');
  text[200000] = 'y';
  const auto file = MappedFile::open(write("a", text));
  ASSERT_OK(file);
  file->release(100000, 250000);
  EXPECT_EQ(file->bytes(), text);
  EXPECT_TRUE(MappedFile::open(write("empty", ""))->bytes().empty());
}

TEST_F(Files, ALockIsExclusive) {
  {
    const auto lock = FolderLock::take(folder);
    ASSERT_OK(lock);
    EXPECT_ERROR(FolderLock::take(folder), "is in use");
  }
  EXPECT_OK(FolderLock::take(folder));
}

TEST(Process, ReturnsOutputOrFails) {
  EXPECT_EQ(*runProgram({"printf", "%s", "a b"}), "a b");
  EXPECT_ERROR(runProgram({"false"}), "failed with exit code 1");
  EXPECT_ERROR(runProgram({"/no/such/program"}), "/no/such/program");
  EXPECT_ERROR(runProgram({"sh", "-c", "kill -9 $$"}), "signal 9");
}

TEST_F(Files, ElfSymbols) {
  const auto symbols = undefinedSymbols(fakePath("fake-missing-symbol"));
  ASSERT_OK(symbols);
  EXPECT_NE(std::find(symbols->begin(), symbols->end(), "moire_no_such_kernel"), symbols->end());
  EXPECT_ERROR(undefinedSymbols(write("text.so", "hello")), "not a 64-bit ELF");
  const std::string bytes = *readFile(fakePath());
  for (const size_t size : {size_t(64), bytes.size() / 2, bytes.size() - 100})
    (void)undefinedSymbols(write("cut.so", bytes.substr(0, size))).ok(); // must not crash
  EXPECT_ERROR(undefinedSymbols(write("cut.so", bytes.substr(0, 64))), "truncated");
}

} // namespace
