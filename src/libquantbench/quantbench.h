/* SPDX-License-Identifier: Apache-2.0 */
/* quantbench.h - quantize FP16, BF16 and FP32 tensors to 8 bits and less, alone or after the operation in front of it,
 * on the CPU and on CUDA devices.
 *
 * The library never prints and never exits. Every function that can fail returns an enum qb_status; outputs come last
 * in the argument list and are set only on success. All functions may be called from any thread; one queue, event or
 * graph must not be used by two threads at the same time.
 *
 * Three things belong to the process and outlive the call: the kernels of loaded plug-ins (qb_plugin_load()), the
 * binding of the CPU's threads (qb_device_bind_threads()), and OpenMP's threads, which kernels of the CPU use. All else
 * belongs to an object that the caller made or, like qb_error_detail(), to the calling thread.
 *
 * Sizes are in elements where the name says nothing, in bytes where the comment says bytes. Tensors are row-major:
 * a row is one token, a column one hidden channel.
 */
#ifndef QUANTBENCH_H
#define QUANTBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, "MAJOR.MINOR.PATCH". Never NULL. */
const char *qb_version(void);

/* ---- Status ------------------------------------------------------------------------------------------------- */

enum qb_status {
    /* Success. */
    QB_OK = 0,
    /* An argument, or a field of struct qb_problem, is outside what its comment allows. Nothing was done. */
    QB_ERROR_INVALID = 1,
    /* The arguments are valid, but this backend, device or kernel cannot do it. Nothing was done. */
    QB_ERROR_UNSUPPORTED = 2,
    /* The backend is not in this build, its driver is missing, or there is no device of that index. */
    QB_ERROR_NO_DEVICE = 3,
    /* Host or device memory is exhausted. Nothing was allocated. */
    QB_ERROR_MEMORY = 4,
    /* The device or its driver reported an error. Results of earlier asynchronous calls may be lost too. */
    QB_ERROR_DEVICE = 5,
    /* The queue's workspace is too small and cannot grow now, because the queue is being captured: call
     * qb_queue_reserve() before qb_graph_begin(). Nothing was done. */
    QB_ERROR_WORKSPACE = 6,
    /* A file cannot be read. Nothing was done. */
    QB_ERROR_FILE = 7,
    /* A plug-in's kernel failed; qb_error_detail() has its message. */
    QB_ERROR_PLUGIN = 8,
    /* A plug-in's kernel changed the floating-point environment. It has done its work, and the environment was
     * restored; qb_error_detail() names the changes. */
    QB_ERROR_ENVIRONMENT = 9,
    /* The reference fails qb_reference_check(): its results are wrong in this build or process. */
    QB_ERROR_REFERENCE = 10,
};

/* The text of a status, one short phrase in lower case. Never NULL, also for values that are not in the enum. */
const char *qb_strerror(enum qb_status status);

/* Details of this thread's last call that did not return QB_OK: the field, the device, or the driver's message. One
 * line, "" if there is nothing to add. Valid until this thread's next failing call. */
const char *qb_error_detail(void);

/* ---- Numeric formats ---------------------------------------------------------------------------------------- */

enum qb_format {
    QB_FORMAT_F16 = 0,    /* IEEE 754 binary16 */
    QB_FORMAT_BF16 = 1,   /* bfloat16: the upper half of binary32 */
    QB_FORMAT_F32 = 2,    /* IEEE 754 binary32 */
    QB_FORMAT_INT8 = 3,   /* two's complement, -128 to 127 */
    QB_FORMAT_E4M3 = 4,   /* OCP FP8 E4M3: no infinity, NaN 0x7F and 0xFF, largest value 448 */
    QB_FORMAT_E5M2 = 5,   /* OCP FP8 E5M2: IEEE-like, largest finite value 57344 */
    QB_FORMAT_E2M1 = 6,   /* OCP MX FP4: finite numbers only, largest value 6 */
    QB_FORMAT_E2M3 = 7,   /* OCP MX FP6: finite numbers only, largest value 7.5 */
    QB_FORMAT_E3M2 = 8,   /* OCP MX FP6: finite numbers only, largest value 28 */
    QB_FORMAT_INT4 = 9,   /* two's complement, -8 to 7 */
    QB_FORMAT_UINT4 = 10, /* 0 to 15, with a zero point */
    QB_FORMAT_E8M0 = 11,  /* OCP MX scales: 2^(code - 127), NaN 0xFF; no sign, no zero */
    QB_FORMAT_INT64 = 12, /* indices, such as positions: two's complement; nothing is converted from or to it */
    QB_FORMAT_INT32 = 13, /* zero points: two's complement; nothing is converted from or to it */
};
#define QB_FORMAT_COUNT 14

/* Values of a format that are not finite numbers. */
enum qb_specials {
    QB_SPECIALS_NONE = 0, /* none */
    QB_SPECIALS_NAN = 1,  /* NaN, as the largest exponent and mantissa; no infinity */
    QB_SPECIALS_IEEE = 2, /* infinity and NaN, as the largest exponent */
};

/* A floating-point format is, from the top, a sign, EXPONENT_BITS and MANTISSA_BITS, with subnormals. E8M0 is only an
 * exponent. */
struct qb_format_info {
    enum qb_format format;
    const char *name;          /* "half", "int8", "fp8", "e2m1": as --dtype and --quant-dtype print it */
    const char *aliases;       /* other spellings, separated by spaces */
    const char *description;   /* one line */
    unsigned bits;             /* width of one element in bits */
    unsigned exponent_bits;    /* 0: a two's complement integer */
    unsigned mantissa_bits;    /* without the leading one; of an integer, without the sign, which UINT4 lacks */
    int bias;                  /* of the exponent */
    float largest;             /* largest finite value; for an output format the contract's qmax */
    uint32_t largest_code;     /* its code */
    uint32_t nan_code;         /* the code of NaN: 0 in integers; positive */
    enum qb_specials specials; /* besides finite numbers */
    bool is_input;             /* can be quantized from */
    bool is_output;            /* can be quantized to */
    bool is_scale;             /* scales can be stored in it */
};

/* The table's row for FORMAT, or NULL if FORMAT is not in the enum. */
const struct qb_format_info *qb_format_info(enum qb_format format);

/* Find a format by name or alias, without regard to case. QB_ERROR_INVALID if NAME is unknown. */
enum qb_status qb_format_find(const char *name, enum qb_format *format);

/* The value of one code (the low bits of CODE), exactly. NaN codes give NaN, and so do INT32 and INT64. */
float qb_format_decode(enum qb_format format, uint32_t code);

/* The code of VALUE, rounded to nearest even. Output formats saturate to their largest finite value, integers to their
 * range, also from infinity. NaN gives 0 in integers, 0x7F in E4M3 and E5M2, and the positive largest value in E2M1,
 * E2M3 and E3M2. F16, BF16 and F32 follow IEEE 754: overflow gives infinity, NaN gives a quiet NaN. The sign of zero
 * and of underflow is kept where there is one. E8M0 has the smallest power of two that is not below |VALUE|: 0 gives
 * code 0, infinity 0xFE, NaN 0xFF. INT32 and INT64 have 0. */
uint32_t qb_format_encode(enum qb_format format, float value);

/* The places of codes of less than a byte in memory. Each row of a tensor begins at a byte. */
enum qb_packing {
    QB_PACKING_BYTES = 0, /* 6 bits: one in the low bits of a byte; 4 bits: element 2i in the low half of byte i */
    QB_PACKING_DENSE = 1, /* 6 bits: four in three bytes, as one number of 24 bits, element 4i in its lowest bits */
};
#define QB_PACKING_COUNT 2

/* The name as in --packing: "bytes", "dense"; NULL if not in the enum. */
const char *qb_packing_name(enum qb_packing packing);

/* Return the bytes that COUNT codes of FORMAT take in a row. */
uint64_t qb_codes_bytes(enum qb_format format, enum qb_packing packing, uint64_t count);
/* Unpack codes FIRST to FIRST + COUNT - 1 of the row at PACKED into one byte of CODES each, whose high bits are 0; or
 * pack COUNT such codes into a whole row, in which bits after the last code are 0. For formats of 4, 6 and 8 bits. */
void qb_codes_unpack(enum qb_format format, enum qb_packing packing, const void *packed, uint64_t first, uint64_t count,
                     uint8_t *codes);
void qb_codes_pack(enum qb_format format, enum qb_packing packing, const uint8_t *codes, uint64_t count, void *packed);

/* ---- Problems: what is to be quantized, and how ------------------------------------------------------------- */

enum qb_granularity {
    QB_GRANULARITY_TENSOR = 0,  /* one scale for the whole tensor: scales [1] */
    QB_GRANULARITY_TOKEN = 1,   /* one per row: scales [tokens] */
    QB_GRANULARITY_CHANNEL = 2, /* one per column: scales [hidden] */
    QB_GRANULARITY_GROUP = 3,   /* one per GROUP consecutive elements of a row: scales [tokens, ceil(hidden/group)] */
    QB_GRANULARITY_BLOCK = 4, /* one per block of rows x columns: [ceil(tokens/block_rows), ceil(hidden/block_cols)] */
};
#define QB_GRANULARITY_COUNT 5

/* The name as in --granularity: "tensor", "token", "channel", "group", "block"; NULL if not in the enum. */
const char *qb_granularity_name(enum qb_granularity granularity);

enum qb_scaling {
    QB_SCALING_DYNAMIC = 0, /* scales are computed from the input and written */
    QB_SCALING_STATIC = 1,  /* scales are given, finite and > 0, and read */
    QB_SCALING_AMAX = 2,    /* scales are computed and written as for dynamic, but there are no codes */
};
#define QB_SCALING_COUNT 3

/* The name as in --scale: "dynamic", "static", "amax"; NULL if not in the enum. */
const char *qb_scaling_name(enum qb_scaling scaling);

/* The rounding of an amax to a scale of E8M0, a power of two. See struct qb_problem. */
enum qb_scale_rounding {
    QB_SCALE_ROUNDING_UP = 0,    /* the smallest scale with which no code saturates */
    QB_SCALE_ROUNDING_FLOOR = 1, /* OCP MX 1.0, 6.3: the exponents' difference; up to half of the range saturates */
    QB_SCALE_ROUNDING_EVEN = 2,  /* FLOOR of the amax after rounding it to the mantissa of the output format */
};
#define QB_SCALE_ROUNDING_COUNT 3

/* The name as in --scale-rounding: "up", "floor", "even"; NULL if not in the enum. */
const char *qb_scale_rounding_name(enum qb_scale_rounding rounding);

/* The place of the scale of tile (r, c) in the scale tensor of R x C scales: qb_problem_scale_offset(). Elements that
 * belong to no tile are padding, and 0. */
enum qb_scale_layout {
    QB_SCALE_LAYOUT_ROWS = 0,    /* r * C + c */
    QB_SCALE_LAYOUT_COLUMNS = 1, /* c * stride + r */
    QB_SCALE_LAYOUT_PACKED = 2,  /* bytes in words: byte c % 4 of word c / 4 * stride + r */
    /* Tiles of 128 x 4 bytes, row by row: byte r % 32 * 16 + r % 128 / 32 * 4 + c % 4 of tile (r / 128, c / 4). */
    QB_SCALE_LAYOUT_TILED_128X4 = 3,
    /* Tiles of 8 x 4 bytes, row by row: byte r % 8 * 4 + c % 4 of tile (r / 8, c / 4). */
    QB_SCALE_LAYOUT_TILED_8X4 = 4,
};
#define QB_SCALE_LAYOUT_COUNT 5

/* The name as in --scale-layout: "rows", "columns", "packed", "tiled-128x4", "tiled-8x4"; NULL if not in the enum. */
const char *qb_scale_layout_name(enum qb_scale_layout layout);

/* The one scale that all scales of the tensor are multiplied with. */
enum qb_tensor_scale {
    QB_TENSOR_SCALE_NONE = 0,     /* 1 */
    QB_TENSOR_SCALE_GIVEN = 1,    /* read: finite and > 0 */
    QB_TENSOR_SCALE_COMPUTED = 2, /* from the amax of the tensor, and written */
};
#define QB_TENSOR_SCALE_COUNT 3

/* The name as in --tensor-scale: "none", "given", "computed"; NULL if not in the enum. */
const char *qb_tensor_scale_name(enum qb_tensor_scale tensor_scale);

/* Zero points: a code for 0 that each tile has of its own. */
enum qb_zero_points {
    QB_ZERO_POINTS_NONE = 0,  /* symmetric: the code of 0 is 0 */
    QB_ZERO_POINTS_INT8 = 1,  /* asymmetric: stored as one signed byte for each tile */
    QB_ZERO_POINTS_INT32 = 2, /* the same, stored in 32 bits: for plug-ins, the library has no kernel for them */
};
#define QB_ZERO_POINTS_COUNT 3

/* "none", or the name as in --zero-points: "int8", "int32"; NULL if not in the enum. */
const char *qb_zero_points_name(enum qb_zero_points zero_points);

/* A computation. All but DEQUANTIZE and KV_READ end with a quantization: of the input, or of values that are computed
 * from it. KV_WRITE, TRANSPOSE and DUAL only choose where the codes go, and which elements share a scale. */
enum qb_operation {
    QB_OPERATION_QUANTIZE = 0,     /* codes, and scales unless they are given, from an input */
    QB_OPERATION_DEQUANTIZE = 1,   /* values from codes and scales */
    QB_OPERATION_SILU_MUL = 2,     /* silu(gate) * up, then quantize; also known as SwiGLU */
    QB_OPERATION_GELU_MUL = 3,     /* gelu(gate) * up, then quantize; also known as GeGLU */
    QB_OPERATION_RMS_NORM = 4,     /* RMSNorm of each row, then quantize */
    QB_OPERATION_ADD_RMS_NORM = 5, /* RMSNorm of each row of input + residual, then quantize */
    QB_OPERATION_KV_WRITE = 6,     /* quantize keys and values of tokens into the pages of a cache */
    QB_OPERATION_ROPE = 7,         /* rotary position embedding of the heads of each row, then quantize */
    QB_OPERATION_TRANSPOSE = 8,    /* quantize the transposed input: rows of codes are columns of the input */
    QB_OPERATION_DUAL = 9,         /* QUANTIZE and TRANSPOSE of the same input */
    QB_OPERATION_KV_READ = 10,     /* keys and values of tokens from the pages of a cache that KV_WRITE filled */
};
#define QB_OPERATION_COUNT 11

/* The name as in --op: "quantize", "dequantize", "silu-mul", "gelu-mul", "rms-norm", "add-rms-norm", "kv-write",
 * "rope", "transpose", "dual", "kv-read"; NULL if not in the enum. */
const char *qb_operation_name(enum qb_operation operation);

/* The results that an operation rounds to the input format on its way to the quantization. See struct qb_problem. */
enum qb_intermediate {
    QB_INTERMEDIATE_INPUT = 0, /* each, as separate operations would that store their results in the input format */
    QB_INTERMEDIATE_LAST = 1,  /* the last one only, the value that is quantized */
    QB_INTERMEDIATE_FLOAT = 2, /* none: values of binary32 are quantized */
};
#define QB_INTERMEDIATE_COUNT 3

/* The name as in --intermediate: "input", "last", "float"; NULL if not in the enum. */
const char *qb_intermediate_name(enum qb_intermediate intermediate);

/* The places of gate and up in a row of 2 * hidden elements. */
enum qb_gate {
    QB_GATE_HALVES = 0,      /* gate i at i, up i at hidden + i */
    QB_GATE_INTERLEAVED = 1, /* gate i at 2i, up i at 2i + 1 */
};
#define QB_GATE_COUNT 2

/* The name as in --gate: "halves", "interleaved"; NULL if not in the enum. */
const char *qb_gate_name(enum qb_gate gate);

/* How GELU_MUL computes GELU. */
enum qb_gelu {
    QB_GELU_TANH = 0, /* its approximation by tanh, "tanh" in PyTorch */
    QB_GELU_ERF = 1,  /* GELU itself, by the error function, "none" in PyTorch */
};
#define QB_GELU_COUNT 2

/* The name as in --gelu: "tanh", "erf"; NULL if not in the enum. */
const char *qb_gelu_name(enum qb_gelu gelu);

/* The format of the weights of a norm, or of the cosines and sines of ROPE. */
enum qb_weights {
    QB_WEIGHTS_INPUT = 0, /* the input format */
    QB_WEIGHTS_FLOAT = 1, /* binary32 */
};
#define QB_WEIGHTS_COUNT 2

/* The name as in --weights: "input", "float"; NULL if not in the enum. */
const char *qb_weights_name(enum qb_weights weights);

/* The order of what a page of a KV cache has. */
enum qb_page_layout {
    QB_PAGE_LAYOUT_NHD = 0, /* [page_size][heads][head_size]: the heads of a token side by side */
    QB_PAGE_LAYOUT_HND = 1, /* [heads][page_size][head_size]: the tokens of a head side by side */
};
#define QB_PAGE_LAYOUT_COUNT 2

/* The name as in --page-layout: "nhd", "hnd"; NULL if not in the enum. */
const char *qb_page_layout_name(enum qb_page_layout layout);
/* The rows of each expert of a mixture of experts. */
enum qb_expert_rows {
    QB_EXPERT_ROWS_OFFSETS = 0, /* one expert after the other: rows table[e] to table[e + 1] - 1 */
    QB_EXPERT_ROWS_MASKED = 1,  /* tokens / experts rows each, of which the first table[e] exist */
};
#define QB_EXPERT_ROWS_COUNT 2

/* The name as in --expert-rows: "offsets", "masked"; NULL if not in the enum. */
const char *qb_expert_rows_name(enum qb_expert_rows rows);

/* The elements of a head that are rotated together, of its first R = rotary ones. */
enum qb_pairing {
    QB_PAIRING_HALVES = 0,   /* i and R / 2 + i, as in GPT-NeoX */
    QB_PAIRING_ADJACENT = 1, /* 2i and 2i + 1, as in GPT-J */
};
#define QB_PAIRING_COUNT 2

/* The name as in --pairing: "halves", "adjacent"; NULL if not in the enum. */
const char *qb_pairing_name(enum qb_pairing pairing);

/* One operation. Fill it with qb_problem_init() first, so that members of later versions have their defaults.
 *
 * The arithmetic is IEEE binary32, round to nearest even, subnormals kept. x is an input element converted exactly.
 * (The calling thread may have any floating-point environment: the library computes in the default one, and restores
 * the thread's before it returns.) Each / + - * below is one operation. If one operand of a min or max is NaN, the
 * result is the other.
 *
 * Dynamic: a = the largest |x| of the elements that share a scale, NaN ignored; a = min(a, the input format's largest
 * finite value); with an upper bound a = min(a, amax_bound). The scale s is, by scale_format:
 *   F32    max(a / qmax, 2^-126)
 *   F16    min(RN16(max(a / qmax, 2^-24)), 65504), RN16 being the encoding in F16
 *   E8M0   code max(0, e - emax + up): e is the exponent field of a, and qmax = m * 2^emax with 1 <= m < 2. up is 1 if
 *          the mantissa of a exceeds that of qmax, else 0; with FLOOR it is 0; with EVEN it is 0, and e is that of a
 *          after its mantissa was rounded to the output format's. UP is the smallest power of two that is not below
 *          a / qmax, for every a.
 *   E4M3   the encoding of min(a * (S * RN(1 / qmax)), FLT_MAX), with S = 1 / g, where g is the tensor scale. Computed:
 *          S = min(qmax * 448 / the amax of the tensor, FLT_MAX), or 1 if that amax is 0, and g = 1 / S. No tensor
 *          scale: S = g = 1.
 * Code: the output format's encoding, as qb_format_encode() does it, of the correctly rounded quotient x / s; with E4M3
 * scales, of x * min(1 / (s * g), FLT_MAX).
 *
 * With zero points, of an integer format whose least code is q0, and whose largest is q1: lo = min(0, all x) and
 * hi = max(0, all x), NaN ignored; both are cut to the finite values of the input format, and to amax_bound; w =
 * min(hi - lo, FLT_MAX); s is as above for F32 and F16 with w / (q1 - q0) in place of a / qmax; the zero point is z =
 * RNE(q0 - lo / s), cut to [q0, q1]. The code is RNE(x / s) + z, cut to [q0, q1], where RNE rounds to an integer; that
 * of NaN is z, cut to [q0, q1], which one of INT32 that is given need not be in.
 *
 * The operations other than QUANTIZE and DEQUANTIZE compute a value in place of each x, and quantize the values as
 * above: qb_problem_quantization(). Values are in the input format, or in binary32 with intermediate FLOAT. T() below
 * rounds to the input format. With intermediate INPUT every T() is made, with LAST only the outermost one of the value,
 * with FLOAT none; that of a sum is made with each. Values and sums are stored as qb_format_encode() gives them, so all
 * NaN have the same bits.
 *
 * SILU_MUL, GELU_MUL, of a gate g and an up u, which with a gate_limit L first become min(g, L) and max(min(u, L), -L);
 * here NaN stays NaN:
 *   h      T(act(g))
 *   w      T(u + up_offset), or u if up_offset is 0
 *   value  T(h * w)
 *
 * act(g) is g * sigmoid(t), with t = alpha * g for SILU_MUL, and t = g * fma(g * g, 0x1.2444f2p-4, 0x1.988454p+0) for
 * GELU_MUL with gelu TANH. For SILU_MUL with alpha 1, intermediate INPUT and an input of F16 or BF16 it is the real
 * function g / (1 + exp(-g)), correctly rounded to binary32; but -0 for finite g <= -87.25, and NaN for -infinity. In
 * all other cases it is n / (1 + e), where n = g * e if t < 0, else n = g. With a = |t|, e is 0 if a > 87.25, else, in
 * steps:
 *   k  fma(a, -0x1.715476p+0, 0x1.8p+23) - 0x1.8p+23, an integer
 *   r  fma(k, -0x1.62e4p-1, -a), and then fma(k, -0x1.7f7d1cp-20, r)
 *   p  0x1.6850e4p-10, and then fma(p, r, c) for each c of 0x1.123bccp-7, 0x1.555b98p-5, 0x1.55548ep-3, 0x1.fffff8p-2,
 *      1 and 1
 *   e  p * 2^k
 *
 * For GELU_MUL with gelu ERF act(g) is g * c if g < 0, else g * (1 - c), where c is the share of a normal distribution
 * above |g|:
 *   e  as above, with a = g * g * 0.5
 *   t  1 / fma(0x1.13153ep-2, |g|, 1)
 *   q  0x1.e2804ep-6, and then fma(q, t, b) for each b of -0x1.0c6e9cp-3, 0x1.748132p-3, -0x1.49d3b2p-4,
 *      0x1.d63844p-4, 0x1.1c764ep-4, 0x1.a1564ap-4, 0x1.b6082cp-4 and 0x1.b7016ap-4
 *   c  (t * q) * e
 * Rounded to F16 or BF16 it is the real function g * (1 + erf(g / sqrt(2))) / 2, correctly rounded, for all finite
 * gates of a magnitude of 2^-23 or more; but -0 for g <= -13.25. For smaller gates it is g / 2.
 *
 * RMS_NORM, ADD_RMS_NORM, of a row of n elements:
 *   y      the input, or T(input + residual), the sum
 *   c_j    for j from 0 to 2047 the sum of y * y over the elements j, j + 2048, j + 4096, ..., added in this order: the
 *          first product is rounded, the others are added by an fma; 0 without such elements
 *   S      the sum of all c_j in 11 steps, each of which adds pairs of neighbors: c_0 + c_1, c_2 + c_3, ...; then pairs
 *          of these sums; and so on
 *   r      1 / sqrt(S / n + epsilon), with n rounded to binary32
 *   value  T(T(y * r) * weight)
 *
 * ROPE, of a row of heads, whose token has position t, 0 <= t < positions. The first R = rotary elements of a head are
 * pairs (a, b), in the places that pairing names. Pair i, 0 <= i < R / 2, is rotated by row t of the angles, in which
 * element i is c, and element R / 2 + i is s:
 *   a      becomes T(a * c - b * s)
 *   b      becomes T(b * c + a * s)
 * The other elements of a head stay as they are. If t is out of range, the CPU and the reference return
 * QB_ERROR_INVALID before they write anything. Elsewhere, where that cannot be seen in time, a and b become NaN.
 *
 * DEQUANTIZE: the value is q * s, rounded to the input format, where q is the number that the code stands for, and s
 * the scale; with E4M3 scales and a tensor scale g (q * s) * g; with a zero point z, in binary32, (q - z) * s.
 *
 * KV_WRITE: a row of the input has the keys of a token, of hidden / 2 = heads * head_size elements, and then its
 * values: as a fused projection gives them, of which input_stride leaves out the queries. The codes are the cache: the
 * pages of the keys, and then those of the values, each page as page_layout says. Token t goes to slot slots[t]: to
 * place slot % page_size of page slot / page_size. Nothing is written of a token whose slot is negative, and nothing in
 * slots that no token has. A slot of pages * page_size or more is QB_ERROR_INVALID where the slots are in host memory
 * (the CPU and the reference), before anything is written; CUDA kernels write nothing of such a token. If two tokens
 * have the same slot, each of its codes and scales is that of one of the two.
 * With codes of one byte scales are in F32 rows: given, one for all keys and one for all values (TENSOR), or one for
 * each group of their columns (GROUP; of head_size: for each head), for all tokens: scales [scale columns]. Or computed
 * for each token, one of its keys and one of its values (TOKEN), or one for each group (GROUP), and stored by slot:
 * scales [2][pages * page_size][scale columns / 2]. Groups divide head_size.
 * With codes in E2M1 it is NVFP4: scales in E4M3 of groups of 16, computed, under tensor scales that are given: one for
 * the keys and one for the values, or, with a tensor_scale_cols of head_size, one for each head of them. head_size is a
 * multiple of 16. The scales lie in pages of their own, in the order of the codes, head_size / 16 for each head of a
 * token.
 *
 * KV_READ is the way back: the row of token t becomes the values of the codes in slot slots[t], as DEQUANTIZE computes
 * them. Its problem is that of the KV_WRITE which filled the cache: codes and scales lie as that left them, and scales
 * are read whatever scaling is: static are those of all tokens, dynamic those of slots. Nothing is written to the row
 * of a token whose slot is negative. Other slots are checked as those of KV_WRITE are; tokens may have the same.
 *
 * TRANSPOSE quantizes the transposed input, of hidden rows and tokens columns: what readers along the tokens need, such
 * as the product of a gradient. Its codes are [hidden][tokens]. A group has consecutive tokens of one column of the
 * input; a block is that of QUANTIZE: block_rows tokens x block_cols columns of the input. Scales lie as those of a
 * tensor of hidden rows and tokens columns.
 * DUAL has two results: QUANTIZE's, and TRANSPOSE's in the tensors that have transposed in their names. Blocks give the
 * same codes in both, groups do not.
 * For both scales are dynamic, of groups or blocks, in F32 or E8M0; codes are of one byte, without zero points.
 *
 * With experts, QUANTIZE, SILU_MUL and GELU_MUL do the rows of each expert as a problem of its own. The table of
 * QB_ROLE_EXPERTS says which rows these are; all others are neither read nor written, and nor are their scales. Scales
 * are per tensor, token or group, without zero points. TENSOR has one scale for each expert, also for one without rows,
 * and so has a tensor scale: [experts]. The other scales of an expert lie as follows:
 *   ROWS              as those of a problem of tokens rows
 *   COLUMNS, PACKED   OFFSETS: the same; MASKED: each expert has a tensor for tokens / experts rows, to which
 *                     scale_stride belongs, one after the other
 *   tiles             OFFSETS: whole tiles for the rows of each expert, one expert after the other, in a tensor with
 * room for any table; MASKED: each expert has a tensor for tokens / experts rows, one after the other Tiles, and words
 * of PACKED, that have a scale of an expert are written whole, with 0 in their padding; all other padding is left as it
 * is. Offsets must not decrease, begin at 0 or more and end at tokens or less; counts are at most tokens / experts. A
 * table that breaks this is QB_ERROR_INVALID where it is in host memory, before anything is written; CUDA kernels write
 * to no other place than they may with some valid table. */
struct qb_problem {
    size_t size; /* of this structure, in the program that fills it: qb_problem_init() sets it */
    enum qb_operation operation;
    enum qb_format input;        /* F16, BF16 or F32 */
    enum qb_format output;       /* INT8, E4M3, E5M2, E2M1, E2M3, E3M2, INT4 or, with zero points, UINT4 */
    enum qb_format scale_format; /* F32, F16, E8M0 or E4M3; the last two for QB_GRANULARITY_GROUP only */
    enum qb_granularity granularity;
    enum qb_scaling scaling; /* DEQUANTIZE: STATIC; KV_READ: that of KV_WRITE */
    uint64_t tokens;         /* rows; 0 is allowed and writes no codes */
    uint64_t hidden;         /* columns of the codes, >= 1 */
    /* Elements from one input row to the next, at least its columns: hidden, or 2 * hidden for SILU_MUL and GELU_MUL; 0
     * means the least. Of DEQUANTIZE and KV_READ: from one row of values to the next. */
    uint64_t input_stride;
    /* Elements from one row of codes to the next, that end at a byte: at least hidden, of TRANSPOSE tokens; 0 means the
     * least. Transposed codes of DUAL are dense. */
    uint64_t output_stride;
    uint64_t group;      /* elements in a group, >= 1; read for QB_GRANULARITY_GROUP only */
    uint64_t block_rows; /* rows in a block, >= 1; read for QB_GRANULARITY_BLOCK only */
    uint64_t block_cols; /* columns in a block, >= 1; read for QB_GRANULARITY_BLOCK only */
    float amax_bound;    /* dynamic: upper bound of the amax in input units, finite and > 0; 0 means none */
    enum qb_packing packing;
    enum qb_scale_rounding scale_rounding; /* of E8M0, else UP */
    enum qb_scale_layout scale_layout;     /* others than ROWS: for QB_GRANULARITY_GROUP; PACKED: E8M0; tiles: bytes */
    enum qb_tensor_scale tensor_scale;     /* for E4M3 scales, else NONE; COMPUTED: not static */
    enum qb_zero_points zero_points;       /* INT8, INT4 and UINT4 in F32 or F16 scales; per tensor, token or group */
    /* Elements (PACKED: words) from one column of scales to the next, >= their rows, for COLUMNS and PACKED; 0 means
     * the least that is a multiple of 16 bytes, as tensor maps of CUDA need it. DUAL: 0. */
    uint64_t scale_stride;
    enum qb_intermediate intermediate; /* for operations that compute values */
    uint32_t keep_values;              /* for these: 1 to write the values too, QB_ROLE_VALUES, else 0 */
    enum qb_gelu gelu;                 /* GELU_MUL; else TANH */
    enum qb_gate gate;                 /* SILU_MUL and GELU_MUL, as the next */
    float gate_limit;                  /* > 0, a finite number of the input format; 0 means none */
    float alpha;                       /* SILU_MUL: finite and > 0; 0 means 1 */
    float up_offset;                   /* SILU_MUL and GELU_MUL: finite */
    enum qb_weights weights;           /* RMS_NORM, ADD_RMS_NORM and ROPE */
    float epsilon;                     /* RMS_NORM and ADD_RMS_NORM: finite, >= 0 */
    enum qb_expert_rows expert_rows;   /* with experts, see below; MASKED: tokens is a multiple of experts */
    uint64_t head_size; /* KV_WRITE, KV_READ, ROPE: columns of a head; 0 means hidden / 2, or hidden for ROPE */
    uint64_t page_size; /* KV_WRITE and KV_READ, as the next two: slots of a page, >= 1 */
    uint64_t pages;     /* of the keys, and as many of the values, >= 1 */
    enum qb_page_layout page_layout;
    enum qb_pairing pairing; /* ROPE, as the next */
    uint64_t rotary;         /* elements of a head that are rotated: an even number; 0 means as many as can be */
    uint64_t positions;      /* rows of the angles; 0 means tokens */
    /* QUANTIZE, SILU_MUL, GELU_MUL: 0: the rows belong together; else they are those of as many experts, as
     * expert_rows and the next say. */
    uint64_t experts;
    /* Rows that the experts are expected to have together, at most tokens; 0 means tokens. Results do not depend on it:
     * qb_problem_traffic() counts these rows, and kernels may choose by it how they do their work. */
    uint64_t expert_tokens;
    /* Columns of the input that share a tensor scale, whole groups of them: there is one for each tensor_scale_cols
     * columns, and S is that of the tile's columns. 0 means all of them; for KV_WRITE and KV_READ hidden / 2, and else
     * it is a divisor of that and whole heads. QUANTIZE, DEQUANTIZE, KV_WRITE and KV_READ, without experts; the library
     * has no kernel for the first two with several tensor scales: they are what the others are compared with. */
    uint64_t tensor_scale_cols;
};

/* The defaults: quantize half to INT8, dynamic, one scale per tensor in binary32, 0 tokens, hidden size 1, dense rows,
 * no bound, an epsilon of 0. SIZE is that of *PROBLEM, which the macro fills in. So the members mean the same if the
 * program was compiled with the header of another version. A library that is older than the header refuses a problem in
 * which a member that it does not know is not 0. */
void qb_problem_init_size(struct qb_problem *problem, size_t size);
#define qb_problem_init(problem) qb_problem_init_size((problem), sizeof *(problem))

/* QB_OK, or QB_ERROR_INVALID with the reason in qb_error_detail(). Also checks that every buffer's size fits in
 * ptrdiff_t bytes. */
enum qb_status qb_problem_validate(const struct qb_problem *problem);

/* The rows and columns that share one scale. Every granularity is a tiling: a token is a tile of 1 x hidden, a channel
 * of tokens x 1, a group of 1 x group. At least 1 x 1, also for 0 tokens. Of experts: the most rows that one can have.
 * PROBLEM must be valid. */
void qb_problem_tile(const struct qb_problem *problem, uint64_t *tile_rows, uint64_t *tile_cols);

/* The numbers of rows and columns of scales: scale (r, c) belongs to the elements of tile (r, c). Per tensor and
 * per channel there is one row of scales also for 0 tokens, and so where KV_WRITE or KV_READ has those of all tokens.
 * PROBLEM must be valid. */
void qb_problem_scale_shape(const struct qb_problem *problem, uint64_t *scale_rows, uint64_t *scale_cols);

/* The bytes from the start of the scale tensor to scale (ROW, COL). Where KV_WRITE computes scales, and KV_READ reads
 * those, ROW is a slot, and COL counts those of the keys and then those of the values.
 * QB_ERROR_INVALID if there is no such scale, and for experts, whose table decides: see qb_problem_expert(). */
enum qb_status qb_problem_scale_offset(const struct qb_problem *problem, uint64_t row, uint64_t col, uint64_t *offset);

/* The bytes from the start of the code tensor to code (ROW, COL), or to the byte in which it begins. Of KV_WRITE and
 * KV_READ ROW is a slot, and COL a column of the input; of TRANSPOSE ROW is such a column, and COL a token.
 * QB_ERROR_INVALID if there is no such code. */
enum qb_status qb_problem_code_offset(const struct qb_problem *problem, uint64_t row, uint64_t col, uint64_t *offset);

/* Set QUANTIZATION to the problem that quantizes the values of a valid PROBLEM, in dense rows; to PROBLEM itself for
 * QB_OPERATION_QUANTIZE; for QB_OPERATION_KV_WRITE to one that quantizes the input, token by token, with the same
 * scales; for QB_OPERATION_KV_READ to that of the KV_WRITE which filled the cache; for QB_OPERATION_TRANSPOSE to one
 * that quantizes the transposed input, of 0 tokens if there are none; for QB_OPERATION_DUAL to the one that quantizes
 * the input. QB_ERROR_INVALID for QB_OPERATION_DEQUANTIZE. Set QUANTIZATION's size before the call; if that is of an
 * older header, which lacks a member that counts, QB_ERROR_UNSUPPORTED. */
enum qb_status qb_problem_quantization(const struct qb_problem *problem, struct qb_problem *quantization);

/* ---- Tensors: what a problem reads and writes ---------------------------------------------------------------- */

/* The role of a tensor in its problem. */
enum qb_role {
    QB_ROLE_INPUT = 0,  /* what is quantized, or what values are computed from; DEQUANTIZE, KV_READ lack it */
    QB_ROLE_CODES = 1,  /* the quantized values, in the output format; read by these two, else written */
    QB_ROLE_SCALES = 2, /* by qb_problem_scale_offset(); read when static or by KV_READ, else written with padding */
    QB_ROLE_ZERO_POINTS = 3,  /* one for each scale, in rows, INT8 or INT32; read when static, else written */
    QB_ROLE_TENSOR_SCALE = 4, /* one binary32, or for each expert or tensor_scale_cols; read when given, else written */
    QB_ROLE_WEIGHTS = 5,      /* of a norm: one for each column */
    QB_ROLE_RESIDUAL = 6,     /* ADD_RMS_NORM: is added to the input; dense rows in its format; read */
    QB_ROLE_SUM = 7,         /* ADD_RMS_NORM: the new residual, as the old one; written. It may be in the same place. */
    QB_ROLE_VALUES = 8,      /* written: with keep_values the values, in dense rows; results of DEQUANTIZE, KV_READ */
    QB_ROLE_SLOTS = 9,       /* KV_WRITE, KV_READ: one INT64 for each token; read */
    QB_ROLE_ANGLES = 10,     /* ROPE: in each row, one for each position, rotary / 2 cosines and then as many sines */
    QB_ROLE_POSITIONS = 11,  /* ROPE: one INT64 for each token, >= 0 and < positions; read */
    QB_ROLE_TRANSPOSED = 12, /* DUAL: the codes of TRANSPOSE, in dense rows; written */
    QB_ROLE_TRANSPOSED_SCALES = 13, /* DUAL: its scales, with their padding; written */
    QB_ROLE_EXPERTS = 14, /* with experts, their table of INT64: OFFSETS experts + 1, MASKED one for each; read */
};
#define QB_ROLE_COUNT 15

/* The name, such as "scales"; NULL if not in the enum. */
const char *qb_role_name(enum qb_role role);

/* One tensor of a problem: row-major, each row STRIDE elements after the one before. Set size before the call. */
struct qb_tensor_info {
    size_t size;           /* of this structure, in the program that asks */
    bool present;          /* the problem has such a tensor; if not, all that follows is 0 */
    bool read;             /* its elements are read */
    bool written;          /* its elements are written */
    enum qb_format format; /* of an element */
    unsigned bits;         /* that an element takes in memory */
    uint64_t rows;         /* of scales: as they lie in memory, with their padding */
    uint64_t cols;
    uint64_t stride; /* elements from one row to the next; rows begin at bytes */
    uint64_t bytes;  /* from its first element to the end of its last, with the gaps between rows */
    /* Bytes of its elements, each counted once, whatever the kernel does; of a cache, of as many slots as there are
     * tokens, and of no more angles; of experts, those of expert_tokens rows. */
    uint64_t traffic;
    size_t alignment; /* bytes, of its address: one element's; wider alignment is faster, not required */
};

/* The tensor of ROLE of a valid PROBLEM. QB_ERROR_INVALID for a ROLE that is not in the enum. */
enum qb_status qb_problem_tensor(const struct qb_problem *problem, enum qb_role role, struct qb_tensor_info *info);

/* The bytes that a valid PROBLEM reads and writes: the traffic of its tensors. */
void qb_problem_traffic(const struct qb_problem *problem, uint64_t *read, uint64_t *written);

/* The addresses of the tensors of one call, by role; NULL for those that the problem lacks, and for tensors of 0 bytes.
 * All must be in memory of the device that works on them (host memory for the CPU and for the reference), aligned as
 * their struct qb_tensor_info says. No two may overlap, but where enum qb_role allows it. */
struct qb_tensors {
    size_t size; /* of this structure, in the program that fills it */
    void *at[QB_ROLE_COUNT];
};

/* Set PART to the problem of the rows of EXPERT alone, by the TABLE of all experts of PROBLEM, in host memory; and
 * change TENSORS, those of PROBLEM, to its: their places, where they are not NULL. An expert without rows has 0 tokens.
 * The padding of its scales is more than PROBLEM writes where that is in COLUMNS or PACKED. QB_ERROR_INVALID if there
 * is no such expert, or the table is not valid. Set PART's size before the call. */
enum qb_status qb_problem_expert(const struct qb_problem *problem, const int64_t *table, uint64_t expert,
                                 struct qb_problem *part, struct qb_tensors *tensors);

/* The value of a struct qb_tensors, for its initializer. */
#define QB_TENSORS(input, codes, scales)                                                                               \
    {                                                                                                                  \
        sizeof(struct qb_tensors),                                                                                     \
        {                                                                                                              \
            (void *)(uintptr_t)(input), (codes), (scales)                                                              \
        }                                                                                                              \
    }

/* Run the reference: plain scalar loops, on host memory, in the calling thread. It is slow, and defines what is right.
 */
enum qb_status qb_reference_run(const struct qb_problem *problem, const struct qb_tensors *tensors);
/* Its two halves, of QB_OPERATION_QUANTIZE only: the scales that dynamic scaling computes from the input, written
 * whatever problem->scaling is; and the codes by given scales, also whatever it is. */
enum qb_status qb_reference_scales(const struct qb_problem *problem, const struct qb_tensors *tensors);
enum qb_status qb_reference_codes(const struct qb_problem *problem, const struct qb_tensors *tensors);
/* Compute the values alone, whatever keep_values is, and QB_ROLE_SUM unless that is NULL. An operation is this, and
 * then qb_reference_run() of its qb_problem_quantization(). QB_ERROR_INVALID for QUANTIZE, KV_WRITE, TRANSPOSE
 * and DUAL, which compute none, and for DEQUANTIZE and KV_READ, of which qb_reference_run() does just this. */
enum qb_status qb_reference_values(const struct qb_problem *problem, const struct qb_tensors *tensors);
/* Check the reference and the conversions of formats against known results: ties, subnormals, quotients, and a digest
 * of some thousand codes. It takes less than a millisecond. QB_ERROR_REFERENCE if this build or process computes
 * something else, with the difference in qb_error_detail(). Then qb_reference_run() and its like return the same
 * status.
 */
enum qb_status qb_reference_check(void);

/* ---- Arithmetic: kernels that compute in another way ----------------------------------------------------------- */

/* The value that is encoded, of an element x, the tile's scale s and its multiplier m. */
enum qb_quotient {
    QB_QUOTIENT_DIVIDE = 0,     /* x / s */
    QB_QUOTIENT_RECIPROCAL = 1, /* x * (1 / s) */
    QB_QUOTIENT_MULTIPLY = 2,   /* x * m */
};

/* The stored scale of a tile of amax a. */
enum qb_scale_form {
    QB_SCALE_QUOTIENT = 0,   /* s = a / qmax */
    QB_SCALE_PRODUCT = 1,    /* s = a * (1 / qmax) */
    QB_SCALE_INVERSE = 2,    /* s = 1 / (qmax / a) */
    QB_SCALE_MULTIPLIER = 3, /* m = qmax / a: stored and static scales are multipliers */
};

/* The rounding of values to integers. Floating-point codes are always rounded to nearest even. */
enum qb_rounding {
    QB_ROUNDING_NEAREST_EVEN = 0,
    QB_ROUNDING_NEAREST_AWAY = 1, /* halves away from zero, as roundf() does */
    QB_ROUNDING_TOWARD_ZERO = 2,  /* as a conversion in C does */
};

/* The scale of a tile whose amax is 0. */
enum qb_zero {
    QB_ZERO_FLOOR = 0,     /* the smallest scale, scale_floor */
    QB_ZERO_ONE = 1,       /* s = m = 1 */
    QB_ZERO_ZERO = 2,      /* s = m = 0, and the tile's elements are multiplied by 0 */
    QB_ZERO_UNGUARDED = 3, /* s = 0, m infinite: the values are 0 / 0, NaN */
};

/* The code of NaN. */
enum qb_nan {
    QB_NAN_CODE = 0,    /* 0x7F in FP8, 0 in INT8 */
    QB_NAN_HIGHEST = 1, /* the largest value's, as fminf(x, qmax) gives it: 0x7F in INT8, 0x7E in E4M3, 0x7B in E5M2 */
    QB_NAN_LOWEST = 2,  /* the most negative value's: -128 (0x80) in INT8, -448 (0xFE) in E4M3, -57344 (0xFB) in E5M2 */
};

/* The amax of a tile with an infinite element. */
enum qb_infinity {
    QB_INFINITY_CLAMPED = 0, /* the input format's largest finite value */
    QB_INFINITY_KEPT = 1,    /* infinite, and so is the scale; in E8M0 code 254, or by its exponent field unless UP */
};

/* The amax of a tile with a NaN. */
enum qb_nan_amax {
    QB_NAN_AMAX_IGNORED = 0, /* that of the other elements */
    QB_NAN_AMAX_KEPT = 1,    /* NaN, and so are the scale and all elements of the tile */
};

/* The code of a scale of E8M0. */
enum qb_power_form {
    QB_POWER_ROUNDED = 0, /* as scale_rounding of the problem says */
    QB_POWER_CEILING = 1, /* max(0, e - emax), plus 1 if amax is not a power of two */
};

/* The scale of E4M3 of a tile of amax a is the encoding of this, with g the tensor scale and S = 1 / g. */
enum qb_e4m3_scale {
    QB_E4M3_SCALE_FACTOR = 0,   /* a * (S * (1 / qmax)) */
    QB_E4M3_SCALE_PRODUCT = 1,  /* S * (a * (1 / qmax)) */
    QB_E4M3_SCALE_QUOTIENT = 2, /* (a / qmax) * S */
    QB_E4M3_SCALE_DIVIDED = 3,  /* (a / qmax) / g */
};

/* The value that is encoded of an element x by the scale f of E4M3. */
enum qb_e4m3_value {
    QB_E4M3_VALUE_RECIPROCAL = 0, /* x * min(1 / (f * g), FLT_MAX) */
    QB_E4M3_VALUE_QUOTIENT = 1,   /* x / (f * g) */
    QB_E4M3_VALUE_RATIO = 2,      /* x * (S / f) */
};

/* The differences that a kernel may have from its arithmetic. */
enum qb_match {
    QB_MATCH_EXACT = 0,
    /* For kernels with fast math: each code is the same or a neighbor, with the two zeros as one; each scale is within
     * 4 units of its last place in F32, 1 in F16 and E4M3, 0 in E8M0; each zero point is within 1. */
    QB_MATCH_ONE_CODE = 1,
};

/* The arithmetic that a kernel promises. All zero is the contract, in the comment of struct qb_problem. Every step
 * is one IEEE binary32 operation:
 * Dynamic: a = the largest |x|, NaN ignored; a = min(a, the input format's largest finite value), unless infinity is
 * KEPT; with an upper bound a = min(a, amax_bound); a = max(a, amax_floor). If a is 0 and zero is not FLOOR, s and m
 * are what zero says. Else m = qmax / a and s is what scale_form says (MULTIPLIER: 1 / m); s = max(s, scale_floor) and
 * m = min(m, 1 / scale_floor); with power_of_two s becomes the smallest power of two that is not below it, and
 * m = 1 / s.
 * Static: s is given and m = 1 / s; or m is given (MULTIPLIER) and s = 1 / m.
 * In F16 and E8M0 the scale is that of struct qb_problem, with a and scale_floor as here; quotient counts, and zero
 * ONE. In E4M3 it is what e4m3_scale says, at least scale_floor before it is encoded, and 1 for an amax of 0 if zero is
 * ONE; e4m3_value takes the place of quotient. scale_form and power_of_two are for F32. */
struct qb_arithmetic {
    enum qb_quotient quotient;
    enum qb_scale_form scale_form;
    enum qb_rounding rounding;
    enum qb_zero zero;
    enum qb_nan nan;
    enum qb_infinity infinity;
    enum qb_match match;
    uint32_t power_of_two; /* 0 or 1 */
    float amax_floor;      /* in input units, >= 0 */
    float scale_floor;     /* >= 0; 0 means 2^-126 in F32 if zero is FLOOR, else none */
    enum qb_nan_amax nan_amax;
    enum qb_power_form power_form; /* of scales in E8M0 */
    enum qb_e4m3_scale e4m3_scale; /* of scales in E4M3, and so the next two */
    enum qb_e4m3_value e4m3_value;
    uint32_t zero_codes; /* 0 or 1: elements of a tile whose scale is 0 are multiplied by 0 */
    /* 0 or 1: with zero points, lo is the smallest element and hi the largest, without 0. Zero points of INT32 are then
     * cut to the range of that, and not to the codes'. */
    uint32_t open_range;
    float divisor_floor;  /* >= 0; elements are divided by no less, whatever scale is stored */
    uint32_t reserved[9]; /* 0 */
};

/* QB_OK, or QB_ERROR_INVALID with the reason in qb_error_detail(). */
enum qb_status qb_arithmetic_validate(const struct qb_arithmetic *arithmetic);

/* Run the reference for another arithmetic; match is ignored. */
enum qb_status qb_reference_run_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                   const struct qb_tensors *tensors);
/* Its two halves. The first writes the scales that dynamic scaling computes, whatever problem->scaling is, and to
 * FACTORS, of the same shape, what each tile's elements are divided by or multiplied with; FACTORS may be NULL. The
 * second reads those; if they are NULL, it computes them from the scales, as static scaling does. */
enum qb_status qb_reference_scales_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                      const struct qb_tensors *tensors, float *factors);
enum qb_status qb_reference_codes_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                     const struct qb_tensors *tensors, const float *factors);

/* ---- Backends and devices ----------------------------------------------------------------------------------- */

struct qb_backend; /* "cpu" or "cuda": a way to run kernels */
struct qb_device;  /* one opened device of a backend */
struct qb_queue;   /* work in order on a device: a CUDA stream; on the CPU work is done before the call returns */
struct qb_event;   /* a point in a queue's time */
struct qb_graph;   /* captured work that can be launched again */
struct qb_kernel;  /* one implementation of some problems on one backend */

/* The backends in this build or found as modules, the CPU first. INDEX < qb_backend_count(), else NULL. */
size_t qb_backend_count(void);
const struct qb_backend *qb_backend_at(size_t index);
/* By name; NULL if there is none. */
const struct qb_backend *qb_backend_find(const char *name);
/* "cpu" or "cuda". */
const char *qb_backend_name(const struct qb_backend *backend);

/* The number of devices that the backend can open. QB_ERROR_NO_DEVICE if it is 0 or BACKEND is NULL, with the reason in
 * qb_error_detail(), such as "no NVIDIA driver". */
enum qb_status qb_backend_device_count(const struct qb_backend *backend, int *count);

/* The reason why the backend NAME ("cuda") is missing: "not built in", or the message of the module's loader. "" if it
 * is there. The text lives as long as the process. */
const char *qb_backend_why_not(const char *name);

/* An unknown size, where 0 would be a size. */
#define QB_MEMORY_UNKNOWN UINT64_MAX

/* Set size before the call. */
struct qb_device_info {
    size_t size;           /* of this structure, in the program that asks */
    char id[32];           /* "cpu", "cuda:0" */
    char name[128];        /* "AMD EPYC 9654", "NVIDIA H200" */
    char isa[32];          /* instruction set of the kernels: "avx512", "sm_90" */
    char driver[64];       /* driver's version, "" if none */
    char runtime[64];      /* run-time library's version, "" if none */
    char uuid[64];         /* "" if unknown */
    char pci[32];          /* PCI bus id, "" if none */
    uint64_t memory_total; /* bytes, 0 if unknown */
    uint64_t memory_free;  /* bytes that could be allocated when asked, or QB_MEMORY_UNKNOWN */
    uint64_t cache_size;   /* last-level cache in bytes, 0 if unknown */
    unsigned units;        /* multiprocessors, or CPUs this process may use */
    double timer_tick;     /* nanoseconds: resolution of qb_event_elapsed() */
    double peak_bandwidth; /* bytes per second by the data sheet's bus width and clock, 0 if unknown */
    char binding[32];      /* CPU: binding of threads: "cores", "OpenMP, close" and the like, "none"; else "" */
};

/* Open device INDEX of BACKEND. Close it after everything made from it is destroyed. QB_ERROR_NO_DEVICE also if BACKEND
 * is NULL, as qb_backend_find() returns it for a backend that this build lacks; qb_error_detail() says so. */
enum qb_status qb_device_open(const struct qb_backend *backend, int index, struct qb_device **device);
void qb_device_close(struct qb_device *device);
/* The backend that it was opened from. */
const struct qb_backend *qb_device_backend(const struct qb_device *device);
/* Describe the device. memory_free is asked for in each call. */
enum qb_status qb_device_info(struct qb_device *device, struct qb_device_info *info);

/* CPU: bind each thread of the kernels, the calling thread being the first, to a CPU of its own: one of each core
 * before the second of any, beginning with the core that the calling thread runs on. Kernels of plug-ins are called
 * unbound, and so are kernels that use more threads than there are CPUs. If BIND is false, stop that; threads are
 * released as they are used next. This is for all devices of the process, and not for programs that run kernels in
 * several threads at the same time. QB_ERROR_UNSUPPORTED if OpenMP's environment (OMP_PROC_BIND) binds them, if the
 * system does not allow it, or if the device is not a CPU. */
enum qb_status qb_device_bind_threads(struct qb_device *device, bool bind);
/* CPU: the numbers of the COUNT CPUs that this process may use, in rising order, into CPUS, which has room for ROOM of
 * them; all those of its threads, if these are bound. Others have none. */
enum qb_status qb_device_cpus(struct qb_device *device, unsigned *cpus, size_t room, size_t *count);

/* Reasons why a device runs more slowly than it could: bits of a mask. */
enum qb_throttle {
    QB_THROTTLE_POWER_CAP = 1 << 0,   /* the limit of its power is reached */
    QB_THROTTLE_THERMAL = 1 << 1,     /* too warm: its software or the processor itself lowers the clock */
    QB_THROTTLE_HW_THERMAL = 1 << 2,  /* much too warm: its hardware lowers the clock to half or less */
    QB_THROTTLE_HW_SLOWDOWN = 1 << 3, /* its hardware lowers the clock, for heat, power or another reason */
    QB_THROTTLE_POWER_BRAKE = 1 << 4, /* the power supply asks for it */
    QB_THROTTLE_SYNC_BOOST = 1 << 5,  /* another device of its group is slower */
};
#define QB_THROTTLE_COUNT 6

/* The words for the reason 1 << INDEX, such as "power cap"; NULL if INDEX >= QB_THROTTLE_COUNT. */
const char *qb_throttle_name(unsigned index);

/* The state of a device at this moment. Unknown numbers are NAN. Set size before the call. */
struct qb_device_conditions {
    size_t size;             /* of this structure, in the program that asks */
    double clock;            /* MHz: of the multiprocessors, or the mean of the CPUs this process may use */
    double memory_clock;     /* MHz */
    double power;            /* milliwatts */
    double energy;           /* millijoules since some point in the past: only differences have a meaning */
    double temperature;      /* degrees Celsius */
    int performance_state;   /* 0 (fastest) to 15, -1 if unknown or none */
    unsigned throttle;       /* enum qb_throttle: the reasons now; of a CPU, those since the last call */
    unsigned throttle_known; /* the reasons that this device reports */
};

/* Ask the device; no setting is changed. This takes up to some milliseconds, so keep it out of timed code. */
enum qb_status qb_device_conditions(struct qb_device *device, struct qb_device_conditions *conditions);

/* One thing that a user can set or should know, which changes rarely: "persistence" is "on". */
struct qb_device_fact {
    char name[32];   /* lower case with underscores; of a number with its unit at the end, as in "power_limit_mw" */
    char value[128]; /* a decimal number, a word, or "unknown" */
};
/* No device has more of them. */
#define QB_DEVICE_FACTS 32

/* Set FACTS to the COUNT facts about DEVICE, at most ROOM and QB_DEVICE_FACTS. A kind of device always has the same
 * names in the same order. The CPU's describe its machine, and the container that this process is in. */
enum qb_status qb_device_facts(struct qb_device *device, struct qb_device_fact *facts, size_t room, size_t *count);

/* The pages of pieces of the CPU's memory of 2 MiB and more. */
enum qb_huge_pages {
    QB_HUGE_PAGES_OFF = 0, /* small pages */
    QB_HUGE_PAGES_THP = 1, /* transparent huge pages, where the system has some: the default */
    QB_HUGE_PAGES_2M = 2,  /* pages of 2 MiB from the system's reserved pool, or QB_ERROR_MEMORY */
};
#define QB_HUGE_PAGES_COUNT 3
/* Choose the pages of memory that is allocated from now on. QB_ERROR_UNSUPPORTED if the device is not a CPU, or the
 * system lacks such a pool. */
enum qb_status qb_memory_set_huge_pages(struct qb_device *device, enum qb_huge_pages pages);
/* The number of the BYTES bytes at MEMORY that lie in huge pages now, according to the system; 0 for other devices.
 * QB_ERROR_UNSUPPORTED if it does not say. */
enum qb_status qb_memory_in_huge_pages(struct qb_device *device, const void *memory, size_t bytes, uint64_t *huge);

/* Device memory, aligned to at least 256 bytes, with any contents, that is freed on the same device, when no queue uses
 * it any more. BYTES may be 0, and a pointer that is NULL is nothing to free. QB_ERROR_MEMORY if there is not enough.
 */
enum qb_status qb_memory_alloc(struct qb_device *device, size_t bytes, void **pointer);
void qb_memory_free(struct qb_device *device, void *pointer);
/* Host to device, device to host, and fill with a byte; done when the call returns. Wait for queues that use the
 * memory before. */
enum qb_status qb_memory_write(struct qb_device *device, void *target, const void *host_source, size_t bytes);
enum qb_status qb_memory_read(struct qb_device *device, void *host_target, const void *source, size_t bytes);
enum qb_status qb_memory_fill(struct qb_device *device, void *target, int byte, size_t bytes);
/* COUNT copies of the same bytes in device memory, each STRIDE bytes after the one before. */
struct qb_copies {
    const void *memory;
    size_t stride, count;
};
/* Compare the first BYTES <= STRIDE bytes of each of COPIES with EXPECTED, which is device memory too, on the device.
 * *DIFFERENT is the number of bytes that are not as expected, and *FIRST the distance of the first of them from the
 * first copy; UINT64_MAX: there is none. Done when the call returns, as above. */
enum qb_status qb_memory_compare(struct qb_device *device, const struct qb_copies *copies, const void *expected,
                                 size_t bytes, uint64_t *different, uint64_t *first);

/* ---- Queues, events, graphs --------------------------------------------------------------------------------- */

/* A queue with a stream of its own. */
enum qb_status qb_queue_create(struct qb_device *device, struct qb_queue **queue);
/* A queue over a stream of the caller's own: NATIVE is a cudaStream_t for cuda (NULL is the default stream), and must
 * be NULL for cpu. The stream is not destroyed with the queue. */
enum qb_status qb_queue_wrap(struct qb_device *device, void *native, struct qb_queue **queue);
/* Waits for the queue's work. NULL is nothing to destroy, here and below. */
void qb_queue_destroy(struct qb_queue *queue);
/* Wait until all that is in the queue is done. */
enum qb_status qb_queue_synchronize(struct qb_queue *queue);
/* CPU: how many threads the queue's kernels may use, 1 to 1024, at most OMP_THREAD_LIMIT (1 in a build without OpenMP);
 * the default is OMP_NUM_THREADS, else the CPUs this process may run on. From then on qb_memory_write() and
 * qb_memory_fill() of the device use as many too, so that each page is touched first by the thread whose kernel will
 * use it. Others: QB_ERROR_UNSUPPORTED. */
enum qb_status qb_queue_set_threads(struct qb_queue *queue, unsigned threads);
/* CPU: how many threads the queue's kernels were shared out to, WANTED, which is fewer than qb_queue_set_threads() says
 * if the work is worth no more, and how many of these ran, OBTAINED. Of all kernels since the queue was created the one
 * that wanted most counts, and of several the one that obtained fewest. Fewer run where OpenMP gives fewer
 * (OMP_DYNAMIC, OMP_THREAD_LIMIT), where the system has no more (RLIMIT_NPROC, memory for stacks), and in a child of
 * fork(): if its parent had more than one thread, the child's kernels run on one. Both are 0 before the first kernel;
 * kernels of plug-ins are not counted. Others: QB_ERROR_UNSUPPORTED. */
enum qb_status qb_queue_threads(struct qb_queue *queue, unsigned *wanted, unsigned *obtained);
/* CUDA, compute capability 9.0 and newer: let each of the queue's kernels start before the one in front of it has ended
 * (programmatic dependent launch). It waits for that one's results before it reads or writes, so results stay the same,
 * but the start of the kernel no longer counts. Off by default. In a graph it takes CUDA 12.3; before, a captured
 * launch is an ordinary one. Others: QB_ERROR_UNSUPPORTED, also for false. */
enum qb_status qb_queue_set_dependent_launch(struct qb_queue *queue, bool enabled);
/* Let the queue's workspace hold at least BYTES bytes, as qb_kernel_workspace() says. It grows by itself in
 * qb_kernel_run(), except during a capture, where too small a one is QB_ERROR_WORKSPACE. Memory that a captured graph
 * uses stays until the queue is destroyed. */
enum qb_status qb_queue_reserve(struct qb_queue *queue, size_t bytes);
/* Device-to-device copy in the queue's order, as a ceiling for kernels. The ranges must not overlap. */
enum qb_status qb_queue_copy(struct qb_queue *queue, void *target, const void *source, size_t bytes);

/* The stores of a mix. */
enum qb_stores {
    QB_STORES_PLAIN = 0,     /* as any other data */
    QB_STORES_STREAMING = 1, /* with the hint that nobody reads them soon; non-temporal on the CPU */
};
#define QB_STORES_COUNT 2
/* In the queue's order: read READ_BYTES bytes at SOURCE and write WRITTEN_BYTES bytes at TARGET as fast as the device
 * can, and do nothing else, as a ceiling for kernels that read and write in this ratio. The written bytes are
 * arbitrary. Both are aligned to 256 bytes, else it is QB_ERROR_INVALID, and must not overlap; either count may be 0,
 * then its pointer may be NULL. */
enum qb_status qb_queue_mix(struct qb_queue *queue, void *target, size_t written_bytes, const void *source,
                            size_t read_bytes, enum qb_stores stores);

/* An event, which has no time until it is recorded. */
enum qb_status qb_event_create(struct qb_device *device, struct qb_event **event);
void qb_event_destroy(struct qb_event *event);
/* The event's time is when the queue's work so far is done. It may be recorded again, but not in a capture. */
enum qb_status qb_event_record(struct qb_queue *queue, struct qb_event *event);
/* Waits for END, which was recorded after START in the same queue. NANOSECONDS is the time between the two. */
enum qb_status qb_event_elapsed(struct qb_event *start, struct qb_event *end, double *nanoseconds);

/* Everything put into QUEUE between begin and end is captured instead of run. QB_ERROR_UNSUPPORTED where the backend
 * has no graphs (the CPU), and for a capture that allocates or frees memory. CUDA's default stream cannot be captured.
 * A graph uses its queue's workspace: launch it into that queue only. */
enum qb_status qb_graph_begin(struct qb_queue *queue);
enum qb_status qb_graph_end(struct qb_queue *queue, struct qb_graph **graph);
enum qb_status qb_graph_launch(struct qb_graph *graph, struct qb_queue *queue);
void qb_graph_destroy(struct qb_graph *graph);

/* Tell an attached profiler to collect from here on, and to stop. QB_ERROR_UNSUPPORTED for the CPU. */
enum qb_status qb_profiler_start(struct qb_device *device);
enum qb_status qb_profiler_stop(struct qb_device *device);
/* A named NVTX range around what this thread does next; nothing for the CPU, or in a build without NVTX. */
void qb_range_push(struct qb_device *device, const char *name);
void qb_range_pop(struct qb_device *device);

/* ---- Kernels ------------------------------------------------------------------------------------------------ */

/* All kernels of all backends, followed by those of plug-ins. For one problem on one device the first that supports it
 * is the best one of the backend's own. INDEX < qb_kernel_count(), else NULL. */
size_t qb_kernel_count(void);
const struct qb_kernel *qb_kernel_at(size_t index);
/* "cpu_avx512", "cuda_row": unique. */
const char *qb_kernel_name(const struct qb_kernel *kernel);
/* Its purpose, one line. */
const char *qb_kernel_description(const struct qb_kernel *kernel);
/* The backend whose devices it runs on. */
const struct qb_backend *qb_kernel_backend(const struct qb_kernel *kernel);
/* The one operation that it does. */
enum qb_operation qb_kernel_operation(const struct qb_kernel *kernel);
/* The file of the plug-in that it came from; NULL if it is the library's own. */
const char *qb_kernel_plugin(const struct qb_kernel *kernel);
/* Its arithmetic: the contract, unless it is a plug-in's. Never NULL. */
const struct qb_arithmetic *qb_kernel_arithmetic(const struct qb_kernel *kernel);

/* True if KERNEL can do PROBLEM, which is valid, on DEVICE. */
bool qb_kernel_supports(const struct qb_kernel *kernel, const struct qb_device *device,
                        const struct qb_problem *problem);
/* The first kernel whose name matches PATTERN (a shell wildcard) and that supports PROBLEM on DEVICE; NULL means any
 * that does not come from a plug-in. QB_ERROR_INVALID if no kernel of the device's backend has such a name,
 * QB_ERROR_UNSUPPORTED if none supports it. */
enum qb_status qb_kernel_match(const struct qb_device *device, const struct qb_problem *problem, const char *pattern,
                               const struct qb_kernel **kernel);
/* Bytes of queue workspace that the kernel needs for PROBLEM, 0 for most. */
size_t qb_kernel_workspace(const struct qb_kernel *kernel, const struct qb_device *device,
                           const struct qb_problem *problem);

/* Put one run of KERNEL into QUEUE. Returns before it is done, except on the CPU. */
enum qb_status qb_kernel_run(const struct qb_kernel *kernel, struct qb_queue *queue, const struct qb_problem *problem,
                             const struct qb_tensors *tensors);

/* The same with the best kernel: all that a program needs to quantize. */
enum qb_status qb_quantize(struct qb_queue *queue, const struct qb_problem *problem, const struct qb_tensors *tensors);

/* Put an empty launch into QUEUE that has the shape of KERNEL's for PROBLEM: as many blocks and threads, each of which
 * does nothing. No launch of KERNEL can take less time. QB_ERROR_UNSUPPORTED if the backend cannot tell. */
enum qb_status qb_kernel_floor(const struct qb_kernel *kernel, struct qb_queue *queue,
                               const struct qb_problem *problem);
/* ---- Plug-ins: kernels of others, from shared objects ---------------------------------------------------------- */

/* Raised with every change that a compiled plug-in would notice; one of another number is refused. */
#define QB_PLUGIN_ABI 3

/* One call of a plug-in's kernel. Members are added at the end only. The problem and the tensors are as long as their
 * size members say, which may be more or less than the plug-in's header says. */
struct qb_plugin_call {
    size_t size;                      /* of this structure, in the library */
    const struct qb_problem *problem; /* valid, supported, with strides filled in (never 0); tokens may be 0 */
    const struct qb_tensors *tensors; /* in the device's memory, aligned as the kernel asked for */
    void *workspace;                  /* as many bytes as it asked for, aligned to 256, with any contents; or NULL */
    void *stream;                     /* CUDA: the cudaStream_t to launch into, maybe under capture; CPU: NULL */
    unsigned threads;                 /* CPU: how many threads to use; CUDA: 0 */
};

/* One kernel. */
struct qb_plugin_kernel {
    const char *name;        /* letters, digits, '_', '-' and '.', at most 63 of them, and no other kernel's */
    const char *description; /* one line of ASCII, at most 127 characters */
    const char *backend;     /* "cpu" or "cuda" */
    /* Return true if the kernel can do PROBLEM, which is valid and has its strides filled in. These functions are
     * called in the default floating-point environment, and leave it so. */
    bool (*supports)(const struct qb_problem *problem);
    /* Bytes of workspace that it needs for PROBLEM; NULL means 0. */
    size_t (*workspace)(const struct qb_problem *problem);
    /* CPU: quantize, and return when it is done. CUDA: launch into the stream, and neither wait nor allocate: the call
     * may be captured into a graph. The device is current. Return NULL, or the error in one line that lives as long as
     * the process. */
    const char *(*run)(const struct qb_plugin_call *call);
    struct qb_arithmetic arithmetic; /* what it computes */
    size_t alignment; /* bytes that its tensors must be aligned to, a power of two, at most 256; 0: one element's */
    /* True if supports() also looks at packing, scale_format, scale_rounding, scale_layout, scale_stride, tensor_scale
     * and zero_points. If not, it is asked only about codes of a byte with symmetric scales in F32 rows. */
    bool narrow;
    enum qb_operation operation; /* that it does; supports() is asked about no other */
    /* True if supports() also looks at experts, expert_rows and expert_tokens. If not, it is asked about no experts. */
    bool experts;
};

/* A plug-in is a shared object with one symbol, quantbench_plugin, of this type. */
struct qb_plugin {
    uint32_t abi;          /* QB_PLUGIN_ABI */
    uint32_t kernel_count; /* at least 1 */
    size_t kernel_size;    /* sizeof(struct qb_plugin_kernel), as the plug-in was compiled */
    const struct qb_plugin_kernel *kernels;
};

/* The symbol, in plug-ins only, and its definition from an array of struct qb_plugin_kernel, in C and in C++. */
extern __attribute__((visibility("default"))) const struct qb_plugin quantbench_plugin;
#define QB_PLUGIN(kernels)                                                                                             \
    const struct qb_plugin quantbench_plugin = {QB_PLUGIN_ABI, (uint32_t)(sizeof(kernels) / sizeof((kernels)[0])),     \
                                                sizeof((kernels)[0]), kernels}

/* Load the shared object FILE, and add its kernels to the others: to all, or to none. A second load of the same plug-in
 * does nothing. Plug-ins stay loaded. QB_ERROR_FILE if FILE cannot be read; QB_ERROR_INVALID if it is not a plug-in, or
 * not one that this library takes; qb_error_detail() has the reason. */
enum qb_status qb_plugin_load(const char *file);

#ifdef __cplusplus
}
#endif
#endif
