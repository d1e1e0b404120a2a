/* What products in registers and products in tiles share. */

#pragma once

#include "kernels.h"

/* The inputs in eight bits: x = whole * scale, with a scale for each span of a row. */
typedef struct {
    int8_t *whole;  /* [M, K] */
    float *scale;   /* [M, K / span] */
    float *sum;     /* of the span's whole numbers, [M, K / span] */
    int32_t *start; /* of a sum with weights, so that they need no sign, [M, K / span] */
} Inputs;

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
