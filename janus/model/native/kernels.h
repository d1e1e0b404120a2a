/* What the files here do for each other. A function that is `shared` is called by all threads of a
 * team, and returns when its work is done by all of them. */

#pragma once

#include "numbers.h"

/* y = x w, for M rows, K inputs and N outputs. */
typedef struct {
    const void *x;    /* [M, K], float32 or bfloat16 */
    void *y;          /* [M, N] of the same type */
    void *sum;        /* like y, which is then added to it; or nothing */
    const void *bias; /* [N] of the same type, or nothing */
    const uint8_t *w; /* see tile4, tile8 and tile16 */
    const float *scales;  /* of four and eight bits */
    const int8_t *levels; /* of four */
    void *scratch; /* for the inputs as they are multiplied: see scratch_for in products.py */
    int64_t M, N, K;
    int bits, is_bfloat16, has_tiles;
} Product;

void multiply_shared(const Product *job);

/* Rows that are treated one by one; `x_row` and `y_row` numbers from one to the next. */
typedef struct {
    const void *x, *weight, *cosine, *sine;
    void *y;
    int64_t rows, x_row, y_row, y_head, heads, width;
    float epsilon;
    int is_bfloat16;
} Rows;

void normalize(const Rows *job, int64_t row);
void gate(const Rows *job, int64_t row);
void rotate(const Rows *job, int64_t row);

/* One query and the `length` keys and values that it sees, in float32 or bfloat16; `place` numbers
 * from one to the next, and `k_next` from these keys to those that are probably read next. */
typedef struct {
    const void *q, *k, *v;
    void *out;
    int64_t length, k_place, v_place, k_next, key_width, width;
    float scale;
    int is_bfloat16;
} Query;

/* `weights` has room for the length, filled up to whole registers. */
void attend(const Query *job, float *weights);
