/* Products with weights that lie as they are, in float32 or bfloat16, for one matrix or for one of
 * each head. Each sum is in float32, input by input: a row's result does not depend on the other
 * rows, to the bit. */

#include "numbers.h"

/* y[n, h] = x[n, h] w[h]; strides are counted in numbers. */
typedef struct {
    const void *x; /* [rows, heads, inputs] */
    const void *w; /* [heads, inputs, outputs] */
    void *y;       /* [rows, heads, outputs] */
    int64_t rows, heads, inputs, outputs, x_row, x_head, w_head, w_input;
    int is_bfloat16;
} WholeProduct;

INLINE float number(const void *from, int64_t i, const int is_bfloat16) {
    if (!is_bfloat16) return ((const float *)from)[i];
    const uint32_t bits = (uint32_t)((const uint16_t *)from)[i] << 16;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* R rows and C registers of outputs, of which the last is filled up to `filled`. */
INLINE void tile(const WholeProduct *job, int64_t row, int64_t head, int64_t output,
                 const __mmask16 filled, const int R, const int C, const int is_bfloat16) {
    const int64_t place = head * job->w_head + output;
    __m512 y[R][C];
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) y[r][c] = _mm512_setzero_ps();
    for (int64_t k = 0; k < job->inputs; k++) {
        __m512 w[C];
        for (int c = 0; c < C; c++)
            w[c] = load_some(job->w, place + k * job->w_input + 16 * c,
                             c < C - 1 ? 0xffff : filled, is_bfloat16);
        for (int r = 0; r < R; r++) {
            const int64_t at = (row + r) * job->x_row + head * job->x_head + k;
            const __m512 x = _mm512_set1_ps(number(job->x, at, is_bfloat16));
            for (int c = 0; c < C; c++) y[r][c] = _mm512_fmadd_ps(x, w[c], y[r][c]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            const int64_t at = ((row + r) * job->heads + head) * job->outputs + output + 16 * c;
            store_some(job->y, at, c < C - 1 ? 0xffff : filled, y[r][c], is_bfloat16);
        }
}

INLINE void multiply_rows(const WholeProduct *job, int64_t row, int64_t rows, int64_t head,
                          const int is_bfloat16) {
    int64_t output = 0;
    for (; output + 64 <= job->outputs; output += 64) {
        if (rows == 4)
            tile(job, row, head, output, 0xffff, 4, 4, is_bfloat16);
        else
            for (int64_t r = row; r < row + rows; r++)
                tile(job, r, head, output, 0xffff, 1, 4, is_bfloat16);
    }
    for (; output < job->outputs; output += 16) {
        const int64_t rest = job->outputs - output;
        for (int64_t r = row; r < row + rows; r++)
            tile(job, r, head, output, rest < 16 ? (1 << rest) - 1 : 0xffff, 1, 1, is_bfloat16);
    }
}

EXPORTED void janus_multiply_whole(const WholeProduct *job, int threads) {
    const int64_t work = job->rows * job->heads * job->inputs * job->outputs;
#pragma omp parallel for collapse(2) num_threads(work < ALONE ? 1 : threads)
    for (int64_t row = 0; row < job->rows; row += 4)
        for (int64_t head = 0; head < job->heads; head++) {
            const int64_t rows = job->rows - row < 4 ? job->rows - row : 4;
            if (job->is_bfloat16)
                multiply_rows(job, row, rows, head, 1);
            else
                multiply_rows(job, row, rows, head, 0);
        }
}
