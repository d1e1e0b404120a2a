/* New tokens of rows whose earlier ones lie in slots. */

#pragma once

#include "kernels.h"

/* Row r's new tokens are the last of the first ends[r] places of slot slots[r]; each sees those up
 * to its own. Strides are counted in numbers, and those of one token lie side by side. */
typedef struct {
    const void *q, *k, *v;
    void *out; /* [rows, news, heads, width] */
    const int64_t *slots, *ends;
    int64_t q_row, q_new, q_head, k_slot, k_head, k_place, v_slot, v_head, v_place;
    int64_t rows, news, heads, key_heads, key_width, width;
    float scale;
    int is_bfloat16;
} Attention;
