/* What products in registers and products in tiles share. */

#pragma once

#include "kernels.h"

#define ROWS 32 /* that tiles multiply at once */

/* The inputs as they are multiplied: in eight bits, with a scale for each span of a row, or in
 * bfloat16. They lie row by row; where tiles multiply more than ROWS, tile by tile: sixteen rows'
 * first 64 bytes, then the next, filled up to ROWS with whatever is there. */
typedef struct {
    uint8_t *bytes;
    int64_t row_bytes, line, tile; /* from a row to the next, from 64 of its bytes to the next */
    int64_t span, part;            /* inputs that share a scale, and whose sum is known */
    float *scale;                  /* [M, K / span, rounded up] */
    float *sum;                    /* of a part's whole numbers, [M, K / part] */
} Inputs;

INLINE uint8_t *inputs_at(const Inputs *x, int64_t row, int64_t byte) {
    return x->bytes + row / 16 * 16 * x->row_bytes + row % 16 * x->line + byte / 64 * x->tile +
           byte % 64;
}

INLINE int64_t spans_of(const Product *job, const Inputs *x) {
    return (job->K + x->span - 1) / x->span;
}

/* What a sum starts with whose weights of eight bits are 128 more than they should be. */
INLINE __m512i without_sign(float sum) { return _mm512_set1_epi32((int32_t)(-128 * sum)); }

/* Of weights of four bits, for sixteen outputs: whole numbers. */
typedef struct {
    __m512i spacing, lowest;
} Levels;

INLINE Levels levels_of(const Product *job, int64_t block, int64_t group) {
    const int8_t *at = job->levels + (block * (job->K / GROUP) + group) * 2 * BLOCK;
    return (Levels){
        .spacing = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)at)),
        .lowest = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(at + BLOCK))),
    };
}

/* y with the sum of a span, which has a factor for each output and a scale for its row. */
INLINE __m512 add_span(__m512 y, __m512 sum, __m512 factor, float scale) {
    return _mm512_fmadd_ps(_mm512_mul_ps(sum, factor), _mm512_set1_ps(scale), y);
}

INLINE void finish(const Product *job, int64_t row, int64_t block, __m512 y) {
    const int64_t place = row * job->N + block * BLOCK;
    if (job->bias) y = _mm512_add_ps(y, load(job->bias, block * BLOCK, job->is_bfloat16));
    store(job->y, place, y, job->is_bfloat16);
    if (!job->sum) return;
    y = load(job->y, place, job->is_bfloat16);
    store(job->sum, place, _mm512_add_ps(load(job->sum, place, job->is_bfloat16), y),
          job->is_bfloat16);
}

/* All rows of one or two blocks, in tiles. `shaped` is the number of rows that this thread's were
 * shaped for. */
void multiply_in_tiles(const Product *job, Inputs x, int64_t block, int64_t end, int64_t *shaped);
