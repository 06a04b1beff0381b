/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.h - the door between backend_cuda.c, which knows problems and queues, and the *.cu files, which know threads.
 */
#ifndef QB_CUDA_KERNELS_H
#define QB_CUDA_KERNELS_H

#include <cuda_runtime_api.h>

#include "problem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many output formats kernels are compiled for. */
#define QB__CUDA_CODE_COUNT 3u

/* The place of OUTPUT among these, as in QB__KERNELS_OF_INPUT; QB__CUDA_CODE_COUNT if there are no kernels for it. */
static inline unsigned qb__cuda_code_place(enum qb_format output)
{
    static const enum qb_format codes[QB__CUDA_CODE_COUNT] = {QB_FORMAT_INT8, QB_FORMAT_E4M3, QB_FORMAT_E5M2};
    unsigned place = 0;

    while (place < QB__CUDA_CODE_COUNT && codes[place] != output) {
        place++;
    }
    return place;
}

/* True if there are kernels for the pair; each table of them has a place for it. */
static inline bool qb__cuda_has_pair(enum qb_format input, enum qb_format output)
{
    return (unsigned)input <= QB_FORMAT_F32 && qb__cuda_code_place(output) < QB__CUDA_CODE_COUNT;
}

/* What the launchers ask about a device. Read once, when it is opened. */
struct qb__cuda_limits {
    unsigned units;          /* multiprocessors */
    unsigned capability;     /* 90 for compute capability 9.0 */
    size_t shared_per_block; /* bytes of shared memory that one block can opt in to */
    size_t cache_size;       /* bytes of L2 */
    /* Which kernels the device can run that need much of a multiprocessor; set by their prepare functions. */
    bool fused, channel, norm_stream;
};

/* One quantization, with everything that a launcher wants worked out. Each granularity is a tiling: the tile of
 * TILE_ROWS x TILE_COLS elements in row r and column c of the SCALE_ROWS x SCALE_COLS tiles has scale [r][c]. A dense
 * tensor with one scale comes as one row. */
struct qb__cuda_call {
    enum qb_format input, output;
    enum qb_scaling scaling;
    const void *in;
    uint8_t *out;
    float *scales;
    uint64_t rows, cols;            /* of the tensor */
    uint64_t in_stride, out_stride; /* elements */
    uint64_t tile_rows, tile_cols;
    uint64_t scale_rows, scale_cols;
    float bound; /* the largest amax: amax_bound or the input's largest finite value */
    /* For the kernels of narrow formats: what was asked, and the tensors that it has beside these. */
    const struct qb_problem *problem;
    int8_t *zero_points;
    float *tensor_scale;
    /* For operations: what they have besides. IN_STRIDE of DEQUANTIZE and KV_READ is that of the values. */
    const void *weights, *residual, *angles;
    const int64_t *positions;
    void *sum, *values; /* NULL: not wanted */
    const int64_t *slots, *experts;
    uint8_t *transposed; /* DUAL */
    float *transposed_scales;
    const struct qb__cuda_limits *limits;
    unsigned char *workspace; /* the queue's: see the two functions below */
    cudaStream_t stream;
    bool dependent_launch; /* kernels may start before what is in front of them has ended: see qb__begin() */
    bool empty;            /* launch kernels that do nothing in place of those that the call wants; no buffers */
};

/* A queue's workspace begins with the state of the grid-wide barrier, which outlives a launch, and goes on with words
 * that are zero whenever no kernel runs. Both are zero when the workspace is new. Its end may have values that an
 * operation left: backend_cuda.c sees to it that no kernel finds them where it needs zeros. */
size_t qb__cuda_barrier_size(const struct qb__cuda_limits *limits);

/* Room in that state for one number, between the launches of a call: S of struct qb_problem, of which the stored tensor
 * scale is the rounded inverse. */
static inline float *qb__cuda_encode(const struct qb__cuda_call *call)
{
    return call->workspace == NULL ? NULL : (float *)(call->workspace + sizeof(uint32_t));
}

/* Each launcher puts its kernel or kernels into the call's stream. FITS says whether it can do the call; it does not
 * look at the pointers. WORKSPACE is in bytes, beyond the barrier's. */

/* strided.cu: any scaling where the tiles are small and lie regularly; *DONE says whether that is so. */
cudaError_t qb__cuda_strided_run(const struct qb__cuda_call *call, bool *done);

/* Tiles of consecutive elements that follow one another: their number, elements from one to the next, elements in one
 * and in all. */
struct qb__flat {
    uint64_t tiles, in_step, out_step, length, total;
};

/* few.cu: such tiles of full, aligned chunks, if they are few; *DONE says whether they are. */
cudaError_t qb__cuda_few_run(const struct qb__cuda_call *call, const struct qb__flat *f, bool *done);

/* static_scale.cu: scales are given. */
cudaError_t qb__cuda_static_run(const struct qb__cuda_call *call);

/* tile.cu: dynamic, or scales alone; a tile is held in the registers of a team of threads. */
bool qb__cuda_tile_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_tile_run(const struct qb__cuda_call *call);

/* Prepare functions are called once for each device, while it is current. */

/* channel.cu: dynamic, one scale for each column, one launch. */
cudaError_t qb__cuda_channel_prepare(struct qb__cuda_limits *limits);
bool qb__cuda_channel_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_channel_run(const struct qb__cuda_call *call);

/* fused.cu: dynamic, one scale for all, one cooperative launch with a barrier across the grid. */
cudaError_t qb__cuda_fused_prepare(struct qb__cuda_limits *limits);
bool qb__cuda_fused_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_fused_run(const struct qb__cuda_call *call);

/* The same for the scale alone, without a barrier. */
bool qb__cuda_amax_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_amax_run(const struct qb__cuda_call *call);

/* two_pass.cu: dynamic, any tiling: amax, scales, and then static_scale.cu; or scales alone. */
size_t qb__cuda_two_pass_workspace(const struct qb__cuda_call *call);
cudaError_t qb__cuda_two_pass_run(const struct qb__cuda_call *call);

/* spans.cu: codes of any width and scales of any format and layout, in groups; zero points of rows; 16 elements at a
 * time, read once. The pointers decide too: *DONE says whether they are aligned. */
bool qb__cuda_spans_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_spans_run(const struct qb__cuda_call *call, bool *done);
/* True if it takes scales as given, and zero points, which must be found before: by qb__cuda_tensor_run() with zero
 * points, else by qb__cuda_two_pass_run(). */
bool qb__cuda_spans_want_scales(const struct qb__cuda_call *call);

/* spans_fused.cu: the same under a tensor scale that is computed, in one cooperative launch. */
cudaError_t qb__cuda_spans_fused_prepare(struct qb__cuda_limits *limits);
bool qb__cuda_spans_fused_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_spans_fused_run(const struct qb__cuda_call *call, bool *done);

/* any.cu: every valid problem that is not plain, in up to five launches, element by element. */
size_t qb__cuda_any_workspace(const struct qb__cuda_call *call);
cudaError_t qb__cuda_any_run(const struct qb__cuda_call *call);
/* Its first part: the tensor scale, computed; or the one scale and zero point of a tensor. */
cudaError_t qb__cuda_tensor_run(const struct qb__cuda_call *call);

/* Operations in front of a quantization. VALUES_RUN writes the values, and what comes with them, of any call. RUN does
 * all in one launch, if FITS; the pointers decide too: *DONE says whether they are aligned. */

/* gated.cu: SILU_MUL and GELU_MUL. */
cudaError_t qb__cuda_gated_values_run(const struct qb__cuda_call *call);
bool qb__cuda_gated_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_gated_run(const struct qb__cuda_call *call, bool *done);

/* gated_few.cu: the same for few rows, of aligned tensors. GATED_RUN asks it first. */
cudaError_t qb__cuda_gated_few_run(const struct qb__cuda_call *call, bool *done);

/* norm.cu: RMS_NORM and ADD_RMS_NORM. */
cudaError_t qb__cuda_norm_values_run(const struct qb__cuda_call *call);
bool qb__cuda_norm_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_norm_run(const struct qb__cuda_call *call, bool *done);

/* norm_stream.cu and norm_few.cu: the same for many rows, and for few, of aligned tensors. NORM_RUN asks them first. */
cudaError_t qb__cuda_norm_stream_prepare(struct qb__cuda_limits *limits);
cudaError_t qb__cuda_norm_stream_run(const struct qb__cuda_call *call, bool *done);
cudaError_t qb__cuda_norm_few_run(const struct qb__cuda_call *call, bool *done);

/* rope.cu: ROPE. */
cudaError_t qb__cuda_rope_values_run(const struct qb__cuda_call *call);
bool qb__cuda_rope_fits(const struct qb__cuda_call *call);
cudaError_t qb__cuda_rope_run(const struct qb__cuda_call *call, bool *done);

/* dequantize.cu: values from codes, of any call. */
cudaError_t qb__cuda_dequantize_run(const struct qb__cuda_call *call);

/* kv_write.cu: keys and values into the pages of a cache, of any plain call. */
cudaError_t qb__cuda_kv_write_run(const struct qb__cuda_call *call);

/* kv_spans.cu: the same in NVFP4. */
cudaError_t qb__cuda_kv_spans_run(const struct qb__cuda_call *call);

/* kv_read.cu: keys and values from the pages of a cache, of any call. */
cudaError_t qb__cuda_kv_read_run(const struct qb__cuda_call *call);

/* transpose.cu: TRANSPOSE and DUAL, of any call. */
cudaError_t qb__cuda_transpose_run(const struct qb__cuda_call *call);

/* experts.cu: QUANTIZE, SILU_MUL and GELU_MUL of experts; one launch, or three where a scale follows from all rows. */
bool qb__cuda_experts_fits(const struct qb__cuda_call *call);
size_t qb__cuda_experts_workspace(const struct qb__cuda_call *call);
cudaError_t qb__cuda_experts_run(const struct qb__cuda_call *call);

/* limits.cu: what no kernel can be faster than. */

/* The kernel that launches of calls that are EMPTY get. */
extern const void *const qb__cuda_empty_kernel;
cudaError_t qb__cuda_empty_prepare(struct qb__cuda_limits *limits);

/* Read and write the given numbers of bytes, and nothing else: see qb_queue_mix(). CALL has the device and the stream.
 */
cudaError_t qb__cuda_mix_run(const struct qb__cuda_call *call, void *target, size_t written_bytes, const void *source,
                             size_t read_bytes, enum qb_stores stores);

/* compare.cu: see qb_memory_compare(). FOUND is device memory: 0, to which the number of different bytes is added, and
 * UINT64_MAX, which is lowered to the distance of the first. CALL has the device and the stream. */
cudaError_t qb__cuda_compare_run(const struct qb__cuda_call *call, const struct qb_copies *copies, const void *expected,
                                 size_t bytes, uint64_t *found);

#ifdef __cplusplus
}
#endif
#endif
