/* SPDX-License-Identifier: Apache-2.0 */
/* gated.cuh - chunks of gates and ups, and their values: eight 16-bit elements at a time. */
#ifndef QB_CUDA_GATED_CUH
#define QB_CUDA_GATED_CUH

#include "values.cuh"

/* How gates and ups lie in a row. */
struct qb__pair_places {
    qb__gate gate;
    uint64_t up; /* bytes from a chunk of gates to that of its ups; INTERLEAVED: 16, the second half of both */
    bool interleaved;
    bool adjusts; /* there is a limit, or an offset */
};

static inline qb__pair_places qb__pair_places_of(const struct qb__cuda_call *call)
{
    qb__pair_places p = {};

    p.gate = qb__gate_of(call->problem);
    p.interleaved = call->problem->gate == QB_GATE_INTERLEAVED;
    p.up = p.interleaved ? 16 : call->cols * qb__element_size(call->input);
    p.adjusts = p.gate.limit != INFINITY || p.gate.up_offset != 0;
    return p;
}

/* The gates and ups of a chunk. */
struct qb__pair {
    uint4 gate, up;
};

/* Those of chunk COL of the row at ROW, if it is VALID. */
__device__ __forceinline__ qb__pair qb__load_pair(const qb__pair_places &p, const unsigned char *row, uint32_t col,
                                                  bool valid)
{
    const unsigned char *const at = row + (uint64_t)col * (p.interleaved ? 32 : 16);
    const uint4 none = make_uint4(0, 0, 0, 0);

    return {valid ? qb__load16(at) : none, valid ? qb__load16(at + p.up) : none};
}

/* The values of a chunk of gates and one of ups, by the activation and nothing else. */
template <int IN, int ACTIVATION> __device__ __forceinline__ uint4 qb__plain_chunk(const uint4 &g, const uint4 &u)
{
    return make_uint4(qb__plain_pair<IN, ACTIVATION>(g.x, u.x), qb__plain_pair<IN, ACTIVATION>(g.y, u.y),
                      qb__plain_pair<IN, ACTIVATION>(g.z, u.z), qb__plain_pair<IN, ACTIVATION>(g.w, u.w));
}

/* The values of a chunk. */
template <int IN, int ACTIVATION>
__device__ __forceinline__ uint4 qb__pair_values(const qb__pair_places &p, const qb__pair &pair)
{
    uint4 g = pair.gate, u = pair.up;

    if (p.interleaved) {
        g = make_uint4(__byte_perm(pair.gate.x, pair.gate.y, 0x5410), __byte_perm(pair.gate.z, pair.gate.w, 0x5410),
                       __byte_perm(pair.up.x, pair.up.y, 0x5410), __byte_perm(pair.up.z, pair.up.w, 0x5410));
        u = make_uint4(__byte_perm(pair.gate.x, pair.gate.y, 0x7632), __byte_perm(pair.gate.z, pair.gate.w, 0x7632),
                       __byte_perm(pair.up.x, pair.up.y, 0x7632), __byte_perm(pair.up.z, pair.up.w, 0x7632));
    }
    if (p.adjusts) {
        qb__adjust_pair<IN>(g.x, u.x, p.gate);
        qb__adjust_pair<IN>(g.y, u.y, p.gate);
        qb__adjust_pair<IN>(g.z, u.z, p.gate);
        qb__adjust_pair<IN>(g.w, u.w, p.gate);
    }
    return qb__plain_chunk<IN, ACTIVATION>(g, u);
}

#endif
