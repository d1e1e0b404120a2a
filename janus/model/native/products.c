/* Products with weights of four, eight or sixteen bits.
 *
 * Weights of four and eight bits meet inputs that are rounded to eight bits as they come, so that
 * one `vpdpbusd` multiplies and adds four pairs in each of sixteen lanes; the lanes are outputs.
 * Weights have no sign, as that instruction wants it: what this adds to a sum is known, and the sum
 * starts with it taken away. Weights of sixteen bits are bfloat16, and so are their inputs.
 *
 * M rows, K inputs, N outputs, R rows and B blocks of outputs of a tile */

#include "products.h"

#define FEW 4 /* rows that whole numbers need no tiles for */

static void round_span(const Product *job, int64_t i, int64_t span, const Inputs *to) {
    const int64_t row = i * span / job->K, first = i * span % job->K;
    __m512 largest = _mm512_setzero_ps();
    for (int64_t k = i * span; k < (i + 1) * span; k += 16)
        largest = _mm512_max_ps(largest, _mm512_abs_ps(load(job->x, k, job->is_bfloat16)));
    const float top = _mm512_reduce_max_ps(largest) + 1e-12f;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = 0; k < span; k += 16) {
        __m512 x = load(job->x, i * span + k, job->is_bfloat16);
        __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(127 / top)));
        sum = _mm512_add_epi32(sum, whole);
        _mm_storeu_si128((void *)inputs_at(to, row, first + k), _mm512_cvtsepi32_epi8(whole));
    }
    to->scale[i] = top / 127;
    const int32_t total = _mm512_reduce_add_epi32(sum);
    to->sum[i] = total;
    to->start[i] = (job->bits == 4 ? -8 : -128) * total;
}

static void lay_in_tiles(const Product *job, int64_t row, const Inputs *to) {
    const uint8_t *x = (const uint8_t *)job->x + row * to->row_bytes;
    for (int64_t i = 0; i < to->row_bytes; i += 64)
        _mm512_storeu_si512(inputs_at(to, row, i), _mm512_loadu_si512(x + i));
}

/* Four bytes of the inputs in every lane. */
INLINE __m512i four(const void *inputs) {
    int32_t bytes;
    memcpy(&bytes, inputs, 4);
    return _mm512_set1_epi32(bytes);
}

/* Weights of four bits, (whole - 8) * factor + middle. w: of each block and eight inputs 64 bytes,
 * sixteen outputs of four inputs in the lower bits and of the next four in the upper. scales: of
 * each block and group sixteen factors and sixteen middles. */
INLINE void tile4(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B, const int has_bfloat16_scales) {
    const __m512i low = _mm512_set1_epi8(15);
    const int64_t K = job->K, groups = K / GROUP;
    __m512 y[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g++) {
        const uint8_t *inputs = x.bytes + row * K + g * GROUP;
        const uint8_t *w = job->w + block * K * BLOCK / 2 + g * GROUP * BLOCK / 2;
        __m512i sum[R][B];
        for (int r = 0; r < R; r++)
            for (int b = 0; b < B; b++)
                sum[r][b] = _mm512_set1_epi32(x.start[(row + r) * groups + g]);
#pragma GCC unroll 8
        for (int k = 0; k < GROUP; k += 8)
            for (int b = 0; b < B; b++) {
                __m512i both = next(w + b * K * BLOCK / 2 + k * BLOCK / 2);
                __m512i earlier = _mm512_and_si512(both, low);
                __m512i later = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
                for (int r = 0; r < R; r++) {
                    const uint8_t *from = inputs + r * K + k;
                    sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], earlier, four(from));
                    sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], later, four(from + 4));
                }
            }
        for (int b = 0; b < B; b++) {
            const int64_t place = ((block + b) * groups + g) * 2 * BLOCK;
            __m512 factor = load(job->scales, place, has_bfloat16_scales);
            __m512 middle = load(job->scales, place + BLOCK, has_bfloat16_scales);
            for (int r = 0; r < R; r++) {
                const int64_t span = (row + r) * groups + g;
                __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][b]), factor);
                part = _mm512_fmadd_ps(middle, _mm512_set1_ps(x.sum[span]), part);
                y[r][b] = _mm512_fmadd_ps(part, _mm512_set1_ps(x.scale[span]), y[r][b]);
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
}

/* Weights of eight bits, (whole - 128) * factor. w: of each block and four inputs 64 bytes, sixteen
 * outputs of four inputs. scales: a factor of each output, float32. */
INLINE void tile8(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B) {
    const int64_t K = job->K;
    const uint8_t *inputs = x.bytes + row * K;
    const uint8_t *w = job->w + block * K * BLOCK;
    __m512i sum[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) sum[r][b] = _mm512_set1_epi32(x.start[row + r]);
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k += 4)
        for (int b = 0; b < B; b++) {
            __m512i whole = next(w + b * K * BLOCK + k * BLOCK);
            for (int r = 0; r < R; r++)
                sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], whole, four(inputs + r * K + k));
        }
    for (int b = 0; b < B; b++) {
        __m512 factor = _mm512_loadu_ps((const float *)job->scales + (block + b) * BLOCK);
        for (int r = 0; r < R; r++) {
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][b]), factor);
            y = _mm512_mul_ps(y, _mm512_set1_ps(x.scale[row + r]));
            finish(job, row + r, block + b, y);
        }
    }
}

/* Weights of sixteen bits. w: of each block and two inputs 64 bytes, sixteen outputs of two
 * inputs. */
INLINE void tile16(const Product *job, int64_t row, int64_t block, const int R, const int B) {
    const int64_t K = job->K;
    const uint16_t *inputs = (const uint16_t *)job->x + row * K;
    const uint8_t *w = job->w + block * K * BLOCK * 2;
    __m512 y[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k += 2)
        for (int b = 0; b < B; b++) {
            __m512bh weights = (__m512bh)next(w + b * K * BLOCK * 2 + k * BLOCK * 2);
            for (int r = 0; r < R; r++)
                y[r][b] = _mm512_dpbf16_ps(y[r][b], weights, (__m512bh)four(inputs + r * K + k));
        }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
}

INLINE void tile(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                 const int B) {
    if (job->bits == 16)
        tile16(job, row, block, R, B);
    else if (job->bits == 8)
        tile8(job, x, row, block, R, B);
    else
        tile4(job, x, row, block, R, B, job->has_bfloat16_scales);
}

/* All rows of one or two blocks. Tiles are as large as the registers hold. */
static void multiply_blocks(const Product *job, Inputs x, int64_t block, int64_t end) {
    int64_t row = 0;
    for (; row + 8 <= job->M; row += 8)
        for (int64_t b = block; b < end; b++) tile(job, x, row, b, 8, 1);
    if (end - block == 2) {
        for (; row + 4 <= job->M; row += 4) tile(job, x, row, block, 4, 2);
        for (; row + 2 <= job->M; row += 2) tile(job, x, row, block, 2, 2);
        for (; row < job->M; row++) tile(job, x, row, block, 1, 2);
    }
    for (; row < job->M; row++) tile(job, x, row, block, 1, 1);
}

void multiply_shared(const Product *job) {
    const int64_t span = job->bits == 4 ? GROUP : job->K, spans = job->M * job->K / span;
    const int64_t blocks = job->N / BLOCK, row_bytes = job->bits == 16 ? 2 * job->K : job->K;
    const int in_tiles = job->has_tiles && (job->bits == 16 || job->M > FEW);
    const int is_laid = in_tiles && job->M > ROWS;
    const int64_t rows = is_laid ? (job->M + ROWS - 1) / ROWS * ROWS : job->M;
    float *scales = (float *)((uint8_t *)job->scratch + rows * row_bytes);
    const Inputs x = {
        .bytes = job->bits == 16 && !is_laid ? (uint8_t *)job->x : job->scratch,
        .row_bytes = row_bytes,
        .line = is_laid ? 64 : row_bytes,
        .tile = is_laid ? 1024 : 64,
        .scale = scales,
        .sum = scales + spans,
        .start = (int32_t *)(scales + 2 * spans),
    };
    if (job->bits != 16) {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < spans; i++) round_span(job, i, span, &x);
    } else if (is_laid) {
#pragma omp for schedule(static)
        for (int64_t row = 0; row < job->M; row++) lay_in_tiles(job, row, &x);
    }
    int64_t shaped = 0;
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; block += 2) {
        const int64_t end = block + 2 < blocks ? block + 2 : blocks;
        if (in_tiles)
            multiply_in_tiles(job, x, block, end, &shaped);
        else
            multiply_blocks(job, x, block, end);
    }
    if (shaped) _tile_release();
}

/* One product after the other, each by all threads. */
EXPORTED void janus_multiply(const Product *jobs, int64_t count, int threads) {
    int64_t work = 0;
    for (int64_t i = 0; i < count; i++) work += jobs[i].M * jobs[i].N * jobs[i].K;
#pragma omp parallel num_threads(work < ALONE ? 1 : threads)
    for (int64_t i = 0; i < count; i++) multiply_shared(jobs + i);
}
