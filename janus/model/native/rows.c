/* What lies between the products, number by number. */

#include "kernels.h"

/* y = x / (root mean square of the row) * weight. */
void normalize(const Rows *job, int64_t row) {
    const int is_bfloat16 = job->is_bfloat16;
    const int64_t from = row * job->x_row, to = row * job->y_row;
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = load(job->x, from + i, is_bfloat16);
        squares = _mm512_fmadd_ps(x, x, squares);
    }
    const float mean = _mm512_reduce_add_ps(squares) / job->width;
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(mean + job->epsilon));
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = _mm512_mul_ps(load(job->x, from + i, is_bfloat16), factor);
        store(job->y, to + i, _mm512_mul_ps(x, load(job->weight, i, is_bfloat16)), is_bfloat16);
    }
}

/* y = silu(x[:width]) * x[width:] */
void gate(const Rows *job, int64_t row) {
    const __m512 one = _mm512_set1_ps(1), minus_log2_of_e = _mm512_set1_ps(-1.44269504f);
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = load(job->x, row * job->x_row + i, job->is_bfloat16);
        __m512 up = load(job->x, row * job->x_row + job->width + i, job->is_bfloat16);
        __m512 power = power_of_two(_mm512_mul_ps(x, minus_log2_of_e));
        __m512 y = _mm512_mul_ps(_mm512_div_ps(x, _mm512_add_ps(one, power)), up);
        store(job->y, row * job->y_row + i, y, job->is_bfloat16);
    }
}

/* y = x * cosine + (x with its halves exchanged) * sine, head by head. */
void rotate(const Rows *job, int64_t row) {
    const int is_bfloat16 = job->is_bfloat16;
    const int64_t width = job->width, half = width / 2;
    for (int64_t head = 0; head < job->heads; head++)
        for (int64_t i = 0; i < width; i += 16) {
            const int64_t from = row * job->x_row + head * width;
            const int64_t other = i < half ? i + half : i - half;
            __m512 x = load(job->x, from + i, is_bfloat16);
            __m512 exchanged = load(job->x, from + other, is_bfloat16);
            __m512 y = _mm512_mul_ps(exchanged, load(job->sine, row * width + i, is_bfloat16));
            y = _mm512_fmadd_ps(x, load(job->cosine, row * width + i, is_bfloat16), y);
            store(job->y, row * job->y_row + head * job->y_head + i, y, is_bfloat16);
        }
}

#define OVER_ROWS(name)                                                                           \
    EXPORTED void janus_##name(const Rows *job, int threads) {                                    \
        const int64_t work = 32 * job->rows * job->heads * job->width;                            \
        _Pragma("omp parallel for num_threads(work < ALONE ? 1 : threads)")                       \
        for (int64_t row = 0; row < job->rows; row++) name(job, row);                             \
    }
OVER_ROWS(normalize)
OVER_ROWS(gate)
OVER_ROWS(rotate)
