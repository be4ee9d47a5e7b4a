#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The bill of full-size specs against the counts of the papers, as exact integers."""
import json
import os
import subprocess
import sys
import tempfile

from abi import BUILD, SOURCE

TRAIN = "train {{ batch = {batch}   context = 128   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}"


def bill(body, vocab=50257, batch=1):
    spec = f"""model m(vocab = {vocab}) {{
  {body}
}}
{TRAIN.format(batch=batch)}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".moire") as file:
        file.write(spec)
        file.flush()
        run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), file.name, "--cost=json"], capture_output=True,
                             text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["parameters"]


def example(name, preset, file=None):
    """The parameters of an example's preset."""
    path = os.path.join(SOURCE, "examples", name, f"{file or name}.moire")
    run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), path, "--preset", preset, "--cost=json"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["parameters"]


def layers(width, depth, *branches):
    inner = "\n    ".join(f"x += rms_norm(x) |> {branch}" for branch in branches)
    return f"""x = embed(tokens, vocab, width = {width})
  repeat {depth} {{
    {inner}
  }}
  return rms_norm(x) |> head(vocab)"""


MAMBA = "mamba(state = 16, conv = 4, expand = 2)"


def attention(width):
    return f"attention(heads = {width // 64}, rope = 10000.0)"


def switch(hidden, experts):
    return f"moe(expert = mlp(hidden = {hidden}, activation = relu), experts = {experts}, top_k = 1)"


def fine(width, expansion, granularity):
    return f"moe(expert = mlp(hidden = {4 * width}, activation = relu), expansion = {expansion}, granularity = {granularity})"


def expect(name, parameters, roles, wanted, active=None):
    found = sum(parameters["by_role"][role] for role in roles)
    ok = found == wanted
    # What the papers leave out here (embedding, head, norms, some routers) is active in every token.
    rest = parameters["total"] - found
    if active is not None:
        ok = ok and parameters["active"] - rest == active
    print(f"{'ok  ' if ok else 'FAIL'} {name}: {found:,} (published {wanted:,})"
          + (f", active {parameters['active'] - rest:,} (published {active:,})" if active is not None else ""))
    return ok


def main():
    results = []
    check = lambda *a, **k: results.append(expect(*a, **k))
    # MoE-Mamba, arXiv 2401.04081
    small = example("moe_mamba", "small", file="paper")
    check("MoE-Mamba small", small, ("expert", "ssm", "router"), 542_212_096)
    check("  experts", small, ("expert",), 528_482_304)
    check("  Mamba", small, ("ssm",), 13_557_760)
    check("  router", small, ("router",), 172_032)
    check("  without router", small, ("expert", "ssm"), 542_212_096 - 172_032, 26_140_672)
    big = example("moe_mamba", "big", file="paper")
    check("MoE-Mamba big", big, ("expert", "ssm", "router"), 2_439_020_544)
    check("  experts", big, ("expert",), 2_378_170_368)
    check("  without router", big, ("expert", "ssm"), 2_439_020_544 - 516_096, 116_957_184)
    for preset, count in (("small", 542_212_096), ("big", 2_439_020_544)):
        check(f"MoE-Mamba {preset}, side by side", example("moe_mamba_parallel", preset), ("expert", "ssm", "router"), count)
    check("Mamba 16 x 512", bill(layers(512, 16, MAMBA)), ("ssm",), 27_115_520)
    check("Mamba 32 x 768", bill(layers(768, 32, MAMBA)), ("ssm",), 120_668_160)
    check("Transformer-MoE small", bill(layers(512, 8, attention(512), switch(2048, 32))), ("expert", "attention"),
          545_259_520, 25_165_824)
    check("Transformer-MoE big", bill(layers(768, 16, attention(768), switch(3072, 32))), ("expert", "attention"),
          2_453_667_840, 113_246_208)
    for experts, total in ((1, 26_140_672), (4, 63_889_408), (8, 114_221_056), (16, 214_884_352), (32, 416_210_944)):
        check(f"MoE-Mamba v1, {experts} experts", bill(layers(512, 8, MAMBA, switch(1536, experts))), ("expert", "ssm"),
              total)
    # Fine-grained law, arXiv 2402.07871: granularity leaves the experts' total unchanged.
    for width, depth, active, total in ((768, 12, 84_934_656, 3_652_190_208), (512, 8, 25_165_824, 1_082_130_432)):
        for granularity in (1, 4, 8):
            check(f"fine-grained {width} x {depth}, E 64, G {granularity}",
                  bill(layers(width, depth, attention(width), fine(width, 64, granularity))), ("expert", "attention"),
                  total, active)
    # Megrez2, arXiv 2507.17728: three layers share a pool, each has a router that reads the layer before, and an expert
    # of its own that every token goes to.
    megrez = """x = embed(tokens, vocab, width = 2048)
  x += rms_norm(x) |> attention(heads = 16, kv_heads = 4, rope = 1e6)
  prev = rms_norm(x)
  x += swiglu(prev, hidden = 10944)
  repeat 10 {
    let pool = experts(expert = swiglu(hidden = 1408), experts = 64)
    repeat 3 {
      x += rms_norm(x) |> attention(heads = 16, kv_heads = 4, rope = 1e6)
      h = rms_norm(x)
      r = route(prev, experts = 64, top_k = 6, gate = sigmoid_topk, renormalize = true)
      x += pool(h, r) + swiglu(h, hidden = 5632)
      prev = h
    }
  }
  return rms_norm(x) |> head(vocab)"""
    pools = bill(megrez, vocab=128880)
    check("Megrez2 experts in pools of three layers", pools, ("expert",), 5_536_481_280)
    check("  routers", pools, ("router",), 3_932_160)
    check("  feed-forward, shared and dense", pools, ("ffn",), 1_038_090_240 + 67_239_936)
    check("  embedding and head", pools, ("embedding", "head"), 527_892_480)
    check("  without embedding and head", pools, ("expert", "router", "ffn", "attention"), 7_498_694_656 - 527_892_480,
          2_991_456_256)
    apart = bill(megrez.replace("    let pool = experts(expert = swiglu(hidden = 1408), experts = 64)\n", "").replace(
        "      h = rms_norm(x)\n", "      h = rms_norm(x)\n      let pool = experts(expert = swiglu(hidden = 1408))\n"),
        vocab=128880)
    check("  with a pool for each layer", apart, ("expert",), 16_609_443_840)
    # Mixtral 8x7B
    mixtral = bill("""x = embed(tokens, vocab, width = 4096)
  repeat 32 {
    x += rms_norm(x) |> attention(heads = 32, kv_heads = 8, rope = 1e6)
    x += rms_norm(x) |> moe(expert = swiglu(hidden = 14336), experts = 8, top_k = 2, renormalize = true)
  }
  return rms_norm(x) |> head(vocab)""", vocab=32000)
    check("Mixtral 8x7B experts", mixtral, ("expert",), 45_097_156_608)
    check("  all", mixtral, mixtral["by_role"], 46_702_792_704)
    # Mixture of Tokens, arXiv 2310.15961, and experts that choose, arXiv 2402.07871: the presets of the examples.
    for preset, total, controllers in (("medium", 337_200_128, 524_288), ("base", 1_955_194_368, 9_437_184)):
        parameters = example("mixture_of_tokens", preset)
        check(f"Mixture of Tokens {preset}", parameters,
              ("expert", "router", "attention", "ffn", "embedding", "head"), total)
        check("  controllers", parameters, ("router",), controllers)
    released = bill("""let table = embed(vocab, width = 512)
  x = table(tokens)
  repeat 8 {
    x += rms_norm(x) |> attention(heads = 8, rope = 10000.0)
    x += rms_norm(x) |> moe(expert = mlp(hidden = 256, activation = relu), experts = 256, choice = mixture, group = 32)
  }
  return rms_norm(x) |> head(vocab, tied = table)""", vocab=50257, batch=32)
    check("Mixture of Tokens, the released model", released, ("expert",), 536_870_912)
    check("  and all but norms (573M on its card)", released, ("expert", "router", "attention", "embedding"),
          536_870_912 + 1_048_576 + 8_388_608 + 25_731_584)
    for preset, active, total in (("medium", 25_165_824, 1_082_130_432), ("base", 84_934_656, 3_652_190_208)):
        parameters = example("expert_choice", preset)
        check(f"expert choice {preset}", parameters, ("expert", "attention"), total, active)
    # DeepSeek-V3, arXiv 2412.19437: the attention of one layer, its two norms included (those before layers left out)
    latent = ("latent_attention(heads = 128, kv_latent = 512, q_latent = 1536, nope_dim = 128, rope_dim = 64, "
              "value_dim = 128)")
    deepseek = bill(layers(7168, 1, latent), vocab=1000)
    check("DeepSeek-V3 attention", deepseek, ("attention",), 187_105_280)
    deepseek["by_role"]["norm"] -= 2 * 7168
    check("  with its norms", deepseek, ("attention", "norm"), 187_107_328)
    # gpt-oss-20b: 64 heads of 64, 8 of keys and values, biases, and a sink for each head
    sinks = bill(layers(2880, 1, "attention(heads = 64, kv_heads = 8, head_dim = 64, sinks = true, bias = true)"),
                 vocab=1000)
    check("gpt-oss attention", sinks, ("attention",), 2880 * 5120 + 5120 + 4096 * 2880 + 2880 + 64)
    # Mamba-1 layers and the 130M model
    for width, count in ((256, 437_760), (512, 1_694_720), (768, 3_770_880)):
        check(f"Mamba layer {width}", bill(layers(width, 1, MAMBA)), ("ssm",), count)
    tied = f"""let table = embed(vocab, width = 768)
  x = tokens |> table
  repeat 24 {{ x += rms_norm(x) |> {MAMBA} }}
  return rms_norm(x) |> head(vocab, tied = table)"""
    whole = bill(tied, vocab=50280)
    results.append(whole["total"] == 129_135_360)
    print(f"{'ok  ' if results[-1] else 'FAIL'} mamba-130m: {whole['total']:,} (published 129,135,360)")
    # Mamba-2: the layer with its norm, and the 130M model
    layer = bill(layers(768, 1, "mamba2"))
    check("Mamba-2 layer 768, without its norm", layer, ("ssm",), 3_764_552 - 1536)
    check("Mamba-2 layer 768, and the two norms around it", layer, ("ssm", "norm"), 3_764_552 + 2 * 768)
    results.append(example("mamba2", "m130")["total"] == 128_989_632)
    print(f"{'ok  ' if results[-1] else 'FAIL'} mamba2-130m (published 128,989,632)")
    # Jamba's Mamba-1 at a width of 4096: norms of the low-rank step (256), of B and of C (16 each).
    jamba, plain = (bill(layers(4096, 1, f"mamba(inner_norm = {inner})")) for inner in ("true", "false"))
    results.append(jamba["total"] - plain["total"] == 256 + 16 + 16)
    print(f"{'ok  ' if results[-1] else 'FAIL'} Mamba with inner norms: {jamba['total'] - plain['total']} more")
    # The whole model: 28 Mamba layers and 4 of attention, 16 mixtures of 16 experts and 16 plain layers.
    total = example("jamba", "v01")["total"]
    results.append(total == 51_570_323_328)
    print(f"{'ok  ' if results[-1] else 'FAIL'} Jamba v0.1: {total:,} (published 52B)")
    # MoE-Mamba with its layers side by side: what alternates, with one norm less a block.
    for preset, width, blocks, published in (("small", 512, 8, 542_212_096), ("big", 768, 16, 2_439_020_544)):
        total = example("moe_mamba_parallel", preset)["total"]
        outside = 2 * 50257 * width + (blocks + 1) * width
        results.append(total - outside == published)
        print(f"{'ok  ' if results[-1] else 'FAIL'} MoE-Mamba parallel {preset}: {total - outside:,} (published "
              f"{published:,})")
    return all(results)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
