/*===- runtime/abi.h - what a compiled package offers ------------------------===*
 *
 * Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The compiler writes a package (one shared object that exports
 * `moire_get_package`), the runtime loads it. The two meet in this C header and
 * nowhere else. All memory belongs to the runtime; a package allocates nothing,
 * keeps no state between calls and never throws. Every pointer that a package
 * hands out lives as long as the package stays loaded.
 *
 * Growing this file is a design decision: raise MOIRE_ABI_VERSION.
 *===------------------------------------------------------------------------===*/
#ifndef MOIRE_RUNTIME_ABI_H
#define MOIRE_RUNTIME_ABI_H

#include <stddef.h>
#include <stdint.h>

#define MOIRE_ABI_VERSION 3
#define MOIRE_PACKAGE_SYMBOL "moire_get_package"

#ifdef __cplusplus
extern "C" {
#endif

/** Element types of buffers that cross the boundary. */
typedef enum moire_dtype {
  MOIRE_DTYPE_F32 = 0,
  MOIRE_DTYPE_BF16 = 1,
  MOIRE_DTYPE_F64 = 2,
  MOIRE_DTYPE_I32 = 3
} moire_dtype;

/** How a parameter gets its first values. `a` and `b` are read per kind. */
typedef enum moire_init {
  MOIRE_INIT_CONSTANT = 0,         /**< every element is a */
  MOIRE_INIT_NORMAL = 1,           /**< normal, mean 0, standard deviation a */
  MOIRE_INIT_TRUNCATED_NORMAL = 2, /**< as NORMAL, redrawn outside [-b, b] (absolute) */
  MOIRE_INIT_UNIFORM = 3,          /**< uniform in [a, b) */
  MOIRE_INIT_LOG_ARANGE = 4,       /**< log(1..n) along the last dimension (Mamba's A_log) */
  MOIRE_INIT_DT_BIAS = 5,          /**< inverse softplus of max(exp(U(ln a, ln b)), 1e-4) (Mamba's dt bias) */
  MOIRE_INIT_LOG_UNIFORM = 6       /**< log(U(a, b)) (Mamba-2's A_log) */
} moire_init;

/**
 * One parameter of the model as the compiler stores it. A parameter inside a
 * `repeat` is stacked: `instances` equal tensors lie one after the other, each
 * of shape `shape`. Checkpoints hold one tensor per instance, under
 * `paths[instance]`.
 */
typedef struct moire_parameter {
  const char *name;          /**< symbol in the IR, e.g. "layers.#.moe.router.weight" */
  const char *role;          /**< embedding, head, attention, ssm, router, expert, ffn, norm */
  const char *const *paths;  /**< `instances` full paths, e.g. "layers.3.moe.router.weight" */
  int64_t instances;         /**< 1 when not stacked */
  int32_t rank;              /**< of one instance */
  const int64_t *shape;      /**< of one instance, `rank` extents, row-major */
  int64_t offset;            /**< of the first instance, in elements, in params and, unless it is frozen, in grads and
                                both moments */
  int64_t compute_offset;    /**< of the bf16 copy, in elements, in `compute`; -1 when there is none */
  int32_t init;              /**< moire_init */
  double init_a, init_b;     /**< as `init` says */
  double lr_factor;          /**< multiplies the learning rate: lr_factor * (rate_start * lr + rate_end * lr_end);
                                0 (without a sign_rate): the parameter is frozen, and has neither gradient nor moments */
  double decay_factor;       /**< multiplies the weight decay (0 for norms, biases, A_log, D) */
  double sign_rate;          /**< above 0: no parameter of the loss. Its gradient, which no loss_scale scales, says which
                                way to go: the optimizer subtracts sign_rate * sign(gradient) and leaves it out of the norm,
                                the clipping, the moments and the decay. 0: AdamW */
  double rate_start, rate_end; /**< relative learning rates at the schedule's start and end (arXiv 2507.03526); 1: as scheduled */
  double multiplier;           /**< what the compiled products of this parameter are scaled by (muP); already in the code */
} moire_parameter;

/** A quantity that a step reports besides its loss, e.g. the load of an MoE layer. */
typedef struct moire_metric {
  const char *path;  /**< e.g. "loss", "layers.3.moe.load", "layers.3.moe.balance_loss" */
  const char *kind;  /**< "loss" (cross-entropy, mean over tokens), "aux_loss" (already times its coefficient), "load",
                        "active" (experts that a token meets, mean over tokens); "probe" and "importance" in
                        packages made with `moirec --probe` */
  int64_t offset;    /**< first float in the step's `metrics` array */
  int64_t count;     /**< floats; for "load" one per expert: its share of the assignments, summing to 1;
                        for "probe" a sample of activations, [tokens][features], at the same tokens in every step;
                        for "importance" sums of |x| over the batch's tokens, [features], or [experts][features]: of
                        norms, and of hidden features under the layer's path and ".hidden" */
} moire_metric;

/**
 * All memory of a model, owned by the runtime. Each pointer is aligned to 64
 * bytes; sizes are in the package. `T` below is f32, or f64 in an f64 package.
 */
typedef struct moire_buffers {
  void *params;   /**< T[parameter_elements], master weights */
  void *grads;    /**< T[trained_elements], written by train_step */
  void *moment1;  /**< T[trained_elements], AdamW's first moment */
  void *moment2;  /**< T[trained_elements], AdamW's second moment */
  void *compute;  /**< bf16[compute_elements], copies for products; may be null when compute_elements is 0 */
  void *arena;    /**< scratch of `arena_bytes`; contents need not survive a call */
  void *state;    /**< decoding state of `state_bytes`; all zero bytes = nothing read yet */
} moire_buffers;

/** Scalars of one AdamW step (Loshchilov & Hutter 2019); `step` counts from 1. */
typedef struct moire_adamw {
  double lr;         /**< the scheduled learning rate, without the part of it that `lr_end` is */
  double beta1, beta2, eps, weight_decay;
  double clip;       /**< largest global gradient norm; 0 or less: no clipping */
  double grad_scale; /**< gradients are multiplied by this before anything else */
  double lr_end;     /**< the part of the learning rate that rises to the last one; `lr + lr_end` is the scheduled rate */
  int64_t step;      /**< for bias correction: 1 on the first update */
} moire_adamw;

typedef struct moire_package {
  uint32_t abi_version; /**< MOIRE_ABI_VERSION; first, so that it can always be read */
  uint32_t struct_bytes; /**< sizeof(moire_package) as the compiler knew it */
  const char *model;     /**< name of the model */
  const char *compiler;  /**< version of the compiler */
  const char *spec;      /**< the resolved spec, as text (`moirec --emit=spec`) */
  const char *spec_hash; /**< hex digest of what fixes parameters and computation: resuming demands equality */
  const char *target;    /**< "cpu" */
  const char *features;  /**< comma-separated CPU features that the code needs, e.g. "avx512f,avx512bf16" */
  const char *train_json; /**< the train section, resolved: see docs/runtime.md */
  const char *cost_json;  /**< what `moirec --cost=json` prints */
  int32_t precision;      /**< moire_dtype of products: F32, BF16 or F64 */
  int32_t reserved;
  int64_t batch, context, vocab; /**< tokens and targets are int32[batch][context], in [0, vocab); a target of -1 is ignored */
  int64_t decode_context;  /**< positions that the decoding state has room for */
  int64_t prefill_tokens;  /**< tokens taken by one call of `prefill` */
  int64_t parameter_elements;
  int64_t trained_elements; /**< the beginning of params that is trained; what is frozen lies behind it */
  int64_t compute_elements, arena_bytes, state_bytes, metric_floats;
  int64_t parameter_count;
  const moire_parameter *parameters;
  int64_t metric_count;
  const moire_metric *metrics;

  /* Entry points. Each returns 0, or a negative number when the model has no such step. */

  /** Forward and backward over one batch. Writes grads (overwriting) of `loss_scale` times the objective,
   *  and metrics[metric_floats] (not scaled). */
  int32_t (*train_step)(const moire_buffers *, const int32_t *tokens, const int32_t *targets, double loss_scale,
                        float *metrics);
  /** acc[i] += grads[i] over all parameters (gradient accumulation). */
  int32_t (*accumulate)(const moire_buffers *, void *accumulator);
  /** Clips by the global norm and updates params, moments and compute from grads. The norm before clipping goes to
   *  *grad_norm. When the norm is not finite nothing is updated and 1 is returned. */
  int32_t (*optimizer_step)(const moire_buffers *, const moire_adamw *, double *grad_norm);
  /** Rebuilds `compute` from `params`; call after initialising or loading. */
  int32_t (*refresh)(const moire_buffers *);
  /** Forward only: sum of the cross-entropy over targets >= 0, and how many there were. */
  int32_t (*eval_step)(const moire_buffers *, const int32_t *tokens, const int32_t *targets, double *loss_sum,
                       int64_t *count);
  /** Reads `prefill_tokens` tokens at `position`, `position + 1`, …; logits of the last one, float[vocab]. */
  int32_t (*prefill)(const moire_buffers *, const int32_t *tokens, int64_t position, float *logits);
  /** Reads one token at `position`; logits float[vocab]. */
  int32_t (*decode)(const moire_buffers *, const int32_t *token, int64_t position, float *logits);
} moire_package;

/** The one exported symbol of a package. */
const moire_package *moire_get_package(void);

#ifdef __cplusplus
}
#endif
#endif /* MOIRE_RUNTIME_ABI_H */
