//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Enumerations: the words of the language that reach the IR.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_ENUMS_TD
#define MOIRE_ENUMS_TD

include "mlir/IR/EnumAttr.td"
include "dialect/IR/MoireDialect.td"

class Moire_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::moire";
  let genSpecializedAttr = 0;
}
class Moire_EnumAttr<EnumInfo info, string mnemonic> : EnumAttr<Moire_Dialect, info, mnemonic> {
  let assemblyFormat = "$value"; // prints its own space: ops write "`` $kind"
}

def Moire_Unary : Moire_Enum<"Unary", "pointwise functions of one operand", [
  I32EnumAttrCase<"Neg", 0, "neg">, I32EnumAttrCase<"Exp", 1, "exp">, I32EnumAttrCase<"Log", 2, "log">,
  I32EnumAttrCase<"Relu", 3, "relu">, I32EnumAttrCase<"Relu2", 4, "relu2">, I32EnumAttrCase<"Gelu", 5, "gelu">,
  I32EnumAttrCase<"Silu", 6, "silu">, I32EnumAttrCase<"Sigmoid", 7, "sigmoid">,
  I32EnumAttrCase<"Softplus", 8, "softplus">, I32EnumAttrCase<"Tanh", 9, "tanh">]>;
def Moire_UnaryAttr : Moire_EnumAttr<Moire_Unary, "unary">;

def Moire_Binary : Moire_Enum<"Binary", "pointwise functions of two operands", [
  I32EnumAttrCase<"Add", 0, "add">, I32EnumAttrCase<"Sub", 1, "sub">, I32EnumAttrCase<"Mul", 2, "mul">]>;
def Moire_BinaryAttr : Moire_EnumAttr<Moire_Binary, "binary">;

def Moire_NormKind : Moire_Enum<"NormKind", "normalisations", [
  I32EnumAttrCase<"Rms", 0, "rms">, I32EnumAttrCase<"Layer", 1, "layer">]>;
def Moire_NormKindAttr : Moire_EnumAttr<Moire_NormKind, "norm">;

/// How scores are made of logits, and whether before the choice or after it. The numbers are those of moire_route.
/// The two softmaxes differ by the mass that top-k drops; scores of one expert alone know no order.
def Moire_Gate : Moire_Enum<"Gate", "scores of a router", [
  I32EnumAttrCase<"SoftmaxTopK", 0, "softmax_topk">, I32EnumAttrCase<"TopKSoftmax", 1, "topk_softmax">,
  I32EnumAttrCase<"SigmoidTopK", 2, "sigmoid_topk">, I32EnumAttrCase<"SqrtSoftplusTopK", 3, "sqrt_softplus_topk">]>;
def Moire_GateAttr : Moire_EnumAttr<Moire_Gate, "gate">;

/// Who chooses: tokens by their scores, a hash of the token's id, the position, so that loads are equal, or experts
/// among the tokens of a group; or nobody, where experts see mixtures of a group, or every token.
def Moire_Choice : Moire_Enum<"Choice", "ways to choose experts", [
  I32EnumAttrCase<"Token", 0, "token">, I32EnumAttrCase<"Hash", 1, "hash">,
  I32EnumAttrCase<"Balanced", 2, "balanced">, I32EnumAttrCase<"Expert", 3, "expert">,
  I32EnumAttrCase<"Mixture", 4, "mixture">, I32EnumAttrCase<"Dense", 5, "dense">]>;
def Moire_ChoiceAttr : Moire_EnumAttr<Moire_Choice, "choice">;

/// What tokens weigh the outputs of a mixture with: the weights that mixed them, those of a controller of its own, or a
/// softmax over experts.
def Moire_Emit : Moire_Enum<"Emit", "weights of the outputs of a mixture", [
  I32EnumAttrCase<"Same", 0, "same">, I32EnumAttrCase<"Separate", 1, "separate">,
  I32EnumAttrCase<"SoftmaxExperts", 2, "softmax_experts">]>;
def Moire_EmitAttr : Moire_EnumAttr<Moire_Emit, "emit">;

def Moire_Padding : Moire_Enum<"Padding", "what a convolution reads before its input begins", [
  I32EnumAttrCase<"Causal", 0, "causal">, I32EnumAttrCase<"Valid", 1, "valid">]>;
def Moire_PaddingAttr : Moire_EnumAttr<Moire_Padding, "padding">;

/// What q and k are normalised over.
def Moire_QkNorm : Moire_Enum<"QkNorm", "normalisations of queries and keys", [
  I32EnumAttrCase<"Head", 0, "head">, I32EnumAttrCase<"Full", 1, "full">]>;
def Moire_QkNormAttr : Moire_EnumAttr<Moire_QkNorm, "qk_norm">;

/// How fine the gate on the output of attention is.
def Moire_OutputGate : Moire_Enum<"OutputGate", "gates on what the heads give", [
  I32EnumAttrCase<"Head", 0, "head">, I32EnumAttrCase<"Element", 1, "element">]>;
def Moire_OutputGateAttr : Moire_EnumAttr<Moire_OutputGate, "output_gate">;

/// How rotary positions are stretched over a longer context than the one trained on.
def Moire_RopeScaling : Moire_Enum<"RopeScaling", "stretched rotary positions", [
  I32EnumAttrCase<"Linear", 0, "linear">, I32EnumAttrCase<"Ntk", 1, "ntk">, I32EnumAttrCase<"Yarn", 2, "yarn">]>;
def Moire_RopeScalingAttr : Moire_EnumAttr<Moire_RopeScaling, "rope_scaling">;

/// What learning rates and width scaling are keyed on.
def Moire_Role : Moire_Enum<"Role", "roles of parameters", [
  I32EnumAttrCase<"Embedding", 0, "embedding">, I32EnumAttrCase<"Head", 1, "head">,
  I32EnumAttrCase<"Attention", 2, "attention">, I32EnumAttrCase<"Ssm", 3, "ssm">,
  I32EnumAttrCase<"Router", 4, "router">, I32EnumAttrCase<"Expert", 5, "expert">,
  I32EnumAttrCase<"Ffn", 6, "ffn">, I32EnumAttrCase<"Norm", 7, "norm">]>;
def Moire_RoleAttr : Moire_EnumAttr<Moire_Role, "role">;

/// How muP treats the weights of routers.
def Moire_RouterScaling : Moire_Enum<"RouterScaling", "treatments of routers under muP", [
  I32EnumAttrCase<"Head", 0, "head">, I32EnumAttrCase<"Branch", 1, "branch">,
  I32EnumAttrCase<"Hidden", 2, "hidden">]>;
def Moire_RouterScalingAttr : Moire_EnumAttr<Moire_RouterScaling, "router_scaling">;

/// The numbers of runtime/abi.h's moire_init.
def Moire_Init : Moire_Enum<"Init", "first values of parameters", [
  I32EnumAttrCase<"Constant", 0, "constant">, I32EnumAttrCase<"Normal", 1, "normal">,
  I32EnumAttrCase<"TruncatedNormal", 2, "truncated_normal">, I32EnumAttrCase<"Uniform", 3, "uniform">,
  I32EnumAttrCase<"LogArange", 4, "log_arange">, I32EnumAttrCase<"DtBias", 5, "dt_bias">,
  I32EnumAttrCase<"LogUniform", 6, "log_uniform">]>;
def Moire_InitAttr : Moire_EnumAttr<Moire_Init, "init">;

#endif
