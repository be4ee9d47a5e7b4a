//===- test/runtime/TokenizerTest.cpp - text to tokens and back ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small SentencePiece model is trained here, so that no model file is needed.
//
//===------------------------------------------------------------------------===//
#include "Support.h"
#include "runtime/Train/Data.h"

#include <numeric>
#include <sentencepiece_trainer.h>

using namespace moire::runtime;

namespace {

class Pieces : public FolderTest {
protected:
  void SetUp() override {
    for (int i = 0; i < 200; ++i)
      text += fmt::format("the quick brown fox number {} jumps over the lazy dog\n", i);
    const std::string input = write("train.txt", text);
    const auto trained = sentencepiece::SentencePieceTrainer::Train(fmt::format(
        "--input={} --model_prefix={} --vocab_size=350 --model_type=bpe --byte_fallback=true --minloglevel=2 "
        "--hard_vocab_limit=false",
        input, path("m")));
    ASSERT_TRUE(trained.ok()) << trained.ToString();
    auto made = Tokenizer::make(path("m.model"));
    ASSERT_OK(made);
    tokenizer = std::make_unique<Tokenizer>(*made);
  }

  std::string text;
  std::unique_ptr<Tokenizer> tokenizer;
};

TEST_F(Pieces, BytesOfTokensAddUpToTheText) {
  for (const std::string &sample : {text, std::string("a  b\n\n\n c"), std::string(40000, 'x') + "\xe2\x82\xac\n"}) {
    const auto encoded = tokenizer->encode(sample);
    ASSERT_OK(encoded);
    ASSERT_EQ(encoded->tokens.size(), encoded->bytes.size());
    const auto sum = std::accumulate(encoded->bytes.begin(), encoded->bytes.end(), size_t(0));
    EXPECT_EQ(sum, sample.size());
  }
}

TEST_F(Pieces, PromptsComeBackAsText) {
  const auto tokens = tokenizer->encodePrompt("the quick brown fox");
  ASSERT_OK(tokens);
  EXPECT_LT(tokens->size(), 19u);
  EXPECT_EQ(tokenizer->decode(*tokens), "the quick brown fox");
}

TEST_F(Pieces, StreamsCountTheirBytes) {
  const auto stream = TokenStream::open({write("a.txt", text)}, *tokenizer, 512);
  ASSERT_OK(stream);
  EXPECT_TRUE(stream->isText());
  EXPECT_LT(stream->size(), int64_t(text.size()));
  EXPECT_EQ(stream->textBytes({0, stream->size()}), int64_t(text.size()));
  EXPECT_ERROR(TokenStream::open({path("a.txt")}, *tokenizer, 100), "pieces, but the model's vocab is 100");
}

TEST(Prompts, BytesAndNumbers) {
  EXPECT_EQ(*Tokenizer::make("bytes")->encodePrompt("h\xff"), (std::vector<int32_t>{'h', 255}));
  EXPECT_EQ(*Tokenizer::make("u16")->encodePrompt(" 17 4"), (std::vector<int32_t>{17, 4}));
  EXPECT_ERROR(Tokenizer::make("u16")->encodePrompt("hello"), "give the prompt as numbers");
  EXPECT_ERROR(Tokenizer::make("u16")->encodePrompt("1 -2"), "give the prompt as numbers");
  EXPECT_ERROR(Tokenizer::make("bytes")->encodePrompt(""), "the prompt is empty");
  EXPECT_EQ(Tokenizer::make("u16")->decode({1, 2}), "1 2 ");
}

} // namespace
