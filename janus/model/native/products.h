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
    float *scale;                  /* [M, K / span] */
    float *sum;                    /* of the span's whole numbers, [M, K / span] */
    int32_t *start; /* of a sum with weights, so that they need no sign, [M, K / span] */
} Inputs;

INLINE uint8_t *inputs_at(const Inputs *x, int64_t row, int64_t byte) {
    return x->bytes + row / 16 * 16 * x->row_bytes + row % 16 * x->line + byte / 64 * x->tile +
           byte % 64;
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
